# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The post-mortem: an incident in, Markdown out. Pure.

What a server, a log or a person wrote is text here: it can start no heading, no link and no image.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional

from ...module_utils._core.text import count, duration
from ...module_utils._judge.root_causes import root_cause
from .._report.words import ESCALATIONS, printable
from . import timeline
from .state import UNKNOWN, Attempt, Incident
from .timeline import Event

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|!~])")
_NOT_GIVEN = "_not given yet_"


def page(incident: Incident) -> str:
    parts = [
        "# Incident %s" % _text(incident.id),
        "",
        *_table(_facts(incident)),
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


def _facts(incident: Incident) -> Dict[str, str]:
    closed, taken = incident.closed, incident.acknowledged
    end = "%s (%s)" % (incident.impact_end, duration(incident.impact_seconds)) if incident.impact_end else ""
    torn = "%s cut short by an interruption, ignored" % count(incident.torn, "line") if incident.torn else ""
    rows = {
        "Host": incident.host,
        "Verdict": " / ".join(filter(None, [incident.code, str(incident.cause or "")])),
        "Summary": incident.summary,
        "Severity": "%s (the worst seen)" % incident.severity,
        "State": "closed %s" % closed["at"] if closed else "open",
        "Impact start": "%s (%s)" % (incident.impact_start, incident.impact_source),
        "Detected": incident.detected,
        "Acknowledged": "%s by %s" % (taken["at"], taken.get("by") or "somebody") if taken else "nobody yet",
        "Impact end": end or "not yet: no look has found it healthy since",
        "Broke again after that": count(incident.repeated, "time") if incident.repeated else "",
        "Downtime by procedures": duration(incident.downtime_seconds) or "none recorded",
        "Record": torn,
    }
    return {name: _text(value) for name, value in rows.items() if value}


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
    """The same look again and again is one line."""
    lines: List[str] = []
    before: Optional[Event] = None
    same = 1
    for each in incident.events:
        said = _said(each)
        if before is not None and each["kind"] == timeline.LOOK == before["kind"] and said == _said(before):
            same += 1
            lines[-1] = "- %s %s (%d times, last at %s)" % (before["at"], said, same, each["at"])
            continue
        before, same = each, 1
        lines.append("- %s %s" % (each["at"], said))
    return lines


def _said(each: Event) -> str:
    kind = each["kind"]

    def get(key: str) -> str:
        return _text(each.get(key))

    if kind == timeline.OPENED:
        return "opened: %s, %s" % (get("severity"), get("summary"))
    if kind == timeline.LOOK:
        found = " / ".join(filter(None, [get("code"), get("cause")]))
        return "%s: %s" % (get("verb") or "triage", ": ".join(filter(None, [found or get("severity"), get("summary")])))
    if kind == timeline.ACKNOWLEDGED:
        return "acknowledged by %s%s" % (get("by"), ": " + get("text") if get("text") else "")
    if kind == timeline.BEGINS:
        return "%s begins (%s)" % (get("verb"), get("by"))
    if kind == timeline.ENDED:
        took = duration(each["seconds"]) if isinstance(each.get("seconds"), (int, float)) else ""
        return "%s: %s%s%s" % (
            get("verb"),
            get("outcome"),
            " after %s" % took if took else "",
            ": " + get("message") if get("message") else "",
        )
    if kind == timeline.REFUSED:
        left = each.get("open")
        return "not closed: %s" % _text("; ".join(map(str, left)) if isinstance(left, list) else left)
    if kind == timeline.CLOSED:
        return "closed by %s" % get("by")
    more = ", ".join("%s %s" % (_text(key), _text(value)) for key, value in each.items() if key not in ("at", "kind"))
    return "%s: %s" % (_text(kind), more) if more else _text(kind)


def _table(rows: Mapping[str, str]) -> List[str]:
    return ["| | |", "|---|---|", *("| %s | %s |" % row for row in rows.items())]


def _section(title: str, lines: List[str], always: bool = False) -> List[str]:
    return ["", "## %s" % title, "", *lines] if lines or always else []


def _text(value: Any) -> str:
    return "" if value is None else _MARKS.sub(r"\\\1", " ".join(printable(value).split()))
