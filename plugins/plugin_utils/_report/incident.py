# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An incident as the page shows it: what its record tells, in plain values for the template. Pure.

A line of a record may be another version's or somebody's own: what has not the shape it should have is left out.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ...module_utils._core.text import count, duration
from ...module_utils._judge.root_causes import root_cause
from .._incident import timeline, told
from .._incident.state import UNKNOWN, Attempt, Incident
from .._incident.timeline import Event, time_of
from . import pictures, words
from .model import STATUSES

UNREAD, NEUTRAL = "not known", "neutral"
_SESSIONS = "Sessions "
_LEVELS = {"on_call": "on call", **words.ESCALATIONS}
_OUTCOMES = {"done": "ok", "unchanged": "ok", "failed": "critical", "refused": "warning"}
_GRADES = {"go": "ok", "caution": "warning", "no_go": "critical"}
_ANSWERS = {"yes": "ok", "caution": "warning", "no": "critical"}


def view(incident: Incident) -> Dict[str, Any]:
    closed = incident.closed or {}
    looks = [each for each in incident.events if each["kind"] == timeline.LOOK and _of_the_server(each)]
    seen: Set[Tuple[str, ...]] = set()
    rows = told.rows(incident, clock)
    for shown_elsewhere in ("Host", "Summary", "Severity"):
        rows.pop(shown_elsewhere, None)
    return {
        "id": incident.id,
        "host": incident.host,
        "title": title(incident),
        "code": " / ".join(filter(None, [incident.code, incident.cause])),
        "status": _status(incident.severity),
        "closed": bool(closed),
        "summary": words.printable(incident.summary),
        "rows": rows,
        "then_and_now": _then_and_now(incident, looks),
        "chart": _chart(incident, looks),
        "looks": [_figured(each) for each in looks if _figures(each)],
        "timeline": [_line(each) for each in told.lines(incident) if not _repeats(each.event, seen)],
        "attempts": [_attempt(each) for each in incident.attempts],
        "escalations": [_escalation(each) for each in incident.escalations],
        "messages": _messages(incident.events),
        "integrity": _integrity(incident.grades[-1]) if incident.grades else None,
        "root_cause": words.printable(closed.get("root_cause") or ""),
        "guide": root_cause(incident.code, incident.cause),
        "actions": _mappings(closed.get("corrective_actions")),
        "checklist": [_item(each) for each in _mappings(_checklist(incident))],
        "evidence": [words.printable(each) for each in incident.evidence],
    }


def title(incident: Incident) -> str:
    closed = incident.closed
    when = "closed %s" % clock(closed["at"]) if closed else "open since %s" % clock(incident.detected)
    return "%s: %s" % (incident.code, when)


def _of_the_server(look: Event) -> bool:
    """Whether it says how the server is; a baseline that was kept, say, does not."""
    return look.get("code") == "healthy" or look.get("severity") != "ok"


def clock(text: Any) -> str:
    """``2026-11-29 03:20:11``, UTC; what is no time as it is."""
    at = time_of(text)
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else words.printable(text or "")


# --- then and now ----------------------------------------------------------------------------------------------------


def _then_and_now(incident: Incident, looks: Sequence[Event]) -> Optional[Dict[str, Any]]:
    """The first look that found it beside the last one; ``now`` is empty where there is none after it."""
    first = next((each for each in looks if each.get("code") == incident.code), None)
    if first is None:
        return None
    last = looks[-1] if looks[-1] is not first else None
    before, after = _told(first), _told(last) if last else {}
    what = list(dict.fromkeys([*before, *after]))
    return {
        "then": clock(first["at"]),
        "now": clock(last["at"]) if last else "",
        "then_status": _status(first.get("severity")),
        "now_status": _status(last.get("severity")) if last else "",
        "rows": [
            (each, before.get(each, _absent(each, first)), after.get(each, _absent(each, last) if last else ""))
            for each in what
        ],
    }


def _absent(what: str, look: Event) -> str:
    """Of what the other look has: no session is in that state; nothing is close to that limit."""
    if not _figures(look):
        return UNREAD
    return "0" if what.startswith(_SESSIONS) else "not close"


def _told(look: Event) -> Dict[str, str]:
    verdict = " / ".join(words.printable(look[key]) for key in ("code", "cause") if look.get(key))
    found = {
        "Verdict": verdict or words.printable(look.get("severity") or ""),
        "Found": words.printable(look.get("summary") or ""),
    }
    figures = _figures(look)
    if not figures:
        return {**found, "Connections": UNREAD}
    found["Connections"] = _used(figures)
    for state, sessions in _states(figures):
        found[_SESSIONS + words.printable(state)] = str(sessions)
    for key, title in (
        ("blocked", _SESSIONS + "waiting for a lock"),
        ("long_queries", "Long-running queries"),
        ("prepared", "Prepared transactions"),
    ):
        found[title] = str(figures[key]) if _whole(figures.get(key)) else UNREAD
    for each in _mappings(figures.get("limits")):
        found["Limit of %s" % words.printable(each.get("name"))] = "%s of %s" % (
            words.printable(each.get("used")),
            words.printable(each.get("limit")),
        )
    return found


def _used(figures: Mapping[str, Any]) -> str:
    usable = figures.get("usable")
    return "%s of %s usable slots" % (figures["connections"], usable) if _whole(usable) else str(figures["connections"])


def _figures(look: Event) -> Dict[str, Any]:
    found = look.get("figures")
    return found if isinstance(found, dict) and _whole(found.get("connections")) else {}


def _states(figures: Mapping[str, Any]) -> List[Tuple[str, int]]:
    states = figures.get("states")
    return [each for each in states.items() if _whole(each[1])] if isinstance(states, Mapping) else []


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


# --- connections over time -------------------------------------------------------------------------------------------


def _chart(incident: Incident, looks: Sequence[Event]) -> Optional[Dict[str, Any]]:
    found = pictures.over_time(_points(looks), _ends(incident), _seconds(incident.impact_end))
    return found and {**found, "from": _at(found["start"]), "to": _at(found["end"])}


def _at(seconds: float) -> str:
    return clock(timeline.written(datetime.fromtimestamp(seconds, timezone.utc)))


def _points(looks: Sequence[Event]) -> List[pictures.Point]:
    found = []
    for each in looks:
        figures, at = _figures(each), _seconds(each["at"])
        if figures and at is not None:
            usable = figures.get("usable")
            limit = usable if _whole(usable) else None
            found.append(pictures.Point(at, figures["connections"], limit, dict(_states(figures))))
    return found


def _ends(incident: Incident) -> List[Tuple[float, str]]:
    """When procedures ended, and how."""
    ends = [
        (
            _seconds(each.ended),
            "%s %s, %s" % (words.printable(each.verb), words.printable(each.outcome), clock(each.ended)),
        )
        for each in incident.attempts
    ]
    return [(at, name) for at, name in ends if at is not None]


def _seconds(text: Any) -> Optional[float]:
    at = time_of(text)
    return at.timestamp() if at else None


def _figured(look: Event) -> Dict[str, Any]:
    figures = _figures(look)
    states = ", ".join("%d %s" % (sessions, words.printable(state)) for state, sessions in _states(figures))
    blocked = figures.get("blocked")
    return {
        "at": clock(look["at"]),
        "used": _used(figures),
        "states": states,
        "blocked": blocked if _whole(blocked) else "",
        "code": words.printable(look.get("code") or ""),
    }


# --- what happened ---------------------------------------------------------------------------------------------------


def _repeats(each: Event, seen: Set[Tuple[str, ...]]) -> bool:
    """Whether a message's event says no more than the table of messages does: it was queued, or failed again."""
    if each["kind"] not in timeline.MESSAGES:
        return False
    key = tuple(str(each.get(name)) for name in ("kind", "channel", "notice", "round"))
    again = each["kind"] == timeline.QUEUED or key in seen
    seen.add(key)
    return again


def _line(each: told.Line) -> Dict[str, Any]:
    event = each.event
    kind = event["kind"]
    status = {
        timeline.OPENED: _status(event.get("severity")),
        timeline.LOOK: _status(event.get("severity"), NEUTRAL),
        timeline.ENDED: _known(_OUTCOMES, event.get("outcome")),
        timeline.GRADED: _known(_GRADES, event.get("grade")),
        timeline.ESCALATED: "critical",
        timeline.REFUSED: "warning",
        timeline.CLOSED: "ok",
        timeline.FAILED: "critical",
    }.get(kind, NEUTRAL)
    again = "%d times, last at %s" % (each.times, clock(each.last_at)) if each.times > 1 else ""
    return {"at": clock(event["at"]), "text": each.text, "again": again, "status": status}


def _attempt(each: Attempt) -> Dict[str, Any]:
    return {
        "began": clock(each.began),
        "verb": words.printable(each.verb),
        "outcome": words.printable(each.outcome or "began, %s" % UNKNOWN),
        "status": _known(_OUTCOMES, each.outcome),
        "took": duration(each.seconds),
        "downtime": duration(each.downtime_seconds),
        "message": words.printable(each.message),
    }


def _escalation(each: Event) -> Dict[str, str]:
    to = words.printable(each.get("to"))
    return {"at": clock(each["at"]), "to": words.ESCALATIONS.get(to, to), "why": words.printable(each.get("why") or "")}


def _messages(events: Sequence[Event]) -> List[Dict[str, Any]]:
    """Each message to those on call, and what became of it."""
    found: Dict[Tuple[str, ...], Dict[str, Any]] = {}
    for each in events:
        if each["kind"] not in timeline.MESSAGES:
            continue
        channel, notice = words.printable(each.get("channel")), words.printable(each.get("notice"))
        levels = each.get("levels")
        who = [words.printable(level) for level in levels] if isinstance(levels, list) else []
        mine = found.setdefault((channel, notice, str(each.get("round"))), {"tries": 0})
        mine["tries"] += each["kind"] != timeline.QUEUED
        mine.update(
            channel=channel,
            notice=told.NOTICES.get(notice, notice),
            to=", ".join(_LEVELS.get(level, level) for level in who),
            at=clock(each["at"]),
        )
        mine["status"], mine["state"] = {
            timeline.SENT: ("ok", "sent"),
            timeline.FAILED: ("critical", "not sent: %s" % words.printable(each.get("why") or "no reason recorded")),
            timeline.QUEUED: ("warning", "to be sent, no result recorded"),
        }[each["kind"]]
        if mine["tries"] > 1:
            mine["state"] += " (%s)" % count(mine["tries"], "attempt")
    return list(found.values())


# --- what follows from it --------------------------------------------------------------------------------------------


def _integrity(each: Event) -> Dict[str, Any]:
    left = each.get("not_covered")
    return {
        "at": clock(each["at"]),
        "grade": words.printable(each.get("grade")).replace("_", "-"),
        "status": _known(_GRADES, each.get("grade")),
        "summary": words.printable(each.get("summary") or ""),
        "checks": [
            {
                "check": words.question(one.get("check")),
                "answer": words.GRADES.get(words.printable(one.get("answer")), words.printable(one.get("answer"))),
                "status": _known(_ANSWERS, one.get("answer")),
                "detail": words.printable(one.get("detail") or ""),
            }
            for one in _mappings(each.get("checks"))
        ],
        "not_covered": [words.printable(one) for one in left] if isinstance(left, list) else [],
    }


def _checklist(incident: Incident) -> Any:
    """As it was when the incident was closed, or last was to be."""
    last = incident.closed or (incident.refusals[-1] if incident.refusals else {})
    return last.get("items")


def _item(each: Mapping[str, Any]) -> Dict[str, Any]:
    accepted = words.printable(each.get("accepted") or "")
    return {
        "title": words.printable(each.get("title") or each.get("name")),
        "detail": words.printable(each.get("detail") or ""),
        "accepted": accepted,
        "answer": "yes" if each.get("done") else "caution" if accepted else "no",
        "said": "done" if each.get("done") else "accepted" if accepted else "open",
    }


def _mappings(value: Any) -> List[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _status(severity: Any, otherwise: str = "critical") -> str:
    return severity if isinstance(severity, str) and severity in STATUSES else otherwise


def _known(table: Mapping[str, str], key: Any) -> str:
    return table.get(key, NEUTRAL) if isinstance(key, str) else NEUTRAL
