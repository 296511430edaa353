# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shipped to a host: nothing that changes anything with what only looks, and no more than was decided."""

from __future__ import annotations

import json

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import CHANGING, READING
from scripts.payload import PLUGINS, RECORD, kibibytes, modules, shipped

PROCEDURES = PLUGINS / "module_utils" / "_procedures"


def test_every_module_that_is_shipped_is_looked_at() -> None:
    assert set(modules()) == {*READING, *CHANGING} == set(json.loads(RECORD.read_text()))


@pytest.mark.parametrize("module", READING)
def test_what_only_looks_ships_no_line_that_changes_anything(module: str) -> None:
    files = shipped(module)
    assert PLUGINS / "module_utils" / "_gather" / "target.py" in files  # the finder finds
    assert [path for path in files if PROCEDURES in path.parents] == []


@pytest.mark.parametrize("module", CHANGING)
def test_what_changes_ships_its_procedure(module: str) -> None:
    assert [path for path in shipped(module) if PROCEDURES in path.parents]


@pytest.mark.parametrize("module", [*READING, *CHANGING])
def test_growth_is_a_decision(module: str) -> None:
    """In KiB. More than recorded, or much less: python -m scripts.payload, and say in the commit why."""
    recorded = json.loads(RECORD.read_text())[module]
    assert recorded * 0.9 <= kibibytes(module) <= recorded + 2
