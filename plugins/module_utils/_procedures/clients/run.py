# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``clients``: services that use the database are stopped, started in reverse order, and waited for."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ContextManager, Dict, Optional, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, RefusedError, UnprovenError
from ..._core.interrupt import Interrupted, collected
from ..._core.spec import Spec
from ..._gather.client import note as note_
from ..._model.note import Note
from ..drive.choose import drive_of, engine_of
from ..procedure import Change, Options
from .away import not_recovered, noted
from .back import Waiter
from .moving import Moving, look
from .note import wait_for_others
from .plan import (
    HERE,
    RESTARTED,
    STARTED,
    Order,
    Plan,
    Record,
    Seen,
    chosen,
    decide,
    killed,
    left_stopped,
    notes,
    proved,
    record,
    records,
    recovery,
    still_true,
    untouched,
)

if TYPE_CHECKING:
    from ..._gather.target import Target

# How long clients are given, whoever moves them.
PATIENCE = Spec(
    {
        "grace_seconds": {"type": "float", "default": 30},
        "health_timeout_seconds": {"type": "float", "default": 60},
    }
)
OPTIONS = PATIENCE + Spec(
    {
        "state": {"type": "str", "choices": ["started", "stopped", "restarted"], "required": True},
        "services": {"type": "list", "elements": "str"},
        "containers": {"type": "list", "elements": "str"},
    }
)


@dataclass(frozen=True)
class State:
    """``seen`` None: with this runtime clients are no containers."""

    runtime: str
    declared: Tuple[str, ...]
    seen: Optional[Tuple[Seen, ...]]
    engine: str = "docker"
    note: Note = field(default_factory=Note)  # of a restart that has not finished
    where: str = ""  # its path; empty where nobody is stopped to be started again


@dataclass(frozen=True)
class Done:
    rows: Dict[str, Record]
    seconds: float
    interrupted: Optional[str] = None  # by which signal


@dataclass(frozen=True)
class Clients:
    """``name``: what is being run, in its note; ``noun``: in a sentence."""

    name: str = "clients state=%s" % RESTARTED
    noun: str = "restart"

    def read(self, target: Target, options: Options) -> State:
        deadline, declared = Deadline(target.deadline_seconds), tuple(option.service for option in target.clients)
        containers = drive_of(target).containers(deadline)
        if containers is None:
            return State(target.runtime.name, declared, None)
        where = (target.runtime.note_path or "") if options["state"] == RESTARTED else ""
        if where:
            wait_for_others(where, target.deadline_seconds)
        seen = tuple(look(containers, Deadline(target.deadline_seconds)))
        return State(
            target.runtime.name, declared, seen, engine_of(target), note_.read(where) if where else Note(), where
        )

    def plan(self, state: State, options: Options) -> Plan:
        patience = float(options["grace_seconds"]), float(options["health_timeout_seconds"])
        if state.seen is None:
            wanted = chosen(state.declared, options["services"])
            if options["state"] != STARTED:
                raise RefusedError(
                    "With runtime=%s nothing here can stop or start %s" % (state.runtime, " and ".join(wanted)),
                    "Restart it where it runs; its pool can only be reset by terminating its sessions (module "
                    "sessions).",
                )
            return Plan(STARTED, Order(), (), tuple(wanted[::-1]), *patience)
        order = decide(
            state.seen,
            state.declared,
            options["state"],
            options["services"],
            options["containers"],
            options["service"],
            state.engine,
            left_stopped(state.note, state.seen),
        )
        wanted = chosen(state.declared, options["services"])
        named = options["containers"]
        mine = [one for one in state.seen if one.service in wanted and (named is None or one.name in named)]
        to_be_noted = notes(still_true(state.note, state.seen), state.seen, order)
        return Plan(options["state"], order, records(mine, order), (), *patience, state.where, to_be_noted)

    def apply(self, target: Target, plan: Plan) -> Done:
        """Whoever was stopped to be restarted is started again, also when this is interrupted."""
        began = time.monotonic()
        if plan.here:
            return Done(_wait_here(target, plan), round(time.monotonic() - began, 3))
        rows = untouched(plan.records)
        for name in plan.ending:
            rows[name]["asked"] = True
        with self._moving(target, plan, rows) as moving, collected() as requests:
            try:
                with contextlib.suppress(Interrupted), requests.heeded():
                    moving.stop(plan.order.stop)
            finally:
                moving.put_back(plan.order, requests)
        return Done(rows, round(time.monotonic() - began, 3), requests.name)

    def prove(self, target: Target, plan: Plan, done: Done) -> Change:
        return proved(plan, done.rows, done.seconds, done.interrupted)

    def recover(self, target: Target, options: Options, how: str) -> Change:
        """The process that did it was killed: whoever it had stopped to be restarted is started."""
        if options["state"] != RESTARTED:
            raise UnprovenError("The process was killed (%s) before it was finished" % how, "Run it again.")
        try:
            state = self.read(target, options)
            plan = recovery(self.plan(state, options), state.note, state.seen or (), killed(self.noun, how))
            return self.prove(target, plan, self.apply(target, plan))
        except UnprovenError:
            raise
        except OncallError as error:
            not_recovered(target, killed(self.noun, how), error)

    def recover_restart(self, target: Target, options: Options, how: str) -> UnprovenError:
        """As ``recover``, for a run that does more than restart clients: what is to be said of it in the end."""
        where = target.runtime.note_path
        try:
            if where and note_.read(where).clients:
                self.recover(target, restart_of(options), how)
        except UnprovenError as error:
            return error
        return UnprovenError(killed(self.noun, how))

    def _moving(self, target: Target, plan: Plan, rows: Dict[str, Record]) -> ContextManager[Moving]:
        patience = plan.grace_seconds, plan.health_timeout_seconds
        if plan.where:
            why = "%s of %s" % (self.name, target.host)
            return noted(target, plan.where, why, plan.notes, plan.order, rows, *patience)
        containers = drive_of(target).containers(Deadline(target.deadline_seconds)) or []
        return contextlib.nullcontext(Moving(target, {one.name: one for one in containers}, rows, *patience))


def restart_of(options: Options) -> Options:
    """A restart of all clients, with the patience of another module's options."""
    return dict(options, state=RESTARTED, services=None, containers=None)


def _wait_here(target: Target, plan: Plan) -> Dict[str, Record]:
    """Clients that are no containers can only be waited for."""
    rows = {}
    waiter = Waiter(target, {option.service: option for option in target.clients})
    for service in plan.here:
        begin = time.monotonic()
        back = waiter.wait_here(service, plan.health_timeout_seconds)
        rows[service] = dict(
            record(service, HERE, "unknown"),
            seconds=round(time.monotonic() - begin, 3),
            health_page=back.page,
            sessions=back.sessions,
            error=back.error,
        )
    return rows
