# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clients are stopped and started, in which order, what is refused, and what is told of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import OptionsError, RefusedError, UnprovenError
from ..._model.note import LIVE, Note, Noted, still_stopped, stops_later
from ..procedure import Change

STOPPED, STARTED, RESTARTED = "stopped", "started", "restarted"
HERE = "here"  # the name of a client that is no container

Record = Dict[str, Any]
Groups = Tuple[Tuple[str, ...], ...]  # names of containers, side by side within one service


@dataclass(frozen=True)
class Seen:
    """One container of a client's service as it was found. The times are the engine's, as text."""

    service: str
    name: str
    state: str
    started_at: Optional[str] = None
    finished_at: Optional[str] = None


@dataclass(frozen=True)
class Order:
    """Whom to stop and then whom to start, service by service; ``wait`` are those that must be there in the end.

    ``engine``: the engine's command, docker or podman.
    """

    stop: Groups = ()
    start: Groups = ()
    wait: Groups = ()
    engine: str = "docker"


@dataclass(frozen=True)
class Plan:
    """``here``: services that are no containers, which are only waited for; otherwise ``records`` are what is foreseen
    of each container."""

    state: str
    order: Order = Order()
    records: Tuple[Record, ...] = ()
    here: Tuple[str, ...] = ()
    grace_seconds: float = 30
    health_timeout_seconds: float = 60
    where: str = ""  # of the note, and what is written there; empty where nobody is stopped to be started again
    notes: Tuple[Noted, ...] = ()
    ending: Tuple[str, ...] = ()  # whom a run that was killed has asked to stop, and who has not ended yet
    killed: Optional[str] = None  # what is said of that run: whom it had stopped is started, nothing else is done

    @property
    def empty(self) -> bool:
        return not (self.order.stop or self.order.wait or self.here)

    def foreseen(self) -> Change:
        return change(self.order, {record["name"]: record for record in self.records}, None)


def decide(
    seen: Sequence[Seen],
    declared: Sequence[str],
    state: str,
    services: Optional[Sequence[str]] = None,
    containers: Optional[Sequence[str]] = None,
    server: Optional[str] = None,
    engine: str = "docker",
    left: Sequence[str] = (),
) -> Order:
    """For ``state``. Services stop in the order given and start in the reverse one; who was ``left`` stopped by a
    restart that did not finish is started by the next one.

    Raises OptionsError for names that do not exist, RefusedError where a container cannot be brought to ``state``.
    """
    wanted = chosen(declared, services)
    if server in wanted:
        raise OptionsError(
            "clients names %s, which is the server itself" % server, "Use the module server to stop or start it."
        )
    if containers is not None:
        strange = sorted(set(containers) - {one.name for one in seen})
        if strange:
            raise OptionsError(
                "containers names %s, which no client has" % ", ".join(strange),
                "The clients' containers: %s." % (", ".join(one.name for one in seen) or "none"),
            )
    mine = [one for one in seen if one.service in wanted and (containers is None or one.name in containers)]
    if state != STOPPED and containers is None:
        missing = [service for service in wanted if not any(one.service == service for one in mine)]
        if missing:
            raise RefusedError(
                "%s has no container, so there is nothing to start" % " and ".join(missing),
                "Create it from its Compose file: %s compose up -d %s." % (engine, " ".join(missing)),
            )
    _refuse_impossible(mine, state, engine)
    live = grouped(wanted, [one for one in mine if one.state in LIVE])
    down = grouped(wanted, [one for one in mine if one.state not in LIVE])
    if state == STOPPED:
        return Order(stop=live, engine=engine)
    if state == STARTED:
        return Order(start=down[::-1], wait=grouped(wanted, mine)[::-1], engine=engine)
    up = grouped(wanted, [one for one in mine if one.state in LIVE or one.name in left])[::-1]
    return Order(stop=live, start=up, wait=up, engine=engine)


def chosen(declared: Sequence[str], services: Optional[Sequence[str]]) -> List[str]:
    """The services to act on, each once. Raises OptionsError for one that is not declared, or when there is none."""
    if not declared:
        raise OptionsError("No client is declared", "Name the services that use the database in clients.")
    strange = sorted(set(services or ()) - set(declared))
    if strange:
        raise OptionsError(
            "services names %s, which clients does not declare" % ", ".join(strange),
            "Declared are: %s." % ", ".join(declared),
        )
    return list(dict.fromkeys(declared if services is None else services))


def _refuse_impossible(mine: Sequence[Seen], state: str, engine: str) -> None:
    paused = [one.name for one in mine if one.state == "paused"]
    if paused:  # a signal would wake it: somebody had a reason
        raise RefusedError(
            "%s is paused; nothing was touched" % " and ".join(paused),
            "Find out who paused it, then: %s unpause %s." % (engine, " ".join(paused)),
        )
    dead = [one for one in mine if one.state == "dead"]
    if dead and state == STARTED:
        raise RefusedError(
            "%s is dead: the engine could not remove it" % " and ".join(one.name for one in dead),
            "Remove it, then: %s compose up -d %s." % (engine, " ".join(sorted({one.service for one in dead}))),
        )


def grouped(services: Sequence[str], mine: Sequence[Seen]) -> Groups:
    groups = (tuple(one.name for one in mine if one.service == service) for service in services)
    return tuple(group for group in groups if group)


def flat(groups: Groups) -> List[str]:
    return [name for group in groups for name in group]


# --- the note of whom a restart stops --------------------------------------------------------------------------------


def left_stopped(note: Note, seen: Sequence[Seen]) -> List[str]:
    """Who is down because of the run that wrote the note."""
    return [
        one.name for one, now in _noted_now(note, seen) if one.left_stopped(now.state, now.started_at, now.finished_at)
    ]


def still_ending(note: Note, seen: Sequence[Seen]) -> List[str]:
    """Whom the run that wrote the note has asked to stop, and who has neither ended nor been started since."""
    return [one.name for one, now in _noted_now(note, seen) if one.still_ending(now.state, now.started_at)]


def _noted_now(note: Note, seen: Sequence[Seen]) -> List[Tuple[Noted, Seen]]:
    now = {one.name: one for one in seen}
    return [(one, now[one.name]) for one in note.clients if one.name in now]


def still_true(note: Note, seen: Sequence[Seen]) -> Tuple[Noted, ...]:
    """What is still owed to clients by the run that wrote the note; also to those that cannot be seen from here."""
    owing, services = {*left_stopped(note, seen), *still_ending(note, seen)}, {one.service for one in seen}
    return tuple(one for one in note.clients if one.name in owing or (one.asked and one.service not in services))


def notes(former: Sequence[Noted], seen: Sequence[Seen], order: Order) -> Tuple[Noted, ...]:
    """What is written down before ``order``: what a former run owes, and whom this one stops."""
    stop = flat(order.stop)
    mine = {one.name: Noted(one.service, one.name, one.started_at, one.finished_at) for one in seen if one.name in stop}
    return tuple({**{one.name: one for one in former}, **mine}.values())


def moved_meanwhile(noted: Sequence[Noted], records: Iterable[Record], seen: Sequence[Seen]) -> List[str]:
    """Clients that someone else has started or stopped since the plan was made; to start one anew is neither."""
    now = {one.name: one for one in seen}
    before = {row["name"]: row["before"] in LIVE for row in records}
    return [
        one.name
        for one in noted
        if one.name in before
        and (
            one.name not in now
            or (now[one.name].state in LIVE) != before[one.name]
            or not (before[one.name] or now[one.name].started_at == one.started_at)
        )
    ]


def up_to_date(noted: Sequence[Noted], seen: Sequence[Seen]) -> Tuple[Noted, ...]:
    """With the times of now: a client without a connection slot may start again and again."""
    now = {one.name: one for one in seen if one.state in LIVE}
    return tuple(
        replace(one, started_at=now[one.name].started_at, finished_at=now[one.name].finished_at)
        if one.name in now and not one.asked
        else one
        for one in noted
    )


def owed(order: Order, rows: Dict[str, Record]) -> List[str]:
    """Who has been asked to stop, or was left stopped, and does not run for good."""
    return [
        name
        for name in flat(order.start)
        if rows[name]["after"] not in LIVE or (rows[name]["asked"] and not rows[name]["stopped"])
    ]


def recovery(plan: Plan, note: Note, seen: Sequence[Seen], said: str) -> Plan:
    """After the process that carried ``plan`` out was killed: those that it had asked to stop are started."""
    mine = [row["name"] for row in plan.records]
    ending = [name for name in still_ending(note, seen) if name in mine]
    wanted = [*ending, *(name for name in left_stopped(note, seen) if name in mine)]
    groups = (tuple(name for name in group if name in wanted) for group in plan.order.start)
    start = tuple(group for group in groups if group)
    order = Order((), start, start, plan.order.engine)
    return replace(plan, order=order, notes=still_true(note, seen), ending=tuple(ending), killed=said)


# --- what is told ----------------------------------------------------------------------------------------------------


def records(seen: Iterable[Seen], order: Order) -> Tuple[Record, ...]:
    """What is returned of each container, as it is foreseen."""
    stop, start = flat(order.stop), flat(order.start)
    return tuple(
        dict(
            record(one.service, one.name, one.state),
            after="running" if one.name in start else "exited" if one.name in stop else one.state,
            asked=one.name in stop,
            stopped=one.name in stop,
            started=one.name in start,
        )
        for one in seen
    )


def record(service: str, name: str, state: str) -> Record:
    """Of a container to which nothing has been done."""
    return {
        "service": service,
        "name": name,
        "before": state,
        "after": state,
        "asked": False,
        "stopped": False,
        "started": False,
        "stop_seconds": None,
        "seconds": None,
        "health": None,
        "health_page": None,
        "sessions": None,
        "error": None,
    }


def untouched(foreseen: Iterable[Record]) -> Dict[str, Record]:
    """What is foreseen, before any of it is done: by name."""
    return {each["name"]: record(each["service"], each["name"], each["before"]) for each in foreseen}


def touched(rows: Mapping[str, Record]) -> bool:
    return any(row["stopped"] or row["started"] for row in rows.values())


def change(order: Order, rows: Mapping[str, Record], seconds: Optional[float]) -> Change:
    """The module's result, of what is foreseen or of what came of it."""
    restarted = set(flat(order.stop)) & set(flat(order.start))
    names = [name for name in flat(order.stop) + flat(order.start[::-1]) if name in rows]
    listed = [rows[name] for name in dict.fromkeys([*names, *rows])]
    return Change(
        bool(order.stop or order.start),
        {row["name"]: row["before"] for row in listed},
        {row["name"]: "restarted" if row["name"] in restarted and not row["error"] else row["after"] for row in listed},
        {
            "containers": listed,
            "stopped": [row["name"] for row in listed if row["stopped"]],
            "started": [name for name in flat(order.start) if rows[name]["started"]],
            "seconds": seconds,
        },
    )


def proved(plan: Plan, rows: Mapping[str, Record], seconds: float, interrupted: Optional[str] = None) -> Change:
    """Raises UnprovenError, with all that was done, for those that are not as asked.

    ``interrupted``: by which signal.
    """
    done = change(plan.order, rows, seconds)
    problems = ["%s: %s" % (row["service"] if plan.here else row["name"], row["error"]) for row in failed(rows)]
    if not problems and not interrupted and not plan.killed:
        return done
    text = "Not every client is %s: %s" % ("connected" if plan.here else plan.state, "; ".join(problems))
    if plan.killed:
        text = plan.killed
        text += ". Clients: %s" % "; ".join(problems) if problems else ". The clients are running"
    if interrupted:
        text = "Interrupted (%s)%s" % (interrupted, ": %s" % "; ".join(problems) if problems else "")
        if plan.order.start:
            text += ". Clients that had been stopped were started again, but not waited for"
    well = len(rows) - len(problems)
    hints = ["The other %d are fine." % well] if well and problems else []
    hints += ["Check their logs: %s logs NAME." % plan.order.engine] if problems and not plan.here else []
    raise UnprovenError(
        text,
        " ".join(hints + last_words(plan.order, rows)),
        details=dict(done.details, changed=touched(rows), diff={"before": done.before, "after": done.after}),
    )


def killed(noun: str, how: str) -> str:
    return "The %s was killed (%s) before it was finished" % (noun, how)


def failed(rows: Mapping[str, Record]) -> List[Record]:
    return [row for row in rows.values() if row["error"]]


def last_words(order: Order, rows: Mapping[str, Record]) -> List[str]:
    """Those that should run and do not, or will not for long: each with the command that starts it."""
    found = []
    for name in flat(order.start):
        row = rows[name]
        if row["after"] in LIVE:
            if row["asked"] and not row["stopped"]:
                found.append(stops_later(name, order.engine))
        elif row["asked"] or row["stopped"] or row["before"] not in LIVE:
            found.append(still_stopped(name, order.engine))
    return found
