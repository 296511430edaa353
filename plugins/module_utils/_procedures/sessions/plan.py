# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the module ``sessions``: who is signalled, or whose slot is freed first when none is left. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple

from ..._core.errors import OptionsError, RefusedError
from ..._model import tools as _tools
from ..procedure import Change
from .by_title import Choice, Titled, choose
from .guard import ABSENT, CANCELLED, Looked, Request, Rules, Selection, counted, needed, refuse_unknown, select, states
from .shown import (
    NOTHING_TO_CANCEL,
    REFUSED,
    TERMINATED,
    Outcome,
    freed,
    line,
    records,
    summary,
    title_line,
    titled,
)

TOO_MANY_CONNECTIONS = "53300"
NO_SLOT = "No connection slot is available for SQL"


@dataclass(frozen=True)
class Job:
    """What is asked for, apart from which sessions: the rules' numbers, and how long to wait."""

    blocking: bool = False
    protect_applications: Tuple[str, ...] = _tools.PROTECTED
    protect_users: Tuple[str, ...] = ()
    max_sessions: int = 100
    max_percent: float = 50
    free_slot: bool = True
    cancel_wait_seconds: float = 2
    timeout_seconds: float = 10


@dataclass(frozen=True)
class State:
    """What was read. ``looked`` None: no slot is left; then ``titles``, or why they cannot be ``unseen``."""

    rules: Rules
    looked: Optional[Looked] = None
    titles: Tuple[Titled, ...] = ()
    unseen: Optional[str] = None


@dataclass(frozen=True)
class Plan:
    """``looked`` None: no slot is left; ``free`` is the session whose slot is freed first, then it is planned anew."""

    job: Job
    request: Request
    rules: Rules
    percent: Optional[float]  # down to which share of the slots
    looked: Optional[Looked] = None
    selection: Selection = field(default_factory=Selection)
    free: Tuple[Titled, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.selection.take and not self.free

    def foreseen(self) -> Change:
        if self.looked is None:
            return _without_sql(self.free)
        expected = CANCELLED if self.request.state == CANCELLED else TERMINATED
        return result(self, Outcome.expected(self.selection.take, expected), (), self.expected_use)

    @property
    def expected_use(self) -> Optional[int]:
        if self.looked is None:
            return None
        gone = len(self.selection.take) if self.request.state == ABSENT else 0
        return len(self.looked.clients) - gone


def job_of(options: Mapping[str, Any]) -> Job:
    return Job(
        options["blocking"],
        tuple(options["protect_applications"]),
        tuple(options["protect_users"]),
        options["max_sessions"],
        options["max_percent"],
        options["free_slot"],
        options["cancel_wait_seconds"],
        options["timeout_seconds"],
    )


def request_of(options: Mapping[str, Any]) -> Request:
    """Raises OptionsError where nothing says which sessions are meant."""
    pids, percent = options["pids"], options["down_to_percent"]
    request = Request(
        options["state"],
        frozenset(pids) if pids is not None else None,
        states(options["session_states"] or ()),
        options["idle_seconds"],
        options["query_seconds"],
        options["application"],
        options["user"],
        options["database"],
        options["client_address"],
        options["blocking"],
        percent is not None,
    )
    if not request.names_something():
        raise OptionsError(
            "No sessions are selected",
            "Give pids, session_states, idle_seconds, query_seconds, application, user, database, client_address or "
            "blocking.",
        )
    if percent is not None and (request.state == CANCELLED or not 0 <= percent <= 100):
        raise OptionsError(
            "down_to_percent must be between 0 and 100, and needs state=absent", "A cancelled query frees no slot."
        )
    return request


def decide(state: State, job: Job, request: Request, percent: Optional[float], ended: int = 0) -> Plan:
    """``ended``: how many were ended already, to free a slot: then a refusal of named ones is no failure.

    Raises RefusedError where the caps or the rules forbid all of it.
    """
    if state.looked is None:
        choice = first_slot(state, job, request)
        return Plan(job, request, state.rules, percent, free=choice.take[:1])
    looked, rules = state.looked, state.rules
    refuse_unknown(request, looked.roles, looked.databases, "The server has no")
    at_most = None
    if percent is not None:
        at_most = needed(counted(looked, (request.user,), (request.database,)).values(), percent)
    selection = select(looked, request, rules, at_most)
    plan = Plan(job, request, rules, percent, looked, selection)
    refuse_over(selection, request, looked)
    if selection.refused and not selection.take and not ended and (request.pids is not None or request.blocking):
        refuse_all(selection, _refusal(records(selection, Outcome()), looked))
    return plan


def refuse_over(selection: Selection, request: Request, looked: Looked) -> None:
    if selection.over:
        verb = "cancel the queries of" if request.state == CANCELLED else "end"
        expected = CANCELLED if request.state == CANCELLED else TERMINATED
        raise RefusedError(
            "Refused: it would %s %s" % (verb, selection.over),
            "Check the sessions listed, narrow the selection, or raise the limit.",
            details=_refusal(records(selection, Outcome.expected(selection.take, expected)), looked),
        )


def refuse_all(selection: Selection, details: Dict[str, Any]) -> None:
    row, reason = selection.refused[0]
    declare = "If an application logs in like that, declare it in clients."
    raise RefusedError(
        "Nothing was done: pid %d %s" % (row["pid"], reason),
        declare if row["superuser"] else "%s If it is a person's session, ask them to end it." % declare,
        details=details,
    )


def _refusal(sessions: List[Dict[str, Any]], looked: Looked) -> Dict[str, Any]:
    return {"sessions": sessions, "freed": [], "slots": slots(looked, len(looked.clients)), "reached": True}


def first_slot(state: State, job: Job, request: Request) -> Choice:
    """Whose slot may be freed, best first; empty where no session qualifies.

    Raises RefusedError where a slot must not be freed, or nobody who may be meant may be ended.
    """
    nothing: Dict[str, Any] = {"sessions": [], "freed": [], "slots": slots(None, None), "reached": False}
    if request.state == CANCELLED:
        raise nothing_frees("cancelling a query frees none", nothing)
    if not job.free_slot:
        raise nothing_frees("free_slot is false", nothing)
    if state.unseen is not None:
        raise _no_slot("%s, and none can be freed: %s" % (NO_SLOT, state.unseen), "", nothing)
    if not state.titles:
        raise _no_slot("%s, and the server's process titles cannot be read" % NO_SLOT, "Restart a client.", nothing)
    roles, databases = ({getattr(one.backend, name) for one in state.titles} for name in ("user", "database"))
    refuse_unknown(request, roles, databases, "%s, and no session of" % NO_SLOT)
    choice = choose(state.titles, request, state.rules)
    if not choice.take and choice.refused:
        one, reason = choice.refused[0]
        raise _no_slot(
            "%s, and none of the %d candidate sessions can be ended safely: pid %d %s"
            % (NO_SLOT, len(choice.refused), one.backend.pid, reason),
            "Declare the client that they belong to (clients), or restart a client.",
            dict(nothing, sessions=[titled(each, REFUSED, why) for each, why in choice.refused]),
        )
    return choice


def nothing_frees(why: str, details: Dict[str, Any]) -> RefusedError:
    return _no_slot("%s, and %s" % (NO_SLOT, why), "End idle sessions (pool_reset), or restart a client.", details)


def _no_slot(msg: str, hint: str, details: Dict[str, Any]) -> RefusedError:
    return RefusedError(msg, hint, TOO_MANY_CONNECTIONS, details)


def slots(looked: Optional[Looked], after: Optional[int]) -> Dict[str, Any]:
    if looked is None:
        return {"usable": None, "used": None, "used_after": after}
    return {"usable": looked.usable, "used": len(looked.clients), "used_after": after}


def result(plan: Plan, outcome: Outcome, ended: Collection[Titled], used_after: Optional[int]) -> Change:
    """Of what was (or would be) done; ``ended`` are those whose slots were freed first."""
    selection = plan.selection
    before = [line(row) for row in selection.take] + [title_line(one) for one in ended]
    refused = [*selection.refused, *((row, NOTHING_TO_CANCEL) for row in selection.idle)]
    parts = summary(outcome.of, len(ended), refused, selection.absent_pids)
    details = {
        "sessions": records(selection, outcome),
        "freed": [freed(one) for one in ended],
        "slots": slots(plan.looked, used_after),
        "reached": True,
        "msg": "; ".join(parts) or "no session to %s" % ("cancel" if plan.request.state == CANCELLED else "end"),
    }
    return Change(bool(ended) or outcome.changed, {"sessions": before}, {"sessions": []}, details)


def _without_sql(free: Tuple[Titled, ...]) -> Change:
    """What can be told without SQL: the first session to go, or that none can be one that is meant."""
    details = {
        "sessions": [],
        "freed": [freed(one) for one in free],
        "slots": slots(None, None),
        "reached": False,
        "msg": NO_SLOT
        + (
            ". The session listed would be ended first; the others can only be examined after that."
            if free
            else ". No session matches: none is old enough or in that state."
        ),
    }
    return Change(bool(free), {"sessions": [title_line(one) for one in free]}, {"sessions": []}, details)
