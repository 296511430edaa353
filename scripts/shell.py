# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell scripts inside the Python code, checked as scripts: Ansible ships nothing but .py files to a host.

    python -m scripts.shell     # written to build/shell, then shellcheck and each shell's own look at the syntax

A constant whose name ends in ``_SH`` is a whole script for any POSIX shell, in ``_BASH`` one for bash; ``_PART`` is a
piece of such scripts, and checked in them. A unit test holds that no other constant looks like shell.
"""

from __future__ import annotations

import ast
import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
UTILS = CHECKOUT / "plugins" / "module_utils"
PACKAGE = "ansible_collections.oncall.postgresql.plugins.module_utils"
BUILD = CHECKOUT / "build" / "shell"
# ending of the name -> what checks such a script, besides shellcheck
SHELLS = {"_SH": (("busybox", "sh", "-n"), ("sh", "-n")), "_BASH": (("bash", "-n"),)}
PIECE = "_PART"


def constants(path: Path) -> Iterator[tuple[str, ast.expr]]:
    """The module's own names and what they are made of."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def scripts() -> Iterator[tuple[Path, str, str]]:
    """(file, name of the constant, text) of every script."""
    for path in sorted(UTILS.rglob("*.py")):
        names = [name for name, _value in constants(path) if name.endswith(tuple(SHELLS))]
        if names:
            module = importlib.import_module(".".join([PACKAGE, *path.relative_to(UTILS).with_suffix("").parts]))
            for name in names:
                yield path, name, getattr(module, name)


def check(file: Path, ending: str) -> list[str]:
    """What the checkers say of a script."""
    dialect = "bash" if ending == "_BASH" else "sh"
    commands = [["shellcheck", "-s", dialect, str(file)], *([*words, str(file)] for words in SHELLS[ending])]
    said: list[str] = []
    for command in commands:
        if shutil.which(command[0]) is None:
            said.append("%s is not installed" % command[0])
            continue
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said.append("%s:\n%s%s" % (" ".join(command[:3]), done.stdout, done.stderr))
    return said


def main() -> int:
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    said: list[str] = []
    count = lines = 0
    for path, name, text in scripts():
        ending = next(ending for ending in SHELLS if name.endswith(ending))
        file = BUILD / ("%s.%s.sh" % (".".join(path.relative_to(UTILS).with_suffix("").parts), name.strip("_")))
        file.write_text(text.lstrip("\n"), encoding="utf-8")
        said += check(file, ending)
        count, lines = count + 1, lines + text.count("\n")
    print("%d scripts, %d lines" % (count, lines))
    for each in dict.fromkeys(said):
        print(each, file=sys.stderr)
    return 1 if said or not count else 0


if __name__ == "__main__":
    sys.exit(main())
