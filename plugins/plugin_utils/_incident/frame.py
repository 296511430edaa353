# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks' shared frame writes into a record: results and decisions in, events out. Pure.

A verdict of severity critical or emergency opens an incident, one for each host and code; all that happens to a host is
written into each of its open incidents. A warning opens none.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from ...module_utils._core.text import line
from ...module_utils._model.answers import CRITICAL, EMERGENCY
from . import timeline
from .figures import figures
from .state import INTERRUPTED, Incident
from .timeline import Event, event, time_of, written

OPENING = (CRITICAL, EMERGENCY)
NOT_RUN = "not_run"
_CUT_OFF = "its run ended before the result was recorded; what it did is not known"
DETECTION = "detection; nothing tells since when"
_SAME_FOR = timedelta(minutes=10)  # an unchanged bad state is written again after that
_LOG_GOES_BACK = timedelta(days=1)
_LONGEST, _MOST_NOT_COVERED = 500, 20
# The errors in the server's log that are what clients saw of it.
_SQLSTATES = {
    "pool_exhausted": ("53300",),
    "authentication_failed": ("28P01", "28000"),
    "storage_full": ("53100",),
    "data_corruption": ("XX001", "XX002"),
}


def opens(result: Optional[Mapping[str, Any]]) -> bool:
    """Whether a look's result, as registered, opens an incident where there is none of its code."""
    return _verdict(result).get("severity") in OPENING


def opened(host: str, result: Mapping[str, Any], at: datetime) -> Event:
    verdict = _verdict(result)
    start, source = impact(verdict["code"], facts_of(result), at)
    keys = ("code", "cause", "severity", "summary")
    told = {key: verdict.get(key) for key in keys}
    return event(at, timeline.OPENED, host=host, **told, impact={"start": written(start), "source": source})


def look(result: Optional[Mapping[str, Any]], verb: str, at: datetime) -> Event:
    verdict = _verdict(result)
    if verdict.get("code") == "integrity":
        keys = ("severity", "summary", "evidence")
        told = {key: verdict.get(key) for key in keys}
        return event(at, timeline.GRADED, grade=verdict.get("cause"), **told, **_checked(result or {}))
    if not verdict:
        severity = "unreachable" if (result or {}).get("unreachable") else "failed"
        message = line(str((result or {}).get("msg") or "It was not checked."), _LONGEST)
        return event(at, timeline.LOOK, verb=verb, code=None, cause=None, severity=severity, summary=message)
    told = {key: verdict.get(key) for key in ("code", "cause", "severity", "summary")}
    told["evidence"] = list(verdict.get("evidence") or [])[:5]
    seen = figures(facts_of(result or {}))
    return event(at, timeline.LOOK, verb=verb, **told, **({"figures": seen} if seen else {}))


def _checked(result: Mapping[str, Any]) -> Dict[str, Any]:
    """Each check of the integrity check with its answer, and what was not looked at."""
    path = [each for each in result.get("path") or [] if isinstance(each, Mapping)]
    checks = [
        {"check": each.get("question"), "answer": each.get("answer"), "detail": line(str(each.get("detail")), _LONGEST)}
        for each in path
    ]
    left = (facts_of(result).get("errors") or {}).items()
    return {"checks": checks, "not_covered": [line("%s: %s" % each, _LONGEST) for each in left][:_MOST_NOT_COVERED]}


def is_news(incident: Incident, each: Event) -> bool:
    """Whether a look says more than the last one did: health is said once, an unchanged fault every ten minutes."""
    if each["kind"] != timeline.LOOK:
        return True
    since = [one for one in incident.events if one["kind"] in (timeline.LOOK, timeline.BEGINS, timeline.ENDED)]
    last = since[-1] if since else None
    if last is None or last["kind"] != timeline.LOOK:
        return True
    if any(last.get(key) != each.get(key) for key in ("code", "cause", "severity")):
        return True
    before, now = time_of(last["at"]), time_of(each["at"])
    return each["code"] != "healthy" and before is not None and now is not None and abs(now - before) >= _SAME_FOR


def begins(verb: str, run: str, by: str, at: datetime) -> Event:
    return event(at, timeline.BEGINS, verb=verb, run=run, by=by)


def ended(verb: str, run: str, done: Mapping[str, Any], at: datetime) -> Event:
    """``done``: what the action ``procedure`` returned."""
    outcome = "failed" if done.get("unreachable") else done.get("outcome") or NOT_RUN
    return event(
        at,
        timeline.ENDED,
        verb=verb,
        run=run,
        outcome=str(outcome),
        seconds=done.get("seconds"),
        downtime_seconds=done.get("downtime_seconds"),
        message=line(str(done.get("msg") or ""), _LONGEST),
    )


def interrupted(incident: Incident, over: Callable[[str], bool], run: str, at: datetime) -> List[Event]:
    """The end of each procedure whose run is over without having told it; ``run`` is the one that notices."""
    return [
        event(at, timeline.ENDED, verb=each.verb, run=each.run, outcome=INTERRUPTED, message=_CUT_OFF, noticed_by=run)
        for each in incident.attempts
        if each.outcome is None and over(each.run)
    ]


def impact(code: str, facts: Mapping[str, Any], at: datetime) -> Tuple[datetime, str]:
    """Since when clients have felt it, and what tells. What lies in the future is a clock's fault."""
    for start, source in _signs(code, facts, at):
        if start is not None and start <= at:
            return start, source
    return at, DETECTION


def _signs(code: str, facts: Mapping[str, Any], at: datetime) -> Iterator[Tuple[Optional[datetime], str]]:
    server = facts.get("server") or {}
    snapshot = facts.get("snapshot") or {}
    if code == "server_down":
        yield time_of(server.get("finished_at")), "the server stopped"
        control = server.get("control") or {}
        if str(control.get("state")).startswith("shut down"):
            yield time_of(control.get("written_at")), "the server was shut down (pg_controldata)"
    if code == "client_down":
        ends = [time_of(each.get("finished_at")) for each in facts.get("clients") or [] if each["state"] != "running"]
        known = [each for each in ends if each]
        yield min(known) if known else None, "the first client stopped"
    if code == "queries_hanging":
        activity, taken = snapshot.get("activity") or {}, time_of(snapshot.get("at"))
        waits = [each.get("blocked_seconds") or 0 for each in activity.get("blocking") or []]
        waits += [each.get("query_seconds") or 0 for each in activity.get("long_queries") or []]
        yield taken - timedelta(seconds=max(waits)) if taken and waits else None, "the oldest waiting session"
    wanted = _SQLSTATES.get(code, ())
    errors = [each for each in server.get("log") or [] if each.get("sqlstate") in wanted]
    times = [found for found in (time_of(each.get("at")) for each in errors) if found and at - found < _LOG_GOES_BACK]
    yield min(times) if times else None, "the first such error in the last lines of the server's log"


def _verdict(result: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """Plain values, whatever Ansible has wrapped them in."""
    found = (result or {}).get("verdict")
    usable = isinstance(found, Mapping) and not (result or {}).get("failed") and not (result or {}).get("unreachable")
    return dict(json.loads(json.dumps(found))) if usable else {}


def facts_of(result: Mapping[str, Any]) -> Dict[str, Any]:
    given: Any = json.loads(result["facts_json"]) if result.get("facts_json") else result.get("facts")
    return dict(given) if isinstance(given, Mapping) else {}


def told(incidents: Mapping[str, List[Incident]], directory: str, run: str) -> str:
    """Lines for the report; empty where there is no open incident. ``run``: this one, which says what it noticed."""
    found = [each for mine in incidents.values() for each in mine]
    if not found:
        return ""
    head = "Incidents: %d open, in %s" % (len(found), directory)
    if len(found) <= 3:
        head = "Incident: %s" % ", ".join("%s/%s.md" % (directory, each.id) for each in found)
    cut_off = {
        "Interrupted: %s on %s, begun at %s: %s" % (each.verb, incident.host, each.began, each.message): None
        for incident in found
        for each in incident.attempts
        if each.outcome == INTERRUPTED and each.noticed_by == run
    }
    return "\n".join([head, *cut_off])
