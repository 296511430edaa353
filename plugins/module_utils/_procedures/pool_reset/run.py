# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``pool_reset``: room for connections, by the least that makes it, in one process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, List, Optional, Sequence

from ..._core.errors import OncallError, OptionsError, RefusedError, UnprovenError
from ..._core.interrupt import Requests, collected
from ..._core.spec import Spec
from ..._core.wait import wait_for
from ..._judge.caps import MAX_SESSIONS
from ..clients import plan as _clients
from ..clients.run import PATIENCE, Clients, restart_of
from ..procedure import Change, Options
from ..sessions import look, signal
from ..sessions import run as _sessions
from ..sessions.guard import Looked, Row
from ..sessions.shown import STILL_THERE, Outcome
from ..sessions.sql import LOOK
from ..sessions.way import Way
from .plan import (
    ALWAYS,
    IF_NEEDED,
    LONGEST,
    NEVER,
    RESTART,
    STUCK,
    Next,
    Plan,
    State,
    Step,
    again,
    crowded,
    decide,
    follow,
    result,
    taken,
    wish_of,
)

if TYPE_CHECKING:
    from ..._gather.target import Target

OPTIONS = (
    PATIENCE
    + look.PROTECTION
    + Spec(
        {
            "session_state": {
                "type": "str",
                "choices": ["idle", "idle in transaction", "idle_in_transaction"],
                "default": "idle",
            },
            "user": {"type": "str"},
            "database": {"type": "str"},
            "max_sessions": {"type": "int", "default": MAX_SESSIONS},
            "max_percent": {"type": "float", "default": 100},
            "restart_clients": {"type": "str", "choices": [IF_NEEDED, ALWAYS, NEVER], "default": IF_NEEDED},
            "most_connections": {"type": "int", "default": 10},
        }
    )
)
_CLIENTS = Clients("pool_reset", "pool reset")
_SETTLE_SECONDS = 10.0  # for backends of clients that are gone to notice it


@dataclass
class Done:
    """What was done, as far as it came; ``problem``: why it ended before its end."""

    plan: Plan
    steps: List[Step] = field(default_factory=list)
    restart: Optional[Change] = None
    problem: Optional[OncallError] = None
    way: Optional[Way] = None


class PoolReset:
    """The state read is every backend and every client's container."""

    def read(self, target: Target, options: Options) -> State:
        wish = wish_of(options)
        seen = look.state(target, wish.job)
        if wish.restart == NEVER:
            return State(seen)
        asked = restart_of(options)
        try:
            return State(seen, _CLIENTS.plan(_CLIENTS.read(target, asked), asked))
        except (OptionsError, RefusedError) as obstacle:
            return State(seen, obstacle=obstacle)

    def plan(self, state: State, options: Options) -> Plan:
        return decide(state, wish_of(options))

    def apply(self, target: Target, plan: Plan) -> Done:
        """A request to end is heeded before the next step, and by the restart of the clients."""
        way = Way(target, plan.wish.job, plan.freeing or plan.wish.release)
        done = Done(plan, way=way)
        with collected() as requests:
            try:
                following = self._release(target, way, done, requests)
            except OncallError as error:
                if isinstance(error, RefusedError) and not way.freed and not done.steps:
                    raise
                done.problem = error
                return done
            if following.kind == RESTART and plan.state.restart is not None:
                self._restart(target, plan.state.restart, done)
        return done

    def _release(self, target: Target, way: Way, done: Done, requests: Requests) -> Next:
        """Raises UnprovenError where it was asked to end before there was room."""
        plan = done.plan
        if plan.free:
            done.plan = plan = again(plan, way.look(LOOK), len(way.freed))
        following = plan.next
        if plan.release.take:
            done.steps.append((plan.release, self._end(target, way, plan, plan.release.take)))
            following = self._follow(target, plan)
        if following.kind in (RESTART, LONGEST) and requests.name is not None:
            raise UnprovenError("Interrupted (%s)" % requests.name, "No client was restarted. Run it again.")
        if following.kind == LONGEST:
            done.steps.append((following.selection, self._end(target, way, plan, following.selection.take)))
        return following

    def prove(self, target: Target, plan: Plan, done: Done) -> Change:
        applications = [client.application_name for client in target.clients if client.application_name]
        if done.restart is None:
            applications = []
        wish = done.plan.wish

        def well(after: Optional[Looked]) -> bool:
            return (
                after is not None and wish.has_room(after) and not crowded(after, applications, wish.most_connections)
            )

        patience = 0.0 if done.problem else _SETTLE_SECONDS
        after = wait_for(lambda: look.used(target), well, patience, 0.5).last
        room = after is not None and wish.has_room(after)
        used = len(after.clients) if after is not None else None
        change = result(done.plan, done.steps, done.way.freed if done.way else (), done.restart, used, room)
        details = dict(change.details, changed=change.changed, diff={"before": change.before, "after": change.after})
        if done.problem is not None:
            error = done.problem
            raise UnprovenError("%s (%s)" % (error.msg, change.details["msg"]), error.hint, error.sqlstate, details)
        left = [pid for _selection, outcome in done.steps for pid in outcome.are(STILL_THERE)]
        if left:
            raise _sessions.still_there(left, len(change.details["sessions"]), "absent", change)
        if not room:
            numbers = taken(after, wish) if after is not None else "SQL finds no connection slot"
            raise UnprovenError(
                "There are still no connection slots left (%s); done so far: %s" % (numbers, change.details["msg"]),
                "Restart or stop the client that takes them, then tell the DBA.",
                details=details,
            )
        crowd = crowded(after, applications, wish.most_connections) if after is not None else []
        if crowd:
            raise UnprovenError(
                "There are free slots, but after its restart %s (most_connections=%d)"
                % (", ".join(crowd), wish.most_connections),
                "The leak continues: it opens connections as soon as it runs. Stop it and tell its owner.",
                details=details,
            )
        return change

    def recover(self, target: Target, options: Options, how: str) -> Change:
        """The process that did it was killed: whoever it had stopped is started, whom it had ended is gone."""
        error = _CLIENTS.recover_restart(target, options, how)
        raise UnprovenError(
            error.msg,
            ("Sessions may have been ended: run it again. %s" % error.hint).strip(),
            details={
                "changed": error.details.get("changed", False),
                "diff": error.details.get("diff", {}),
                "clients": error.details.get("containers", []),
            },
        )

    @staticmethod
    def _end(target: Target, way: Way, plan: Plan, take: Sequence[Row]) -> Outcome:
        job = plan.wish.job
        return signal.end(target, way.ask, take, plan.wish.release, job.cancel_wait_seconds, job.timeout_seconds)

    @staticmethod
    def _follow(target: Target, plan: Plan) -> Next:
        """By what there is now: others come and go."""
        looked = look.used(target)
        if looked is None:  # whoever waited for a slot has taken it
            restart = plan.state.can_restart and plan.wish.restart != NEVER
            return Next(RESTART) if restart else Next(STUCK, why="others took the slots at once")
        return follow(looked, plan.state, plan.wish)

    @staticmethod
    def _restart(target: Target, restart: _clients.Plan, done: Done) -> None:
        try:
            done.restart = _CLIENTS.prove(target, restart, _CLIENTS.apply(target, restart))
        except RefusedError as error:
            done.problem = error
        except UnprovenError as error:
            done.problem = error
            diff = error.details.get("diff") or {"before": {}, "after": {}}
            done.restart = Change(bool(error.details.get("changed")), diff["before"], diff["after"], error.details)
