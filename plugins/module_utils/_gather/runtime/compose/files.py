# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as a container sees them: by ``/proc`` as root beside the engine, else, and of a stopped one, by the engine."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Dict, Optional

from ...._core.errors import OncallError
from ...._core.rooted import Rooted

if TYPE_CHECKING:
    from ...._core.deadline import Deadline
    from .project import Inspection, View

_LONGEST = 1 << 16  # bytes; the engine's layer gives no more
_MOST_LINKS = 40


class Files:
    """Each file is read once. What cannot be read is None, and ``problems`` says why, without a word of content."""

    def __init__(self, view: View, inspected: Inspection, deadline: Deadline) -> None:
        self.problems: Dict[str, str] = {}
        self._view, self._inspected, self._deadline = view, inspected, deadline
        self._known: Dict[str, Optional[str]] = {}

    def read(self, path: str) -> Optional[str]:
        if path not in self._known:
            self._known[path] = self._read(path)
        return self._known[path]

    def _read(self, path: str) -> Optional[str]:
        pid = self._view.enterable(self._inspected)
        try:
            if pid is not None:
                return Rooted("/proc/%d/root" % pid, path).text(_LONGEST)
            return self._ask(path)
        except OSError as error:
            self.problems[path] = error.strerror or str(error)
        except OncallError as error:
            self.problems[path] = str(error)
        return None

    def _ask(self, path: str) -> str:
        """The engine resolves a path inside the container, but gives a link at its end as a link."""
        at = path
        for _unused in range(_MOST_LINKS + 1):
            found = self._view.engine.file(self._inspected["Id"], at, self._deadline)
            if found is None:
                raise FileNotFoundError(2, "No such file or directory", path)
            if not found.link:
                return found.text
            at = posixpath.join(posixpath.dirname(at), found.link)
        raise OSError(40, "Too many levels of symbolic links", path)
