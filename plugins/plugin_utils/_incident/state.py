# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events in, the incident's state out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ...module_utils._model.answers import SEVERITIES
from . import timeline
from .timeline import Event, time_of

UNKNOWN = "no result recorded"
INTERRUPTED = "interrupted"
_FAILED = ("failed", "refused", INTERRUPTED)


@dataclass(frozen=True)
class Attempt:
    """A procedure. ``outcome``: what ``procedure`` returned; None: it began, and nobody wrote down how it went;
    ``interrupted``: nobody did, and its run is over, as the run ``noticed_by`` saw."""

    verb: str
    began: str
    run: str = ""
    ended: Optional[str] = None
    outcome: Optional[str] = None
    seconds: Optional[float] = None
    downtime_seconds: Optional[float] = None
    message: str = ""
    noticed_by: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome in _FAILED


@dataclass(frozen=True)
class Incident:
    """Times as they are written in the timeline. ``severity``: the worst that was seen.

    ``impact_end``: when health was seen, and no outage of its code since. ``repeated``: how often it broke again after
    that; ``broke`` is when it did last, or was detected, and ``acknowledged`` is of the time since then.
    """

    id: str
    events: Tuple[Event, ...]
    torn: int = 0
    host: str = ""
    code: str = ""
    cause: Optional[str] = None
    severity: str = ""
    summary: str = ""
    detected: str = ""
    impact_start: str = ""
    impact_source: str = ""
    impact_end: Optional[str] = None
    repeated: int = 0
    broke: str = ""
    acknowledged: Optional[Event] = None
    attempts: Tuple[Attempt, ...] = ()
    escalations: Tuple[Event, ...] = ()
    evidence: Tuple[str, ...] = ()
    grades: Tuple[Event, ...] = ()
    last_look: Optional[Event] = None
    closed: Optional[Event] = None
    refusals: Tuple[Event, ...] = field(default=())

    @property
    def downtime_seconds(self) -> Optional[float]:
        """Of the procedures, as far as they said."""
        known = [each.downtime_seconds for each in self.attempts if each.downtime_seconds is not None]
        return sum(known) if known else None

    @property
    def impact_seconds(self) -> Optional[float]:
        return seconds_between(self.impact_start, self.impact_end)


def fold(name: str, events: Sequence[Event], torn: int = 0) -> Incident:
    """``name``: the incident's id."""
    found: Dict[str, Any] = {}
    attempts: List[Attempt] = []
    lists: Dict[str, List[Any]] = {key: [] for key in ("escalations", "evidence", "grades", "refusals")}
    for each in events:
        kind, at = each["kind"], str(each["at"])
        if kind == timeline.OPENED and "host" not in found:
            given = each.get("impact")
            impact = given if isinstance(given, dict) else {}
            found.update({key: str(each.get(key) or "") for key in ("host", "code", "severity", "summary")})
            found.update(cause=str(each.get("cause") or "") or None, detected=at, broke=at)
            found.update(
                impact_start=str(impact.get("start") or at), impact_source=str(impact.get("source") or "detection")
            )
        elif kind == timeline.LOOK:
            _looked(found, each, at)
        elif kind == timeline.ACKNOWLEDGED:
            found["acknowledged"] = found.get("acknowledged") or each
        elif kind == timeline.BEGINS:
            found["acknowledged"] = found.get("acknowledged") or each
            attempts.append(Attempt(str(each.get("verb")), at, str(each.get("run"))))
        elif kind == timeline.ENDED:
            _ended(attempts, each, at)
        elif kind == timeline.ESCALATED:
            lists["escalations"].append(each)
        elif kind == timeline.EVIDENCE:
            lists["evidence"].append(str(each.get("path")))
        elif kind == timeline.GRADED:
            lists["grades"].append(each)
        elif kind == timeline.REFUSED:
            lists["refusals"].append(each)
        elif kind == timeline.CLOSED:
            found["closed"] = each
    found.update({key: tuple(value) for key, value in lists.items()}, attempts=tuple(attempts))
    return Incident(name, tuple(events), torn, **found)


def _looked(found: Dict[str, Any], each: Event, at: str) -> None:
    found["last_look"] = each
    severity = each.get("severity")
    if each.get("code") == "healthy":
        if not found.get("impact_end"):
            found["impact_end"] = at
    elif severity in SEVERITIES[1:]:  # what could not be looked at says nothing
        if found.get("impact_end"):
            if severity == "warning" or each.get("code") != found.get("code"):
                return  # the service goes on; another outage has an incident of its own
            found.update(impact_end=None, acknowledged=None, broke=at, repeated=found.get("repeated", 0) + 1)
        if worse(severity, found.get("severity")):
            found["severity"] = severity


def _ended(attempts: List[Attempt], each: Event, at: str) -> None:
    verb, run = str(each.get("verb")), str(each.get("run"))
    same = [index for index, one in enumerate(attempts) if (one.verb, one.run, one.outcome) == (verb, run, None)]
    if not same:
        attempts.append(Attempt(verb, at, run))
    where = same[-1] if same else -1
    attempts[where] = replace(
        attempts[where],
        ended=at,
        outcome=str(each.get("outcome")),
        seconds=_number(each.get("seconds")),
        downtime_seconds=_number(each.get("downtime_seconds")),
        message=str(each.get("message") or ""),
        noticed_by=str(each.get("noticed_by") or ""),
    )


def worse(one: Any, other: Any) -> bool:
    order = list(SEVERITIES)
    return one in order and (other not in order or order.index(one) > order.index(other))


def seconds_between(start: Optional[str], end: Optional[str]) -> Optional[float]:
    begun, done = time_of(start), time_of(end)
    return max(0.0, (done - begun).total_seconds()) if begun and done else None


def age_seconds(incident: Incident, now: datetime) -> float:
    """Since it was detected."""
    return seconds_since(incident, incident.detected, now)


def seconds_since(incident: Incident, start: str, now: datetime) -> float:
    """``start``: the time of one of its events. Where the clock was set back after it, what was written then counts."""
    times = [str(each["at"]) for each in incident.events]
    known = [time_of(each) for each in times[times.index(start) :]] if start in times else []
    earliest = min((each for each in known if each), default=None)
    return max(0.0, (now - earliest).total_seconds()) if earliest else 0.0


def _number(value: Any) -> Optional[float]:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
