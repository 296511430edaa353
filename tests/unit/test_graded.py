# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An integrity check as the report shows it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._report import text
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.graded import graded
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.model import worst_first


def check(name: str, grade: Optional[str], *evidence: str) -> Dict[str, Any]:
    said = {"summary": "%s in a line" % name, "evidence": list(evidence), "remedy": None}
    return {"check": name, "grade": grade, **said}


def result(grade: str, *checks: Dict[str, Any], not_covered: Optional[List[str]] = None) -> Dict[str, Any]:
    return {
        "grade": grade,
        "summary": "In a line",
        "checks": list(checks),
        "not_covered": not_covered or [],
        "integrity": {},
        "target": {"host": "db1"},
        "elapsed_ms": {"total": 1.0},
    }


@pytest.mark.parametrize(
    ("found", "severity", "told", "evidence"),
    [
        (result("go", check("amcheck", "go", "100 %")), "ok", "none", []),
        (result("caution", check("schema", "caution", "an index")), "warning", "none", ["an index"]),
        (result("no_go", check("sequences", "no_go", "ids")), "critical", "dba", ["ids"]),
        (
            result("no_go", check("amcheck", "no_go", "a"), check("age", "no_go", "b")),
            "emergency",
            "emergency",
            ["a", "b"],
        ),
    ],
)
def test_a_grade_as_a_verdict(found: Dict[str, Any], severity: str, told: str, evidence: List[str]) -> None:
    verdict = graded(found)["verdict"]
    assert (verdict["severity"], verdict["escalation"]["to"], verdict["evidence"]) == (severity, told, evidence)
    assert (verdict["code"], verdict["cause"], verdict["remedy"]) == ("integrity", found["grade"], None)


def test_every_check_and_all_that_was_not_covered_is_shown() -> None:
    found = result(
        "no_go",
        check("collations", "caution", "a moved one"),
        check("amcheck", "no_go", "a damaged one"),
        check("control_file", None),
        not_covered=["postgres: amcheck: it is not installed", "postgres: a sequence", "backups: unknown"],
    )
    lines = text.plain(text.render(worst_first({"db1": {**found, **graded(found)}}))).splitlines()
    shown = "\n".join(lines)
    for words in ("! Collations", "✗ Data (amcheck)", "· Control file", "- a damaged one", "- a moved one"):
        assert words in shown, shown
    assert "Not checked (postgres): amcheck: it is not installed; a sequence" in shown
    assert "Not checked (backups): unknown" in shown and "Tell the emergency contacts now" in shown
