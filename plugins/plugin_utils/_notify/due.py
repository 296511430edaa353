# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which messages are due: an incident as its timeline tells it, the channels and the time in, messages out. Pure.

What was queued, sent or failed is in the timeline, too: so nothing is told twice, and what failed is tried again.
A message is known by its channel, its notice and the round: an incident that breaks out again is told again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ...module_utils._judge.verdicts import VERDICTS, Escalation
from .._incident.state import Incident, age_seconds, seconds_since
from .._incident.timeline import ESCALATED, FAILED, MESSAGES, QUEUED, SENT, Event, event, time_of
from .channels import ALERTMANAGER, DBA, EMERGENCY, ON_CALL

TRIGGER, REMIND, ACKNOWLEDGE, RESOLVE = "trigger", "remind", "acknowledge", "resolve"
ESCALATE = {DBA: "escalate_dba", EMERGENCY: "escalate_emergency"}
RESPOND_WITHIN, DBA_AFTER = timedelta(minutes=10), timedelta(minutes=20)
IN_FLIGHT = timedelta(minutes=1)  # queued by another run, which is about to send it
REPEATED = timedelta(hours=1)  # Alertmanager keeps alerts in memory only, and lets go of what nobody repeats
NEVER = timedelta.max
OUTDATED = timedelta(days=7)  # nobody is to be woken by that any more
_NOTICES = (TRIGGER, REMIND, ACKNOWLEDGE, RESOLVE, *ESCALATE.values())
_TRIED = ("done", "failed", "unchanged")

Key = Tuple[str, str, int]


@dataclass(frozen=True)
class Message:
    channel: str
    notice: str
    levels: Tuple[str, ...]
    round: int

    @property
    def key(self) -> Key:
        return (self.channel, self.notice, self.round)

    def event(self, kind: str, at: datetime, **more: Any) -> Event:
        return event(
            at, kind, channel=self.channel, notice=self.notice, levels=list(self.levels), round=self.round, **more
        )


def due(incident: Incident, channels: Sequence[Mapping[str, Any]], now: datetime) -> List[Message]:
    """In the order in which they are to be sent."""
    known = _known(incident)
    there = {each["name"]: each["type"] for each in channels}
    again = [
        message
        for message, kind, last, first in known.values()
        if message.channel in there
        and (kind == FAILED or abs(now - last) >= _patience(kind, message, there[message.channel]))
        and now - first < OUTDATED
        and not _overtaken(message, incident, known)
    ]
    return again + [each for each in _wanted(incident, channels, known, now) if each.key not in known]


def _patience(kind: str, message: Message, channel: str) -> timedelta:
    """How long after it was last queued or sent it is sent again."""
    fires = message.notice in (TRIGGER, *ESCALATE.values())
    return IN_FLIGHT if kind == QUEUED else REPEATED if channel == ALERTMANAGER and fires else NEVER


def _overtaken(message: Message, incident: Incident, known: "Mapping[Key, Any]") -> bool:
    """Whether it would alarm anybody for nothing, or set back what the channel has been told since."""
    ended = known.get((message.channel, RESOLVE, message.round))
    if message.round < incident.repeated or (ended and ended[1] == SENT):
        return True
    answered = bool(incident.acknowledged) or resolved(incident)
    return (message.notice == REMIND and answered) or (message.notice in ESCALATE.values() and resolved(incident))


def given_up(incident: Incident, run: str) -> List[str]:
    """The channel of each delivery of this run that failed."""
    failed = {
        (each.get("at"), str(each.get("channel")))
        for each in incident.events
        if each["kind"] == FAILED and each.get("run") == run
    }
    return [channel for _at, channel in failed]


def escalations(incident: Incident, messages: Sequence[Message], at: datetime) -> List[Event]:
    """For the record: whom it was escalated to, once a round."""
    done = [(each.get("to"), each.get("round")) for each in incident.escalations]  # by whichever hand: no set
    found: Dict[str, Event] = {}
    for each in messages:
        to = next((level for level, notice in ESCALATE.items() if notice == each.notice), None)
        if to and (to, each.round) not in done:
            found.setdefault(to, event(at, ESCALATED, to=to, why=why(incident, each.notice, at), round=each.round))
    return list(found.values())


def why(incident: Incident, notice: str, now: datetime) -> str:
    named = _named(incident)
    if notice == ESCALATE[EMERGENCY]:
        return "the severity is emergency" if incident.severity == EMERGENCY or not named else named.reason
    if notice == ESCALATE[DBA]:
        if incident.repeated:
            return "it broke again after it was healthy"
        if _in_vain(incident):
            return "still wrong after %s" % incident.attempts[-1].verb
        if named and named.to == DBA and named.after_minutes == 0:
            return named.reason
        return "unresolved for %d minutes" % (age_seconds(incident, now) // 60)
    return "nobody has responded for %d minutes" % (_unanswered(incident, now) // 60) if notice == REMIND else ""


def _unanswered(incident: Incident, now: datetime) -> float:
    """Seconds since those on call were told of this outbreak."""
    return seconds_since(incident, incident.broke, now)


def _known(incident: Incident) -> "Dict[Key, Tuple[Message, str, datetime, datetime]]":
    """What the timeline says of each message: what became of it last, when, and since when it has been due."""
    found: Dict[Key, Tuple[Message, str, datetime, datetime]] = {}
    for each in incident.events:
        at, number = time_of(each["at"]), each.get("round")
        if each["kind"] in MESSAGES and at and isinstance(number, int) and each.get("notice") in _NOTICES:
            levels = each.get("levels")
            told = tuple(map(str, levels)) if isinstance(levels, list) else ()
            message = Message(str(each.get("channel")), str(each.get("notice")), told, number)
            first = found[message.key][3] if message.key in found else at
            found[message.key] = (message, each["kind"], at, first)
    return found


def _wanted(
    incident: Incident, channels: Sequence[Mapping[str, Any]], known: Mapping[Key, Any], now: datetime
) -> List[Message]:
    number = incident.repeated
    steps = {} if resolved(incident) else _steps(incident, now)
    wanted: List[Message] = []
    for channel in channels:
        name = channel["name"]
        mine = [
            Message(name, notice, (level,), number)
            for notice, level in steps.items()
            if level in channel["levels"] and not (notice == REMIND and channel["type"] == ALERTMANAGER)
        ]
        told = [message for message, *_rest in known.values() if (message.channel, message.round) == (name, number)]
        levels = tuple(dict.fromkeys(level for each in [*told, *mine] for level in each.levels))
        wanted += mine
        if levels and resolved(incident):
            wanted.append(Message(name, RESOLVE, levels, number))
        elif levels and incident.acknowledged and channel["type"] != ALERTMANAGER:
            wanted.append(Message(name, ACKNOWLEDGE, levels, number))
    return wanted


def _steps(incident: Incident, now: datetime) -> Dict[str, str]:
    """Of what is not resolved: the notices due by the runbook's clock, with who is told."""
    steps = {TRIGGER: ON_CALL}
    if timedelta(seconds=_unanswered(incident, now)) >= RESPOND_WITHIN and not incident.acknowledged:
        steps[REMIND] = ON_CALL
    age = timedelta(seconds=age_seconds(incident, now))
    if age >= DBA_AFTER or incident.repeated or _in_vain(incident):
        steps[ESCALATE[DBA]] = DBA
    named = _named(incident)
    if named and named.to in ESCALATE and age >= timedelta(minutes=named.after_minutes or 0):
        steps[ESCALATE[named.to]] = named.to
    if incident.severity == EMERGENCY:
        steps[ESCALATE[EMERGENCY]] = EMERGENCY
    return steps


def _named(incident: Incident) -> Optional[Escalation]:
    """What its verdict says; None for what a person opened."""
    row = VERDICTS.get((incident.code, incident.cause))
    return row.escalation if row else None


def resolved(incident: Incident) -> bool:
    """Health was proved, or the incident was closed without it."""
    return bool(incident.impact_end or incident.closed)


def _in_vain(incident: Incident) -> bool:
    """A procedure was carried out, and the look after it found it still wrong."""
    tried = [each for each in incident.attempts if each.outcome in _TRIED]
    look = incident.last_look or {}
    after, ended = time_of(look.get("at")), time_of(tried[-1].ended) if tried else None
    return bool(after and ended and after >= ended and look.get("severity") in ("critical", "emergency"))
