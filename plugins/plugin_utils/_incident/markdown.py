# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The post-mortem: an incident in, Markdown out. Pure.

What a server, a log or a person wrote is text here: it can start no heading, no link and no image.
"""

from __future__ import annotations

import re
from typing import Any, List, Mapping

from ...module_utils._core.text import duration
from ...module_utils._judge.root_causes import root_cause
from .._report.words import ESCALATIONS, printable
from . import told
from .state import UNKNOWN, Attempt, Incident
from .timeline import Event

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|!~])")
_NOT_GIVEN = "_not given yet_"


def page(incident: Incident) -> str:
    parts = [
        "# Incident %s" % _text(incident.id),
        "",
        *_table({name: _text(value) for name, value in told.rows(incident).items()}),
        *_section("Procedures", _attempts(incident)),
        *_section("Attempts that failed", [_failed(each) for each in incident.attempts if each.failed]),
        *_section("Escalations", [_escalated(each) for each in incident.escalations]),
        *_section("Integrity", [_graded(each) for each in incident.grades]),
        *_section("Evidence", ["- %s" % _text(path) for path in incident.evidence]),
        *_section("Root cause", _root_cause(incident), True),
        *_section("Corrective actions", _actions(incident), True),
        *_section("Checklist", _checklist(incident)),
        *_section("Timeline", _timeline(incident)),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _attempts(incident: Incident) -> List[str]:
    if not incident.attempts:
        return []
    lines = ["| began | procedure | result | duration | downtime |", "|---|---|---|---|---|"]
    for each in incident.attempts:
        times = (duration(each.seconds), duration(each.downtime_seconds))
        cells = (each.began, each.verb, each.outcome or "began, %s" % UNKNOWN, *times)
        lines.append("| %s |" % " | ".join(_text(cell) or "-" for cell in cells))
    return lines


def _failed(each: Attempt) -> str:
    return "- %s %s %s: %s" % (
        each.began,
        _text(each.verb),
        _text(each.outcome),
        _text(each.message) or "no reason given",
    )


def _escalated(each: Event) -> str:
    who = ESCALATIONS.get(str(each.get("to")), str(each.get("to")))
    return "- %s %s: %s" % (each["at"], _text(who), _text(each.get("why")))


def _graded(each: Event) -> str:
    return "- %s **%s**: %s" % (each["at"], _text(each.get("grade")), _text(each.get("summary")))


def _root_cause(incident: Incident) -> List[str]:
    """What was given, and what the verdict tells to look for."""
    lines = [_text((incident.closed or {}).get("root_cause")) or _NOT_GIVEN]
    row = root_cause(incident.code, incident.cause if isinstance(incident.cause, str) else None)
    if row:
        for title, each in (("To investigate", row.investigate), ("Lasting fix", row.lasting_fix)):
            lines += ["", "### %s: %s" % (title, row.title.lower()), "", *("- %s" % _text(line) for line in each)]
    return lines


def _actions(incident: Incident) -> List[str]:
    given = (incident.closed or {}).get("corrective_actions")
    rows = [each for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []
    if not rows:
        return [_NOT_GIVEN]
    lines = ["| what | owner | due |", "|---|---|---|"]
    for each in rows:
        lines.append("| %s |" % " | ".join(_text(each.get(key)) or "-" for key in ("what", "owner", "due")))
    return lines


def _checklist(incident: Incident) -> List[str]:
    """As it was when the incident was closed, or last was to be."""
    last = incident.closed or (incident.refusals[-1] if incident.refusals else {})
    items = last.get("items")
    lines = []
    for each in items if isinstance(items, list) else []:
        if isinstance(each, Mapping):
            mark = "x" if each.get("done") else " "
            lines.append("- [%s] %s: %s" % (mark, _text(each.get("title")), _text(each.get("detail"))))
            if each.get("accepted"):
                lines[-1] += " **Accepted: %s**" % _text(each.get("accepted"))
    return lines


def _timeline(incident: Incident) -> List[str]:
    made = []
    for each in told.lines(incident):
        again = " (%d times, last at %s)" % (each.times, each.last_at) if each.times > 1 else ""
        made.append("- %s %s%s" % (each.event["at"], _text(each.text), again))
    return made


def _table(rows: Mapping[str, str]) -> List[str]:
    return ["| | |", "|---|---|", *("| %s | %s |" % row for row in rows.items())]


def _section(title: str, lines: List[str], always: bool = False) -> List[str]:
    return ["", "## %s" % title, "", *lines] if lines or always else []


def _text(value: Any) -> str:
    return "" if value is None else _MARKS.sub(r"\\\1", " ".join(printable(value).split()))
