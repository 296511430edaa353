# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible ships to a host for each module, by its own dependency finder.

python -m scripts.payload     # write the sizes anew into tests/unit/payload.json
"""

from __future__ import annotations

import ast
import json
import pathlib
from collections.abc import Iterator

from ansible.executor.module_common import ModuleDepFinder

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
PLUGINS = CHECKOUT / "plugins"
RECORD = CHECKOUT / "tests" / "unit" / "payload.json"
_OURS = ("ansible_collections", "oncall", "postgresql", "plugins")


def modules() -> list[str]:
    """Those that are shipped: an action plugin alone does the work of the others."""
    return [path.stem for path in sorted((PLUGINS / "modules").glob("*.py")) if "WORK = " in path.read_text()]


def shipped(module: str) -> list[pathlib.Path]:
    """Our own files in the payload of ``module``, the module's among them."""
    waiting, found = [PLUGINS / "modules" / (module + ".py")], set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path)
    return sorted(found)


def kibibytes(module: str) -> float:
    return round(sum(path.stat().st_size for path in shipped(module)) / 1024, 1)


def _imported(path: pathlib.Path) -> Iterator[pathlib.Path]:
    parts = (*_OURS, *path.relative_to(PLUGINS).with_suffix("").parts)
    if path.name == "__init__.py":
        parts = parts[:-1]
    finder = ModuleDepFinder(".".join(parts), ast.parse(path.read_text()), path.name == "__init__.py")
    for name in finder.submodules:
        if name[: len(_OURS)] == _OURS:
            yield from _files(name[len(_OURS) :])


def _files(parts: tuple[str, ...]) -> Iterator[pathlib.Path]:
    """The file, or that in which the last part is a name; and the packages that it is in."""
    for inner in (parts, parts[:-1]):
        place = PLUGINS.joinpath(*inner)
        found = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if found.is_file():
            yield found
            for package in found.parents:
                if package != PLUGINS and PLUGINS in package.parents and (package / "__init__.py").is_file():
                    yield package / "__init__.py"
            return


if __name__ == "__main__":
    RECORD.write_text(json.dumps({module: kibibytes(module) for module in modules()}, indent=2) + "\n")
