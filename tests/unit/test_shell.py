# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No shell script escapes the lint stage (scripts/shell.py): by the names of the constants that hold one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from scripts.shell import PACKAGE, PIECE, SHELLS, UTILS, constants, scripts

# What two lines of shell have, and neither prose nor SQL nor psql's own commands.
LOOKS_LIKE_SHELL = re.compile(
    r"(?m)^\s*(?:if \[|elif \[|fi\b|done\b|esac\b|case \S+ in\b|while (?:read|IFS)|read -r|for \w+ in .*; do"
    r"|kill -\w+ |exec \d)"
    r"|\$\(\w.*\)|\$\{\w+[:#%]"
)


def suspicious(path: Path) -> set[str]:
    """Strings of at least two lines that look like shell and stand in no constant of the right name."""
    allowed: set[int] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name, value in constants(path):
        if name.endswith((*SHELLS, PIECE)):
            allowed |= set(range(value.lineno, (value.end_lineno or value.lineno) + 1))
    documentation = {
        node.body[0].value.lineno
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return {
        "%s:%d" % (path.name, node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.count("\n") > 1
        and node.lineno not in allowed | documentation
        and LOOKS_LIKE_SHELL.search(node.value)
    }


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(UTILS))) for path in UTILS.rglob("*.py")])
def test_every_script_has_a_name_that_lint_knows(path: Path) -> None:
    assert suspicious(path) == set()


def test_all_scripts_are_found() -> None:
    found = {name for _path, name, _text in scripts()}
    assert {"_LOOK_SH", "_TOOLBOX_SH", "_READY_SH", "_PSQL_SH", "_INTERRUPT_SH", "_ROLL_SH", "_TERMINATE_SH"} <= found
    assert sum(text.count("\n") for _path, _name, text in scripts()) > 350


def test_each_looks_like_what_it_is() -> None:
    """So that the pattern above would see it under another name."""
    unseen = {name for _path, name, text in scripts() if not LOOKS_LIKE_SHELL.search(text)}
    assert unseen <= {"_PROBE_BASH"}  # a single line


def test_a_script_under_another_name_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text('_X = r"""\nread -r a\nif [ "$a" ]; then echo; fi\n"""\n_Y_SH = """\nif [ 1 ]; then\nfi\n"""\n')
    assert suspicious(file) == {"module.py:1"}


def test_pieces_are_parts_of_scripts() -> None:
    for path in UTILS.rglob("*.py"):
        for name, value in constants(path):
            if name.endswith(PIECE):
                piece = ast.literal_eval(value)
                assert any(piece in text for _path, _name, text in scripts()), "%s of %s.%s" % (
                    name,
                    PACKAGE,
                    path.stem,
                )
