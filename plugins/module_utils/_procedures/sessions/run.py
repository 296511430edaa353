# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions cancelled or ended: look, decide (``_guard``), cancel, wait, terminate, verify.

Each signalling is one statement for all sessions, which looks at each one again by ``(pid, backend_start)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, OptionsError, RefusedError, SessionError, TargetError, UnprovenError
from ..._core.mask import mask
from ..._core.spec import Spec
from ..._core.wait import Waited, wait_for
from ..._judge.checks.blocking import roots
from ..._model import tools as _tools
from ..procedure import Change
from . import free_slot as _free_slot
from . import plan as _guard
from .plan import ABSENT, CANCELLED, Declared, Plan, Request, Row, Rules, Titled
from .sql import CANCEL, LOOK, LOOK_BLOCKING, TERMINATE, THERE

if TYPE_CHECKING:
    from ..._gather.sql.query import Query
    from ..._gather.target import Target

TERMINATED, GONE, STILL_THERE, REFUSED = "terminated", "gone_by_itself", "still_there", "refused"
PROTECTED_APPLICATIONS = _tools.PROTECTED
STATES = (*_guard.STATES, _guard.UNDERSCORED)  # as they may be given
TOO_MANY_CONNECTIONS = "53300"
NOTHING_TO_CANCEL = "has no query to cancel; state=absent ends it"
AT_WORK_AGAIN = "is at work again since it was looked at"
TO_FREE_A_SLOT = "to free a slot for SQL"
_QUERY_LENGTH = 200
_GET_IN_SECONDS = 2.0  # for a slot that was freed to be ours
_ROUNDS = 8

Ask = Callable[..., List[Dict[str, Any]]]

OPTIONS = Spec(
    {
        "state": {"type": "str", "choices": ["cancelled", "absent"], "required": True},
        "pids": {"type": "list", "elements": "int"},
        "session_states": {"type": "list", "elements": "str", "choices": list(STATES)},
        "idle_seconds": {"type": "float"},
        "query_seconds": {"type": "float"},
        "application": {"type": "str"},
        "user": {"type": "str"},
        "database": {"type": "str"},
        "client_address": {"type": "str"},
        "blocking": {"type": "bool", "default": False},
        "protect_applications": {"type": "list", "elements": "str", "default": list(PROTECTED_APPLICATIONS)},
        "protect_users": {"type": "list", "elements": "str", "default": []},
        "max_sessions": {"type": "int", "default": 100},
        "max_percent": {"type": "float", "default": 50},
        "down_to_percent": {"type": "float"},
        "cancel_wait_seconds": {"type": "float", "default": 2},
        "timeout_seconds": {"type": "float", "default": 10},
        "free_slot": {"type": "bool", "default": True},
    }
)


@dataclass
class _Done:
    """What became of the sessions taken; in check mode, what would."""

    outcomes: Dict[int, str] = field(default_factory=dict)
    reasons: Dict[int, str] = field(default_factory=dict)


class _NoSlot(Exception):
    """SQL is refused for want of a slot. ``take`` is whose slot would be freed (check mode); empty: nobody is meant."""

    def __init__(self, take: Sequence[Titled] = ()) -> None:
        super().__init__("no slot is left")
        self.take = take


def change(target: Target, options: Mapping[str, Any], check_mode: bool) -> Change:
    """Cancel the queries of the sessions meant (``state=cancelled``), or end them (``absent``).

    Raises RefusedError where the caps or the rules forbid it, UnprovenError where a session is still there.
    """
    request, rules = _request(options), _rules(target, options)
    way = _Way(target, request, rules, options["free_slot"], check_mode, _administrators(target, options))
    ask, freed = way.ask, way.freed
    try:
        looked = ask(LOOK_BLOCKING if request.blocking else LOOK)[0]
    except _NoSlot as no_slot:
        return _unseen(no_slot.take)
    plan, slots = _plan(looked, request, rules, options["down_to_percent"]), _slots(looked)
    details = {"freed": [_freed(one) for one in freed], "slots": slots, "reached": True}
    if plan.over:
        refused = "Refused: it would %s %s" % (_verb(request), plan.over)
        raise RefusedError(
            refused,
            "See the sessions listed, narrow the choice, or raise the cap.",
            details=dict(details, sessions=_sessions(plan, _predicted(plan, request))),
        )
    if plan.refused and not plan.take and not freed and (request.pids is not None or request.blocking):
        row, reason = plan.refused[0]
        raise RefusedError(
            "Nothing was done: pid %d %s" % (row["pid"], reason),
            "If it is an application's, declare that in clients; if it is a person's, ask that person to end it.",
            details=dict(details, sessions=_sessions(plan, _Done())),
        )
    before = {"sessions": [_line(row) for row in plan.take] + [_title_line(one) for one in freed]}
    if check_mode:
        done = _predicted(plan, request)
        slots["used_after"] = slots["used"] - (len(plan.take) if request.state == ABSENT else 0)
    else:
        done = _apply(target, ask, plan, request, options)
        slots["used_after"] = _used(ask)
    details["sessions"] = _sessions(plan, done)
    _prove(plan, done, request, details)
    details["msg"] = _summary(plan, done, freed, request)
    if not plan.take and not freed:
        return Change(False, {"sessions": []}, {"sessions": []}, details)
    changed = bool(freed) or any(outcome in (CANCELLED, TERMINATED) for outcome in done.outcomes.values())
    return Change(changed, before, {"sessions": []}, details)


# --- what is meant ----------------------------------------------------------------------------------------------------


def _request(options: Mapping[str, Any]) -> Request:
    pids = options["pids"]
    request = Request(
        options["state"],
        frozenset(pids) if pids is not None else None,
        _guard.states(options["session_states"] or ()),
        options["idle_seconds"],
        options["query_seconds"],
        options["application"],
        options["user"],
        options["database"],
        options["client_address"],
        options["blocking"],
        options["down_to_percent"] is not None,
    )
    if not request.names_something():
        raise OptionsError(
            "Nothing says which sessions are meant",
            "Give pids, session_states, idle_seconds, query_seconds, application, user, database, client_address or "
            "blocking.",
        )
    if request.only_clients and (request.state == CANCELLED or not 0 <= options["down_to_percent"] <= 100):
        raise OptionsError("down_to_percent is of 0 to 100 and for state=absent", "A cancelled query frees no slot.")
    return request


def _rules(target: Target, options: Mapping[str, Any]) -> Rules:
    clients = tuple(
        Declared(client.user, client.application_name, frozenset(client.addresses))
        for client in target.runtime.clients()
        if client.user
    )
    return Rules(
        clients,
        tuple(options["protect_applications"]),
        tuple(options["protect_users"]),
        options["max_sessions"],
        options["max_percent"],
    )


def _plan(looked: Mapping[str, Any], request: Request, rules: Rules, percent: Optional[float]) -> Plan:
    rows: List[Row] = looked["rows"]
    blockers = [root.pid for root in roots(looked["edges"]) if root.gid is None]
    at_most = None if percent is None else _guard.needed(_counted(looked, request), percent)
    return _guard.select(rows, request, rules, blockers, at_most)


def _counted(looked: Mapping[str, Any], request: Request) -> List[Tuple[int, int]]:
    """(used, limit): of the server, and of the role and the database that are asked for."""
    clients = [row for row in looked["rows"] if row["backend_type"] == _guard.CLIENT_BACKEND and not row["own"]]
    counted = [(len(clients), int(looked["usable"]))]
    for key, name, limits in (
        ("user", request.user, looked["role_limits"]),
        ("database", request.database, looked["database_limits"]),
    ):
        if name in limits:
            counted.append((sum(1 for row in clients if row[key] == name), int(limits[name])))
    return counted


def _slots(looked: Mapping[str, Any]) -> Dict[str, Any]:
    used = sum(1 for row in looked["rows"] if row["backend_type"] == _guard.CLIENT_BACKEND and not row["own"])
    return {"usable": looked["usable"], "used": used, "used_after": used}


def _predicted(plan: Plan, request: Request) -> _Done:
    outcome = CANCELLED if request.state == CANCELLED else TERMINATED
    return _Done({row["pid"]: outcome for row in plan.take})


# --- signalling -------------------------------------------------------------------------------------------------------


def _apply(target: Target, ask: Ask, plan: Plan, request: Request, options: Mapping[str, Any]) -> _Done:
    if not plan.take:
        return _Done()
    if request.state == CANCELLED:
        return _cancel(target, ask, plan.take, options["timeout_seconds"])
    working = [row for row in plan.take if row["state"] == "active"]
    cancelled: Dict[int, str] = {}
    if working:  # a cancelled query tells its client more than a connection that is gone
        cancelled = _cancel(target, ask, working, options["cancel_wait_seconds"]).outcomes
    by_state = [row["state_change"] if request.by_state() and _is_idle(row) else None for row in plan.take]
    sent = {row["pid"] for row in ask(TERMINATE, **_arrays(plan.take, changes=by_state)) if row["sent"]}
    # Those that were not signalled are looked at, too: gone, or at work again.
    waited = _wait(target, plan.take, sent, options["timeout_seconds"], queries=False)
    done = _Done()
    for row in plan.take:
        pid = row["pid"]
        if pid in waited.last:
            done.outcomes[pid] = STILL_THERE if pid in sent else REFUSED
            if pid not in sent:
                done.reasons[pid] = AT_WORK_AGAIN
        else:
            done.outcomes[pid] = TERMINATED if pid in sent else cancelled.get(pid, GONE)
    return done


def _cancel(target: Target, ask: Ask, rows: Sequence[Row], seconds: float) -> _Done:
    queries = [row["query_start"] for row in rows]
    sent = {row["pid"] for row in ask(CANCEL, **_arrays(rows, queries=queries)) if row["sent"]}
    waited = _wait(target, rows, sent, seconds, queries=True)
    done = _Done()
    for row in rows:
        there = STILL_THERE if row["pid"] in waited.last else CANCELLED
        done.outcomes[row["pid"]] = there if row["pid"] in sent else GONE
    return done


def _wait(
    target: Target, rows: Sequence[Row], sent: Collection[int], seconds: float, queries: bool
) -> "Waited[Collection[int]]":
    """Until none of those that were signalled is there; ``last`` are the pids of ``rows`` that still are."""
    arrays = _arrays(rows, queries=[row["query_start"] for row in rows] if queries else None)

    def there() -> Collection[int]:
        deadline = Deadline(target.deadline_seconds)
        try:
            return {row["pid"] for row in target.session.query(THERE, deadline, **arrays)}
        except OncallError:
            # Others may have taken every slot that was freed: no slot for the proof either, but the processes tell.
            try:
                running = {one.backend.pid for one in _free_slot.roll(target, deadline)}
            except OncallError:
                return {row["pid"] for row in rows}
            return {row["pid"] for row in rows if row["pid"] in running}

    return wait_for(there, lambda pids: not any(pid in sent for pid in pids), seconds)


def _arrays(
    rows: Sequence[Row],
    changes: Optional[Sequence[Optional[str]]] = None,
    queries: Optional[Sequence[Optional[str]]] = None,
) -> Dict[str, List[Optional[str]]]:
    nothing: List[Optional[str]] = [None] * len(rows)
    return {
        "pids": [str(row["pid"]) for row in rows],
        "starts": [row["backend_start"] for row in rows],
        "changes": list(changes) if changes is not None else nothing,
        "queries": list(queries) if queries is not None else nothing,
    }


def _used(ask: Ask) -> Optional[int]:
    try:
        return int(_slots(ask(LOOK)[0])["used"])
    except (OncallError, _NoSlot):
        return None  # proved by what became of each session, which is known


def _prove(plan: Plan, done: _Done, request: Request, details: Mapping[str, Any]) -> None:
    left = [row for row in plan.take if done.outcomes[row["pid"]] == STILL_THERE]
    if not left:
        return
    pids = ", ".join(str(row["pid"]) for row in left[:20])
    if request.state == CANCELLED:
        raise UnprovenError(
            "%d of %d sessions go on with the query that was cancelled: pid %s" % (len(left), len(plan.take), pids),
            "They ignore it; state=absent ends them.",
            details=dict(details, changed=True),
        )
    raise UnprovenError(
        "%d of %d sessions were told to end and are still there: pid %s" % (len(left), len(plan.take), pids),
        "They may be held up by the disk or the network; look at their wait events, and never send SIGKILL.",
        details=dict(details, changed=True),
    )


# --- when no slot is left ---------------------------------------------------------------------------------------------


@dataclass
class _Way:
    """The way to SQL, if need be through a slot that is freed first. ``freed``: whose slots were."""

    target: Target
    request: Request
    rules: Rules
    free_slot: bool
    check_mode: bool
    administrators: Collection[str]
    freed: List[Titled] = field(default_factory=list)

    def ask(self, query: Query, **params: Any) -> List[Dict[str, Any]]:
        """The query's rows. Raises _NoSlot where none is left and none need or may be freed (check mode)."""
        patience = 0.0
        for round_ in range(_ROUNDS):
            try:
                return self._get_in(query, params, patience)
            except SessionError as error:
                if self._is_full():
                    self._free(2**round_, error)
                    patience = _GET_IN_SECONDS
                elif round_:  # not at the first time: a slot may have been freed since
                    raise
        return self._get_in(query, params, patience)

    def _get_in(self, query: Query, params: Mapping[str, Any], seconds: float) -> List[Dict[str, Any]]:
        """Others wait for the freed slot, too: be quick, and try again."""
        patience = Deadline(seconds)
        while True:
            try:
                return self.target.session.query(query, Deadline(self.target.deadline_seconds), **params)
            except SessionError:
                if patience.passed():
                    raise

    def _is_full(self) -> bool:
        """A start-up packet is refused with 53300: then not even a superuser gets in."""
        deadline = Deadline(self.target.deadline_seconds).sooner(self.target.connect_timeout_seconds)
        answers = self.target.runtime.wire(deadline)
        return any(answer["sqlstate"] == TOO_MANY_CONNECTIONS for answer in answers)

    def _free(self, number: int, error: SessionError) -> None:
        """Slots of ``number`` sessions: each time more, for others take them at once."""
        nothing = "Not one slot is left for SQL"
        details = {"freed": [_freed(one) for one in self.freed], "sessions": [], "reached": False}
        if self.request.state == CANCELLED or not self.free_slot:
            why = "state=cancelled ends no session" if self.request.state == CANCELLED else "free_slot is false"
            hint = "Use state=absent, or restart a client."
            raise RefusedError("%s, and %s" % (nothing, why), hint, TOO_MANY_CONNECTIONS, details) from error
        number = min(number, self.rules.max_sessions - len(self.freed))
        if number < 1:
            raise UnprovenError(
                "%s, though %d were freed: others take them at once" % (nothing, len(self.freed)),
                "Restart or stop the clients that do, or raise max_sessions.",
                TOO_MANY_CONNECTIONS,
                dict(details, changed=True),
            ) from error
        deadline = Deadline(self.target.deadline_seconds)
        try:
            titles = _free_slot.roll(self.target, deadline)
        except TargetError as unseen:
            raise RefusedError(
                "%s, and none can be freed: %s" % (nothing, unseen), "", TOO_MANY_CONNECTIONS, details
            ) from error
        if not titles:
            hint = "Restart a client."
            raise RefusedError("%s, and no process title is seen" % nothing, hint, TOO_MANY_CONNECTIONS, details)
        choice = _guard.choose(titles, self.request, self.rules, self.administrators)
        if not choice.take and choice.refused:
            one, reason = choice.refused[0]
            raise RefusedError(
                "%s, and none of the %d sessions that may be meant may be ended: pid %d %s"
                % (nothing, len(choice.refused), one.backend.pid, reason),
                "Declare the client they belong to, or restart a client.",
                TOO_MANY_CONNECTIONS,
                dict(
                    details, sessions=[dict(_freed(each), outcome=REFUSED, reason=why) for each, why in choice.refused]
                ),
            ) from error
        if self.check_mode or not choice.take:
            raise _NoSlot(choice.take[:1])
        self.freed += _free_slot.terminate(self.target, choice.take[:number], deadline)


def _administrators(target: Target, options: Mapping[str, Any]) -> Collection[str]:
    """Roles that may be superusers, as far as it can be told without SQL."""
    return {"postgres", options["login_user"], target.runtime.session_settings().get("user")} - {None, ""}


def _unseen(take: Sequence[Titled]) -> Change:
    """What can be told without SQL: the first session to go (check mode), or that none can be one that is meant."""
    details = {
        "sessions": [],
        "freed": [_freed(one) for one in take],
        "slots": {"usable": None, "used": None, "used_after": None},
        "reached": False,
        "msg": "Not one slot is left for SQL. "
        + (
            "The session named would be ended first, then the others are looked at."
            if take
            else "No session can be one that is meant: none is old enough, or in such a state."
        ),
    }
    return Change(bool(take), {"sessions": [_title_line(one) for one in take]}, {"sessions": []}, details)


# --- in words ---------------------------------------------------------------------------------------------------------


def _sessions(plan: Plan, done: _Done) -> List[Dict[str, Any]]:
    taken = [_shown(row, done.outcomes[row["pid"]], done.reasons.get(row["pid"])) for row in plan.take]
    taken += [_shown(row, REFUSED, reason) for row, reason in plan.refused]
    return taken + [_shown(row, REFUSED, NOTHING_TO_CANCEL) for row in plan.idle]


def _shown(row: Row, outcome: str, reason: Optional[str]) -> Dict[str, Any]:
    hidden = ("own", "may_signal", "state_change", "query_start", "replication")
    shown: Dict[str, Any] = {name: value for name, value in row.items() if name not in hidden}
    if row["query"] is not None:
        shown["query"] = mask(row["query"])[:_QUERY_LENGTH]
    return dict(shown, outcome=outcome, reason=reason)


def _freed(one: Titled) -> Dict[str, Any]:
    backend = one.backend
    return {
        "pid": backend.pid,
        "user": backend.user,
        "database": backend.database,
        "client_address": backend.address,
        "state": backend.state,
        "age_seconds": round(one.age_seconds, 1),
        "outcome": TERMINATED,
        "reason": TO_FREE_A_SLOT,
    }


def _line(row: Row) -> str:
    """For the diff: nothing that passes with time, so that check mode and the real run show the same."""
    words = (
        row["pid"],
        row["user"],
        row["database"],
        row["client_address"] or "local",
        row["application"],
        row["state"],
    )
    return "pid %s %s@%s from %s %s %s" % words


def _title_line(one: Titled) -> str:
    backend = one.backend
    words = (backend.pid, backend.user, backend.database, backend.address or "local", backend.state)
    return "pid %s %s@%s from %s %s" % words


def _verb(request: Request) -> str:
    return "cancel the queries of" if request.state == CANCELLED else "end"


def _summary(plan: Plan, done: _Done, freed: Sequence[Titled], request: Request) -> str:
    counts: Dict[str, int] = {}
    for outcome in done.outcomes.values():
        counts[outcome] = counts.get(outcome, 0) + 1
    parts = ["%d %s" % (number, outcome.replace("_", " ")) for outcome, number in sorted(counts.items())]
    if freed:
        parts.append("%d ended %s" % (len(freed), TO_FREE_A_SLOT))
    if plan.refused:
        row, reason = plan.refused[0]
        parts.append("%d left alone (pid %d %s)" % (len(plan.refused), row["pid"], reason))
    if plan.idle:
        parts.append("%d left alone (pid %d %s)" % (len(plan.idle), plan.idle[0]["pid"], NOTHING_TO_CANCEL))
    if plan.absent_pids:
        parts.append("not there: pid %s" % ", ".join(str(pid) for pid in plan.absent_pids))
    return "; ".join(parts) or "no session to %s" % ("cancel" if request.state == CANCELLED else "end")


def _is_idle(row: Row) -> bool:
    return (row["state"] or "").startswith(_guard.STATES[1])
