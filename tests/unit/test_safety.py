# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/safety.md: each rule names tests, and those are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import List, Tuple

import pytest

CHECKOUT = Path(__file__).parents[2]
ROWS = re.findall(r"(?m)^\| ?(\d*) \| (.+?) \| (.+) \|$", (CHECKOUT / "docs" / "safety.md").read_text(encoding="utf-8"))
RULES: List[Tuple[str, List[str]]] = [(number, re.findall("`([^`]+)`", tests)) for number, _rule, tests in ROWS]


def test_every_rule_is_there() -> None:
    assert [number for number, _tests in RULES] == [*map(str, range(1, 17)), ""]


@pytest.mark.parametrize("tests", [pytest.param(tests, id=number or "printed") for number, tests in RULES])
def test_its_tests_are_there(tests: List[str]) -> None:
    assert len(tests) >= 2
    for name in tests:
        file, _colons, function = name.partition("::")
        tree = ast.parse((CHECKOUT / "tests" / file).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name
