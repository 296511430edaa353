# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``clients``: services that use the database are stopped, started in reverse order, and waited for."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, Optional, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import RefusedError
from ..._core.interrupt import Interrupted, collected
from ..._core.spec import Spec
from ..drive.choose import drive_of, engine_of
from ..procedure import Change, Options
from .back import Waiter
from .moving import Moving, look
from .plan import HERE, STARTED, Order, Plan, Record, Seen, chosen, decide, proved, record, records, untouched

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
    engine: str


@dataclass(frozen=True)
class Done:
    rows: Dict[str, Record]
    seconds: float
    interrupted: Optional[str] = None  # by which signal


class Clients:
    def read(self, target: Target, options: Options) -> State:
        deadline = Deadline(target.deadline_seconds)
        containers = drive_of(target).containers(deadline)
        seen = None if containers is None else tuple(look(containers, deadline))
        return State(target.runtime.name, tuple(option.service for option in target.clients), seen, engine_of(target))

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
        )
        wanted = chosen(state.declared, options["services"])
        named = options["containers"]
        mine = [one for one in state.seen if one.service in wanted and (named is None or one.name in named)]
        return Plan(options["state"], order, records(mine, order), (), *patience)

    def apply(self, target: Target, plan: Plan) -> Done:
        """Whoever was stopped to be restarted is started again, also when this is interrupted."""
        began = time.monotonic()
        if plan.here:
            return Done(_wait_here(target, plan), round(time.monotonic() - began, 3))
        containers = drive_of(target).containers(Deadline(target.deadline_seconds)) or []
        rows = untouched(plan.records)
        moving = Moving(
            target, {one.name: one for one in containers}, rows, plan.grace_seconds, plan.health_timeout_seconds
        )
        with collected() as requests:
            try:
                with contextlib.suppress(Interrupted), requests.heeded():
                    moving.stop(plan.order.stop)
            finally:
                moving.put_back(plan.order, requests)
        return Done(rows, round(time.monotonic() - began, 3), requests.name)

    def prove(self, target: Target, plan: Plan, done: Done) -> Change:
        return proved(plan, done.rows, done.seconds, done.interrupted)


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
