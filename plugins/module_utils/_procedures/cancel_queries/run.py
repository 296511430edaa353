# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``cancel_queries``: root blockers first, then long queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, List, Optional, Set

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, UnprovenError
from ..._core.spec import Spec
from ..._judge.caps import MAX_SESSIONS
from ..procedure import Change, Options
from ..sessions import look, signal
from ..sessions.guard import Looked, Selection, over, select
from ..sessions.plan import State
from ..sessions.shown import REFUSED, STILL_THERE, Outcome
from ..sessions.sql import LOOK_BLOCKING
from .plan import Plan, Step, both, deaf, decide, idle_roots, result, wish_of, without

if TYPE_CHECKING:
    from ..._gather.target import Target

OPTIONS = look.PROTECTION + Spec(
    {
        "pids": {"type": "list", "elements": "int"},
        "query_seconds": {"type": "float"},
        "end_blockers": {"type": "bool", "default": True},
        "max_sessions": {"type": "int", "default": MAX_SESSIONS},
        "max_percent": {"type": "float", "default": 100},
        "cancel_wait_seconds": {"type": "float", "default": 2},
        "timeout_seconds": {"type": "float", "default": 10},
    }
)


@dataclass
class Done:
    """``steps``, as they were carried out; ``stopped``: why the rest was not."""

    steps: List[Step] = field(default_factory=list)
    stopped: Optional[OncallError] = None

    @property
    def handled(self) -> Set[int]:
        return {pid for _selection, outcome in self.steps for pid, what in outcome.of.items() if what != REFUSED}


class CancelQueries:
    """Who is meant is judged anew before each step: what waited for a root blocker goes on by itself."""

    def read(self, target: Target, options: Options) -> State:
        wish = wish_of(options, target.thresholds.blocked_seconds)
        return look.state(target, wish.job)

    def plan(self, state: State, options: Options) -> Plan:
        return decide(state, wish_of(options, options["blocked_seconds"]))

    def apply(self, target: Target, plan: Plan) -> Done:
        wish, rules, done = plan.wish, plan.rules, Done()
        ask, wait = _asking(target), wish.job.timeout_seconds
        try:
            # One that ignores it is ended next: it is not waited for any longer than that takes to see.
            patience = wish.job.cancel_wait_seconds if wish.end_blockers else wait
            cancelled = signal.cancel(target, ask, plan.cancel.take, wish.roots, patience)
            done.steps.append((plan.cancel, cancelled))
            looked = _look(target)
            end = both(idle_roots(looked, wish, rules), deaf(looked, wish, rules, cancelled.are(STILL_THERE)))
            _within(end, looked, plan, done)
            ended = signal.end(target, ask, end.take, wish.idle_roots, wish.job.cancel_wait_seconds, wait)
            done.steps.append((end, ended))
            looked = _look(target)
            long = without(select(looked, wish.long, rules), done.handled)
            _within(long, looked, plan, done)
            done.steps.append((long, signal.cancel(target, ask, long.take, wish.long, wait)))
        except OncallError as error:
            if not done.steps:
                raise
            done.stopped = error
        done.steps += [(Selection(), Outcome())] * (3 - len(done.steps))
        return done

    def prove(self, target: Target, plan: Plan, done: Done) -> Change:
        try:
            blocked = _look(target).blocked
        except OncallError:
            blocked = None
        change = result(plan.looked, done.steps, blocked)
        details = dict(change.details, changed=change.changed, diff={"before": change.before, "after": change.after})
        if done.stopped is not None:
            raise UnprovenError(
                "Not finished (%s): %s" % (change.details["msg"], done.stopped.msg),
                done.stopped.hint,
                done.stopped.sqlstate,
                details,
            )
        left = [one["pid"] for one in change.details["sessions"] if one["outcome"] == STILL_THERE]
        if left:
            raise UnprovenError(
                "%d of %d sessions are still running the cancelled query: pid %s"
                % (len(left), len(change.details["sessions"]), ", ".join(str(pid) for pid in left[:20])),
                "They ignore it. To end them: module sessions with state=absent and their pids. Never send SIGKILL.",
                details=details,
            )
        return change


def _asking(target: Target) -> signal.Ask:
    return lambda query, **params: target.session.query(query, Deadline(target.deadline_seconds), **params)


def _look(target: Target) -> Looked:
    return look.seen(target, LOOK_BLOCKING)


def _within(selection: Selection, looked: Looked, plan: Plan, done: Done) -> None:
    """What was not there to be planned counts, too."""
    number = len(done.handled | {row["pid"] for row in selection.take})
    why = over(number, looked, plan.wish.long, plan.rules)
    if why and selection.take:
        raise UnprovenError(
            "more queries block others or run too long by now: %s" % why, "Raise the limit, or run it again."
        )
