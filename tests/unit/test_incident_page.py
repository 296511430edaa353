# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of an incident: what a look keeps in numbers, and what the page makes of a record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Dict, Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import frame, told
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.figures import figures
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.state import fold
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.graded import graded
from tests.unit import samples

T0 = datetime(2026, 11, 29, 3, 20, 11, tzinfo=UTC)


def process(title: str) -> Dict[str, Any]:
    return {"pid": 1, "title": title, "state": "S"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, None),
        ({"server": {"processes": [process("postgres: checkpointer ")]}}, None),
        (
            {
                "server": {
                    "processes": [
                        process("postgres: shop shop 10.0.0.5(4711) idle"),
                        process("postgres: shop shop [local] UPDATE waiting"),
                    ]
                }
            },
            {"connections": 2, "usable": None, "states": {"idle": 1, "active": 1}, "blocked": 1},
        ),
        (
            samples.pool_exhausted()["facts"],
            {
                "connections": 97,
                "usable": 97,
                "states": {"idle in transaction": 4, "idle": 90, "active": 3},
                "blocked": 0,
            },
        ),
        (samples.blocked()["facts"], {"blocked": 6, "prepared": 1}),
    ],
    ids=["nothing", "no session", "no SQL", "leak", "locks"],
)
def test_what_a_look_keeps(facts: Dict[str, Any], expected: Optional[Dict[str, Any]]) -> None:
    found = figures(facts)
    assert (found and {key: found[key] for key in expected or {}}) == expected


def test_limits_that_are_close() -> None:
    facts = samples.healthy()["facts"]
    facts["snapshot"]["limits"] = {
        "roles": [{"name": "shop", "limit": 10, "used": 8}, {"name": "etl", "limit": 0, "used": 0}],
        "databases": [{"name": "shop", "limit": 3, "used": 3}, {"name": "hr", "limit": 10, "used": 7}],
    }
    found = figures(facts)
    assert found is not None
    assert [(each["name"], each["limit"]) for each in found["limits"]] == [("shop", 3), ("shop", 10)]


def test_a_grade_keeps_its_checks_and_what_was_not_looked_at() -> None:
    check: Dict[str, Any] = {
        "check": "amcheck",
        "grade": "caution",
        "summary": "half of it",
        "evidence": [],
        "remedy": None,
    }
    found: Dict[str, Any] = {"grade": "caution", "summary": "In a line", "checks": [check], "integrity": {}}
    found["not_covered"] = ["shop: amcheck: it is not installed"]
    kept = frame.look(graded(found), "integrity_check", T0)
    assert kept["checks"] == [{"check": "amcheck", "answer": "caution", "detail": "half of it"}]
    assert kept["not_covered"] == ["shop: amcheck: it is not installed"]
    (line,) = told.lines(fold("x", [kept]))
    assert line.text == "integrity_check: caution: In a line"
