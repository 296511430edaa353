# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An incident in words, as both the post-mortem and the page have them: plain text, to be escaped by each. Pure."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple

from ...module_utils._core.text import count, duration
from .._report.words import ESCALATIONS, printable
from . import timeline
from .state import Incident
from .timeline import Event

NOTICES = {
    "trigger": "opened",
    "remind": "nobody has responded",
    "acknowledge": "acknowledged",
    "resolve": "resolved",
    "escalate_dba": "escalated to the DBA",
    "escalate_emergency": "escalated to the emergency contacts",
}


class Line(NamedTuple):
    event: Event
    text: str
    times: int  # the same look again and again is one line
    last_at: str


def rows(incident: Incident, clock: Callable[[str], str] = str) -> Dict[str, str]:
    """What stands at the top: title -> value, as plain text. ``clock``: how a time of the timeline is written."""
    closed, taken = incident.closed, incident.acknowledged
    end = "%s (%s)" % (clock(incident.impact_end), duration(incident.impact_seconds)) if incident.impact_end else ""
    torn = "%s cut short by an interruption, ignored" % count(incident.torn, "line") if incident.torn else ""
    found = {
        "Host": incident.host,
        "Verdict": " / ".join(filter(None, [incident.code, str(incident.cause or "")])),
        "Summary": incident.summary,
        "Severity": "%s (the worst seen)" % incident.severity,
        "State": "closed %s" % clock(closed["at"]) if closed else "open",
        "Impact start": "%s (%s)" % (clock(incident.impact_start), incident.impact_source),
        "Detected": clock(incident.detected),
        "Acknowledged": "%s by %s" % (clock(taken["at"]), taken.get("by") or "somebody") if taken else "nobody yet",
        "Impact end": end or "not yet: no look has found it healthy since",
        "Broke again after that": count(incident.repeated, "time") if incident.repeated else "",
        "Downtime by procedures": duration(incident.downtime_seconds) or "none recorded",
        "Record": torn,
    }
    return {name: value for name, value in found.items() if value}


def said(each: Event) -> str:
    """An event as one line of plain text, without its time."""
    kind = each["kind"]

    def get(key: str) -> str:
        return _plain(each.get(key))

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
        return "not closed: %s" % _plain("; ".join(map(str, left)) if isinstance(left, list) else left)
    if kind == timeline.CLOSED:
        return "closed by %s" % get("by")
    if kind == timeline.GRADED:
        return "integrity_check: %s: %s" % (get("grade"), get("summary"))
    if kind == timeline.EVIDENCE:
        return "evidence kept: %s" % get("path")
    if kind == timeline.NOTE:
        return "note by %s: %s" % (get("by"), get("text"))
    if kind == timeline.ESCALATED:
        return "escalated to the %s: %s" % (ESCALATIONS.get(get("to"), get("to")), get("why"))
    if kind in timeline.MESSAGES:
        notice = NOTICES.get(get("notice"), get("notice"))
        became = "not sent" if kind == timeline.FAILED else kind
        return "message to %s, %s: %s" % (get("channel"), notice, ": ".join(filter(None, [became, get("why")])))
    more = ", ".join("%s %s" % (_plain(key), _plain(value)) for key, value in each.items() if key not in ("at", "kind"))
    return "%s: %s" % (_plain(kind), more) if more else _plain(kind)


def lines(incident: Incident) -> List[Line]:
    """The timeline."""
    found: List[Line] = []
    for each in incident.events:
        text, last = said(each), found[-1] if found else None
        if last and each["kind"] == timeline.LOOK == last.event["kind"] and text == last.text:
            found[-1] = last._replace(times=last.times + 1, last_at=each["at"])
        else:
            found.append(Line(each, text, 1, each["at"]))
    return found


def _plain(value: Any) -> str:
    return "" if value is None else " ".join(printable(value).split())
