# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``sessions``: look, decide (guard.py), cancel, wait, terminate, verify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, List

from ..._core.errors import OncallError, RefusedError, UnprovenError
from ..._core.spec import Spec
from ..procedure import Change, Options
from . import guard, look, signal
from .by_title import Titled
from .guard import ABSENT, CANCELLED
from .plan import Plan, State, decide, job_of, request_of, result
from .shown import STILL_THERE, Outcome, freed
from .sql import LOOK, LOOK_BLOCKING
from .way import Way

if TYPE_CHECKING:
    from ..._gather.target import Target

STATES = (*guard.STATES, guard.UNDERSCORED)  # as they may be given

OPTIONS = look.PROTECTION + Spec(
    {
        "state": {"type": "str", "choices": [CANCELLED, ABSENT], "required": True},
        "pids": {"type": "list", "elements": "int"},
        "session_states": {"type": "list", "elements": "str", "choices": list(STATES)},
        "idle_seconds": {"type": "float"},
        "query_seconds": {"type": "float"},
        "application": {"type": "str"},
        "user": {"type": "str"},
        "database": {"type": "str"},
        "client_address": {"type": "str"},
        "blocking": {"type": "bool", "default": False},
        "max_sessions": {"type": "int", "default": 100},
        "max_percent": {"type": "float", "default": 50},
        "down_to_percent": {"type": "float"},
        "cancel_wait_seconds": {"type": "float", "default": 2},
        "timeout_seconds": {"type": "float", "default": 10},
        "free_slot": {"type": "bool", "default": True},
    }
)


@dataclass
class Done:
    """``plan`` is the one that was carried out: a new one where a slot had to be freed to look."""

    plan: Plan
    outcome: Outcome
    freed: List[Titled]


class Sessions:
    """The state read is every backend, or the roll of processes where SQL finds no slot."""

    def read(self, target: Target, options: Options) -> State:
        request_of(options)  # what selects no session is refused before anything is checked
        return look.state(target, job_of(options))

    def plan(self, state: State, options: Options) -> Plan:
        return decide(state, job_of(options), request_of(options), options["down_to_percent"])

    def apply(self, target: Target, plan: Plan) -> Done:
        way = Way(target, plan.job, plan.request)
        try:
            if plan.looked is None:
                plan = self._again(plan, way)
            return Done(plan, _signal(target, way, plan), way.freed)
        except RefusedError as refused:
            if not way.freed:
                raise
            raise _stopped(refused, way) from None

    def prove(self, target: Target, plan: Plan, done: Done) -> Change:
        after = look.used(target)
        change = result(done.plan, done.outcome, done.freed, len(after.clients) if after else None)
        left = [row["pid"] for row in done.plan.selection.take if done.outcome.of.get(row["pid"]) == STILL_THERE]
        if left:
            raise still_there(left, len(done.plan.selection.take), done.plan.request.state, change)
        return change

    @staticmethod
    def _again(plan: Plan, way: Way) -> Plan:
        looked = way.look(LOOK_BLOCKING if plan.request.blocking else LOOK)
        return decide(State(plan.rules, looked), plan.job, plan.request, plan.percent, len(way.freed))


def _signal(target: Target, way: Way, plan: Plan) -> Outcome:
    take, job = plan.selection.take, plan.job
    if plan.request.state == CANCELLED:
        return signal.cancel(target, way.ask, take, plan.request, job.timeout_seconds)
    return signal.end(target, way.ask, take, plan.request, job.cancel_wait_seconds, job.timeout_seconds)


def _stopped(error: OncallError, way: Way) -> UnprovenError:
    """A refusal after a slot was freed is no longer a refusal."""
    return UnprovenError(
        "%d sessions were ended to free a slot for SQL; then: %s" % (len(way.freed), error.msg),
        error.hint,
        error.sqlstate,
        dict(error.details, freed=[freed(one) for one in way.freed], changed=True),
    )


def still_there(pids: List[int], number: int, state: str, change: Change) -> UnprovenError:
    details = dict(change.details, changed=True, diff={"before": change.before, "after": change.after})
    listed = ", ".join(str(pid) for pid in pids[:20])
    if state == CANCELLED:
        return UnprovenError(
            "%d of %d sessions are still running the query that was cancelled: pid %s" % (len(pids), number, listed),
            "They ignore it; state=absent ends them.",
            details=details,
        )
    return UnprovenError(
        "%d of %d sessions were signalled to end but are still there: pid %s" % (len(pids), number, listed),
        "They may be held up by the disk or the network: check their wait events. Never send SIGKILL.",
        details=details,
    )
