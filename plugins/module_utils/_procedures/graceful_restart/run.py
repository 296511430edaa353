# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``graceful_restart``: clients away, server restarted, clients back whatever failed in between."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, List

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, UnprovenError
from ..._core.interrupt import Interrupted, Requests, collected
from ..._gather.client import note as note_
from ..._model.note import Note
from ..clients.away import not_recovered, noted
from ..clients.moving import Moving, look
from ..clients.note import wait_for_others
from ..clients.plan import killed, untouched
from ..clients.run import PATIENCE
from ..drive.choose import drive_of, engine_of
from ..procedure import Change, Options
from ..server.plan import RESTARTED
from ..server.run import RESTART, probed, prove, wanted
from ..server.run import Moving as ServerMoving
from ..server.run import look as look_at_server
from .plan import Done, Plan, State, concluded, decide, recovery

if TYPE_CHECKING:
    from ..._gather.target import Target
    from ..drive.base import Container

OPTIONS = PATIENCE + RESTART


class GracefulRestart:
    def read(self, target: Target, options: Options) -> State:
        containers = _containers(target)
        where = (target.runtime.note_path or "") if containers else ""
        if where:
            wait_for_others(where, target.deadline_seconds)
        return State(
            probed(target, look_at_server(target), wanted(RESTARTED, options)),
            tuple(option.service for option in target.clients),
            tuple(look(containers, Deadline(target.deadline_seconds))),
            note_.read(where) if where else Note(),
            where,
            engine_of(target),
        )

    def plan(self, state: State, options: Options) -> Plan:
        return decide(
            state,
            wanted(RESTARTED, options),
            options["service"],
            float(options["grace_seconds"]),
            float(options["health_timeout_seconds"]),
        )

    def apply(self, target: Target, plan: Plan) -> Done:
        done = Done(untouched(plan.records), plan.server.details() if plan.server else {})
        if not plan.order.start:  # no client is stopped, so there is nothing to write down
            with collected() as requests:
                _restart(target, plan, done, requests)
                done.interrupted = requests.name
            return done
        if plan.refusal is not None:  # asked by the run before: watched until they have ended
            for name in plan.ending:
                done.rows[name]["asked"] = True
        why, patience = "graceful_restart of %s" % target.host, (plan.grace_seconds, plan.patience_seconds)
        with noted(target, plan.where, why, plan.notes, plan.order, done.rows, *patience) as clients:
            _while_away(target, plan, done, clients)
        return done

    def prove(self, target: Target, plan: Plan, done: Done) -> Change:
        return concluded(plan, done)

    def recover(self, target: Target, options: Options, how: str) -> Change:
        """The process that did it was killed: whatever it had stopped is started."""
        try:
            plan = recovery(self.plan(self.read(target, options), options), how)
            return self.prove(target, plan, self.apply(target, plan))
        except UnprovenError:
            raise
        except OncallError as error:
            not_recovered(target, killed("restart", how), error)


def _containers(target: Target) -> List[Container]:
    return list(drive_of(target).containers(Deadline(target.deadline_seconds)) or []) if target.clients else []


def _while_away(target: Target, plan: Plan, done: Done, clients: Moving) -> None:
    stopped = False
    with collected() as requests:
        try:
            with contextlib.suppress(Interrupted), requests.heeded():
                stopped = clients.stop(plan.order.stop)
            if stopped and requests.name is None:
                _restart(target, plan, done, requests)
        except OncallError as error:
            done.error = error
        finally:
            # No client can connect to a server that did not come up.
            clients.put_back(plan.order, requests, wait=done.restarted or not done.moved)
        done.interrupted = requests.name


def _restart(target: Target, plan: Plan, done: Done, requests: Requests) -> None:
    """Whatever comes of it is in ``done``."""
    if plan.server is None:
        return
    moving = ServerMoving(target, plan.server)
    done.server = moving.details
    try:
        with contextlib.suppress(Interrupted), requests.heeded():
            moving.prepare()
        if requests.name is not None:
            return
        done.moved = True
        moving.carry_out()
        done.restarted = True
        prove(target, plan.server, moving.details)
    except OncallError as error:
        done.error = error
