# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a host, where Ansible runs a module from a zip of sources: what is imported after this is compiled once, whole.

``zipimporter.get_filename`` compiles a file to learn what it is called, and throws that away; each import asks it. That
is all of what a module imports, twice, since Ansible ships nothing that is byte-compiled.

Before Python 3.10 it has no ``exec_module`` either, and without that an import by one thread hands another one the half
of a module that is there so far (the import system knows what is being loaded by ``__spec__``, which load_module sets
at its end): https://docs.python.org/3.8/library/importlib.html#importlib.abc.Loader.exec_module
"""

from __future__ import annotations

import os
import sys
import zipimport
from types import ModuleType


class Once(zipimport.zipimporter):
    """Knows a file's name from where it is."""

    def get_filename(self, fullname: str) -> str:
        place = os.path.join(self.archive, self.prefix + fullname.rpartition(".")[2])
        return os.path.join(place, "__init__.py") if self.is_package(fullname) else place + ".py"

    def create_module(self, spec: object) -> None:
        """As every module is created."""

    def exec_module(self, module: ModuleType) -> None:
        code = self.get_code(module.__name__)
        exec(code, module.__dict__)


_loader = globals().get("__loader__")
if isinstance(_loader, zipimport.zipimporter):  # not on the controller
    sys.path_hooks.insert(0, Once)
    for _path in [path for path in sys.path_importer_cache if path.startswith(_loader.archive)]:
        del sys.path_importer_cache[_path]
