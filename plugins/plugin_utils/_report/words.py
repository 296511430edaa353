# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the report: questions as a person asks them, times and sizes as a person reads them."""

from __future__ import annotations

import unicodedata
from typing import Any, Dict, List, Mapping, Sequence

from ...module_utils._core.text import duration, milliseconds, size

__all__ = ["duration", "milliseconds", "size"]
QUESTIONS = {
    "running": "Is PostgreSQL running?",
    "accepting": "Is it accepting connections?",
    "network": "Can clients reach it?",
    "connections": "Are connection slots available?",
    "login": "Can clients log in?",
    "activity": "Are queries getting through?",
    "soundness": "Are data, disk and replication healthy?",
    "amcheck": "Data (amcheck)",
    "log": "Server log",
    "leftovers": "Leftovers",
    "hba": "pg_hba.conf",
}
STATUS_TITLES = {
    "emergency": "Emergency",
    "critical": "Critical",
    "unreachable": "Unreachable",
    "failed": "Not checked",
    "warning": "Warning",
    "ok": "Healthy",
}
ANSWERS = {"yes": "yes", "caution": "caution", "no": "no", "not_asked": "not asked"}
GRADES = {"yes": "go", "caution": "caution", "no": "no-go", "not_asked": "not looked at"}
ESCALATIONS = {"dba": "DBA", "emergency": "emergency contacts"}


def printable(value: Any) -> str:
    """``value`` as text that can steer no terminal and turn no reading direction: such characters are spelled out."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        character
        if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else " "
        if character in "\n\r\t"
        else "\\x%02x" % ord(character)
        for character in text
    )


def question(key: Any) -> str:
    return QUESTIONS.get(str(key), printable(key).replace("_", " ").capitalize())


def path(steps: Sequence[Mapping[str, Any]], graded: bool = False) -> List[Dict[str, str]]:
    """The questions in words: {question, answer, detail}. Nothing is said about those that come after a "no".

    ``graded``: they are checks, each for itself.
    """
    made: List[Dict[str, str]] = []
    over = False
    for step in steps:
        detail = printable(step.get("detail") or "")
        if step["answer"] == "not_asked":
            detail = "" if over else printable(step.get("reason") or detail)
        made.append({"question": question(step["question"]), "answer": str(step["answer"]), "detail": detail})
        over = not graded and (over or step["answer"] == "no")
    return made


def verdict_code(verdict: Mapping[str, Any]) -> str:
    """``pool_exhausted / idle_connections``"""
    return " / ".join(printable(verdict[key]) for key in ("code", "cause") if verdict.get(key))


def before(verdict: Mapping[str, Any]) -> str:
    """An earlier verdict in a line: its code and its words."""
    return "%s: %s" % (verdict_code(verdict), printable(verdict.get("summary") or ""))


def due(verdict: Mapping[str, Any]) -> str:
    """Whom to tell, and when; empty when no one has to be told."""
    to = verdict.get("escalation") or {}
    if to.get("to") in (None, "none"):
        return ""
    who = ESCALATIONS.get(to["to"], printable(to["to"]))
    minutes = to.get("after_minutes")
    return "Tell the %s %s" % (who, "if this is not resolved within %d minutes" % minutes if minutes else "now")


def escalation(verdict: Mapping[str, Any]) -> str:
    """The same as one sentence, with why."""
    to = verdict.get("escalation") or {}
    more = ""
    if to.get("after_minutes") and to.get("or_if"):
        more = ", or if %s" % printable(to["or_if"])
    elif not to.get("after_minutes") and to.get("reason"):
        more = ": %s" % printable(to["reason"]).rstrip(".")
    said = due(verdict)
    return said and "%s%s." % (said, more)


def about(result: Mapping[str, Any]) -> str:
    """``PostgreSQL 17.5 · primary · compose · 0.12 s``"""
    target = result.get("target") or {}
    recovery = target.get("in_recovery")
    total = (result.get("elapsed_ms") or {}).get("total")
    parts = [
        "PostgreSQL %s" % printable(target["version"]) if target.get("version") else "version unknown",
        {True: "standby", False: "primary"}.get(recovery, "") if recovery is not None else "",
        printable(target.get("runtime") or ""),
        "checked in %s" % milliseconds(total) if total is not None else "",
    ]
    return " · ".join(part for part in parts if part)
