# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A graded check in the shape of a triage's result: a path of checks, a verdict, findings. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from ...module_utils._model.answers import CRITICAL, EMERGENCY, OK, WARNING
from ...module_utils._model.integrity import CAUTION, GO, NO_GO
from .model import SCHEMA

_ANSWERS = {GO: "yes", CAUTION: "caution", NO_GO: "no", None: "not_asked"}
_OF_THE_DATA = ("control_file", "checksums", "log", "collations", "amcheck")  # where no-go means that data is damaged
_DAMAGED = {"to": "emergency", "after_minutes": 0, "or_if": None, "reason": "data is damaged, a restore may be needed"}
_NO_GO = {"to": "dba", "after_minutes": 0, "or_if": None, "reason": "the integrity check is a no-go"}
_UNFIT = {"to": "dba", "after_minutes": 0, "or_if": None, "reason": "this backup cannot be relied on"}
_NOBODY = {"to": "none", "after_minutes": None, "or_if": None, "reason": ""}


def graded(result: Mapping[str, Any]) -> Dict[str, Any]:
    """``result``: integrity_info's -> {schema, verdict, path, findings, facts}."""
    checks: List[Mapping[str, Any]] = result["checks"]
    grade = result["grade"]
    telling = [each for each in checks if each["grade"] == grade and grade != GO]
    damaged = any(each["grade"] == NO_GO and each["check"] in _OF_THE_DATA for each in checks)
    severity = {GO: OK, CAUTION: WARNING, NO_GO: EMERGENCY if damaged else CRITICAL}[grade]
    escalation = _DAMAGED if damaged else _NO_GO if grade == NO_GO else _NOBODY
    return {
        "schema": SCHEMA,
        "verdict": {
            "code": "integrity",
            "cause": grade,
            "question": telling[0]["check"] if telling else None,
            "severity": severity,
            "summary": result["summary"],
            "evidence": [line for each in telling for line in each["evidence"]],
            "remedy": next((each["remedy"] for each in telling if each["remedy"]), None),
            "escalation": dict(escalation),
        },
        "path": [
            {"question": each["check"], "answer": _ANSWERS[each["grade"]], "detail": each["summary"], "reason": None}
            for each in checks
        ],
        "findings": [
            {"code": each["check"], "severity": WARNING, "summary": each["summary"], "evidence": each["evidence"]}
            for each in checks
            if each["grade"] == CAUTION and each not in telling
        ],
        "facts": {"errors": by_subject(result["not_covered"]), "integrity": result["integrity"]},
    }


def proved(result: Mapping[str, Any]) -> Dict[str, Any]:
    """``result``: restore_proof's. The server's own data is another matter: nothing here says that it is damaged."""
    found = graded(result)
    bad = result["grade"] == NO_GO
    found["verdict"].update(
        code="restore_proof",
        severity=CRITICAL if bad else found["verdict"]["severity"],
        escalation=dict(_UNFIT if bad else _NOBODY),
    )
    return found


def by_subject(not_covered: Sequence[str]) -> Dict[str, str]:
    """``SUBJECT: why``, once each."""
    found: Dict[str, str] = {}
    for line in not_covered:
        about, _colon, why = line.partition(": ")
        found[about] = "; ".join(filter(None, [found.get(about), why]))
    return found
