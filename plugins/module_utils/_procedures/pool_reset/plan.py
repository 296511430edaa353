# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How room for connections is made: who is ended, and what follows where that is not enough. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import OncallError, OptionsError, RefusedError
from ..clients import plan as _clients
from ..procedure import Change
from ..sessions import plan as _sessions
from ..sessions.by_title import Titled
from ..sessions.guard import ABSENT, Looked, Request, Selection, counted, needed, refuse_unknown, select, states
from ..sessions.plan import Job
from ..sessions.shown import TERMINATED, Outcome, freed, line, merged, summary_of, title_line

IF_NEEDED, ALWAYS, NEVER = "if_needed", "always", "never"
# What follows the release of what was idle for long
ENOUGH, RESTART, LONGEST, STUCK, UNKNOWN = "enough", "restart", "longest", "stuck", "unknown"
Step = Tuple[Selection, Outcome]


@dataclass(frozen=True)
class Wish:
    job: Job
    session_state: str
    idle_seconds: float
    user: Optional[str]
    database: Optional[str]
    percent: float  # how much of the slots may be in use where sessions are ended to make room
    restart: str
    most_connections: int

    @property
    def release(self) -> Request:
        return Request(ABSENT, None, (self.session_state,), self.idle_seconds, user=self.user, database=self.database)

    @property
    def longest(self) -> Request:
        return Request(ABSENT, None, (self.session_state,), user=self.user, database=self.database, only_clients=True)

    def limits(self, looked: Looked) -> Dict[str, Tuple[int, int]]:
        return counted(looked, (self.user,), (self.database,))

    def has_room(self, looked: Looked) -> bool:
        """For one more connection: of the server, and of the role and the database that are asked for."""
        return all(used < limit for used, limit in self.limits(looked).values())


@dataclass(frozen=True)
class State:
    """``restart``: how the clients would be restarted; None: that is not possible, and ``obstacle`` says why."""

    sessions: _sessions.State
    restart: Optional[_clients.Plan] = None
    obstacle: Optional[OncallError] = None

    @property
    def can_restart(self) -> bool:
        return self.restart is not None and bool(self.restart.order.stop)


@dataclass(frozen=True)
class Next:
    """What follows the release. ``why``: what stands in the way of more (STUCK)."""

    kind: str
    selection: Selection = field(default_factory=Selection)
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """``freeing``: whose slots may be freed where SQL finds none; ``free`` is the first of them."""

    wish: Wish
    state: State
    next: Next
    release: Selection = field(default_factory=Selection)
    free: Tuple[Titled, ...] = ()
    freeing: Optional[Request] = None
    unfree: Tuple[Dict[str, Any], ...] = ()  # records of those whose slots must not be freed

    @property
    def empty(self) -> bool:
        return not (self.release.take or self.free or self.next.kind in (RESTART, LONGEST))

    def foreseen(self) -> Change:
        steps = [
            (self.release, Outcome.expected(self.release.take, TERMINATED)),
            (self.next.selection, Outcome.expected(self.next.selection.take, TERMINATED)),
        ]
        room: Optional[bool] = None
        if self.next.kind in (ENOUGH, LONGEST):
            room = True
        elif self.next.kind == STUCK:
            room = False
        restart = self.state.restart.foreseen() if self.next.kind == RESTART and self.state.restart else None
        used = None
        if self.state.sessions.looked is not None and self.next.kind != RESTART:
            used = len(self.state.sessions.looked.clients) - len(self.release.take) - len(self.next.selection.take)
        return result(self, steps, self.free, restart, used, room)


def wish_of(options: Mapping[str, Any]) -> Wish:
    """Raises OptionsError for numbers that cannot be meant."""
    for name, least, most in (("max_percent", 0, 100), ("max_sessions", 1, None), ("most_connections", 1, None)):
        if options[name] < least or (most is not None and options[name] > most):
            limit = "between %d and %d" % (least, most) if most is not None else "at least %d" % least
            raise OptionsError("%s must be %s, not %g" % (name, limit, options[name]))
    job = Job(
        protect_applications=tuple(options["protect_applications"]),
        protect_users=tuple(options["protect_users"]),
        max_sessions=options["max_sessions"],
        max_percent=options["max_percent"],
    )
    return Wish(
        job,
        states([options["session_state"]])[0],
        options["idle_minutes"] * 60,
        options["user"],
        options["database"],
        options["connection_percent"],
        options["restart_clients"],
        options["most_connections"],
    )


def decide(state: State, wish: Wish, ended: int = 0) -> Plan:
    """``ended``: how many were ended already to get here.

    Raises RefusedError, and what forbids to restart the clients where that was asked for.
    """
    if wish.restart == ALWAYS and not state.can_restart:
        raise state.obstacle or RefusedError(
            "restart_clients is always, and no declared client is running", "Start them (module clients)."
        )
    looked = state.sessions.looked
    if looked is None:
        return _without_sql(state, wish)
    refuse_unknown(wish.release, looked.roles, looked.databases, "The server has no")
    release = select(looked, wish.release, state.sessions.rules)
    _sessions.refuse_over(release, wish.release, looked)
    following = follow(looked.without({row["pid"] for row in release.take}), state, wish)
    plan = Plan(wish, state, following, release)
    if following.kind == STUCK and not release.take and not ended:
        raise RefusedError(
            "No connection slots left (%s), and none can be freed from here: %s" % (taken(looked, wish), following.why),
            "Restart or stop the client that holds them, or declare it in clients.",
            details=plan.foreseen().details,
        )
    return plan


def follow(looked: Looked, state: State, wish: Wish) -> Next:
    """What is to be done once what was idle for long is gone."""
    if wish.restart == ALWAYS:
        return Next(RESTART)
    if wish.has_room(looked):
        return Next(ENOUGH)
    if wish.restart != NEVER and state.can_restart:
        return Next(RESTART)
    at_most = needed(wish.limits(looked).values(), wish.percent)
    selection = select(looked, wish.longest, state.sessions.rules, at_most)
    if selection.over:
        return Next(STUCK, Selection(refused=selection.refused), "it would end %s" % selection.over)
    if selection.take:
        return Next(LONGEST, selection)
    return Next(STUCK, selection, no_restart(state, wish) + ", and no declared client has a session that may be ended")


def no_restart(state: State, wish: Wish) -> str:
    if wish.restart == NEVER:
        return "restart_clients is never"
    if state.obstacle is not None:
        text = state.obstacle.msg
        return text[:1].lower() + text[1:]
    return "no declared client is running"


def _without_sql(state: State, wish: Wish) -> Plan:
    """A slot is freed if that is safe; else the clients are restarted; else one is freed that was not idle for long."""
    refused: Optional[RefusedError] = None
    for request in (wish.release, wish.longest):
        try:
            choice = _sessions.first_slot(state.sessions, wish.job, request)
        except RefusedError as error:
            refused = error
            choice = None
        if choice is not None and choice.take:
            following = Next(RESTART if wish.restart == ALWAYS else UNKNOWN)
            return Plan(wish, state, following, free=choice.take[:1], freeing=request)
        if wish.restart != NEVER and state.can_restart:
            unfree = tuple(refused.details["sessions"]) if refused is not None else ()
            return Plan(wish, state, Next(RESTART), unfree=unfree)
    raise refused or RefusedError(
        "%s, and no session matches" % _sessions.NO_SLOT,
        "Restart a client.",
        _sessions.TOO_MANY_CONNECTIONS,
    )


def taken(looked: Looked, wish: Wish) -> str:
    return ", ".join("%s: %d of %d" % (what, *each) for what, each in wish.limits(looked).items())


def crowded(looked: Looked, applications: Sequence[str], most: int) -> List[str]:
    """Of the clients that were restarted those that hold more connections than a fresh pool does."""
    found = []
    for name in applications:
        number = sum(1 for row in looked.clients if row["application"] == name)
        if number > most:
            found.append("%s holds %d connections" % (name, number))
    return found


def result(
    plan: Plan,
    steps: Sequence[Step],
    ended: Sequence[Titled],
    restart: Optional[Change],
    used_after: Optional[int],
    room_after: Optional[bool],
) -> Change:
    """``ended``: whose slots were freed first; ``restart``: of the clients."""
    looked = plan.state.sessions.looked
    sessions = merged(steps) + [dict(one) for one in plan.unfree]
    lines = [line(row) for selection, outcome in steps for row in selection.take if row["pid"] in outcome.of]
    before: Dict[str, Any] = {"sessions": lines + [title_line(one) for one in ended]}
    after: Dict[str, Any] = {"sessions": []}
    parts = summary_of(sessions, len(ended), ())
    if restart is not None:
        before["clients"], after["clients"] = restart.before, restart.after
        restarted = [row["name"] for row in restart.details["containers"] if row["started"]]
        parts.append("restarted %s" % (", ".join(restarted) or "no client"))
    if plan.next.kind == UNKNOWN:
        parts.append("the other sessions can only be examined once a slot is free")
    details: Dict[str, Any] = {
        "sessions": sessions,
        "freed": [freed(one) for one in ended],
        "slots": _sessions.slots(looked, used_after),
        "reached": looked is not None,
        "clients": restart.details["containers"] if restart is not None else [],
        "room": {"before": looked is not None and not ended and plan.wish.has_room(looked), "after": room_after},
        "msg": "; ".join(parts) or "There are free connection slots, and no session has been idle for that long",
    }
    touched = restart is not None and restart.changed
    changed = bool(ended) or touched or any(outcome.changed for _selection, outcome in steps)
    return Change(changed, before, after, details)


def again(plan: Plan, looked: Looked, ended: int) -> Plan:
    """The plan once SQL got through."""
    return decide(replace(plan.state, sessions=replace(plan.state.sessions, looked=looked)), plan.wish, ended)
