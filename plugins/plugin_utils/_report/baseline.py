# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A baseline in the shape of a triage's result: what it holds, and what changed since the last. Pure."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ...module_utils._core.text import count, size
from ...module_utils._judge.baseline import told
from ...module_utils._model.answers import OK
from .graded import by_subject
from .model import SCHEMA


def baseline(result: Mapping[str, Any]) -> Dict[str, Any]:
    """``result``: the module's, with what was kept -> {schema, verdict, path, findings, facts}."""
    held: Mapping[str, Any] = result["baseline"]
    databases = held["databases"]
    tables = [each for one in databases for each in one["tables"]]
    rows = sum(1 for each in tables if each["exact"])
    whole = sum(one["bytes"] or 0 for one in databases)
    steps = {
        "databases": "%s, %s" % (count(len(databases), "database"), size(whole)),
        "tables": "%s, %s counted" % (count(len(tables), "table"), rows),
        "settings": count(len(held["settings"]), "setting"),
        "roles": count(len(held["roles"]), "role"),
        "hba": None if held["hba"] is None else count(len(held["hba"]), "rule"),
    }
    changes = result["changes"]
    more = (
        ": %s since %s" % (count(len(changes), "change"), result["previous"]) if result["previous"] and changes else ""
    )
    return {
        "schema": SCHEMA,
        "verdict": {
            "code": "baseline",
            "cause": ("first" if not result["previous"] else "changed") if result["changed"] else "unchanged",
            "question": None,
            "severity": OK,
            "summary": result["msg"] + more,
            "evidence": [told(each) for each in changes],
            "remedy": None,
            "escalation": {"to": "none", "after_minutes": None, "or_if": None, "reason": ""},
        },
        "path": [
            {"question": name, "answer": "not_asked" if said is None else "yes", "detail": said or "", "reason": None}
            for name, said in steps.items()
        ],
        "findings": [],
        "facts": {"errors": by_subject(result["not_covered"]), "baseline": held},
    }
