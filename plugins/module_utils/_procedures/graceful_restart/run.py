# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``graceful_restart``: clients away, server restarted, clients back whatever failed in between."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Dict, List

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, RefusedError, UnprovenError
from ..._core.interrupt import Interrupted, Requests, collected
from ..._gather.client import note as note_
from ..._model.note import Note
from ..clients.moving import Moving, look
from ..clients.plan import untouched
from ..clients.run import PATIENCE
from ..drive.choose import drive_of, engine_of
from ..procedure import Change, Options
from ..server.plan import RESTARTED
from ..server.run import RESTART, probed, prove, wanted
from ..server.run import Moving as ServerMoving
from ..server.run import look as look_at_server
from .note import Writer, alone, wait_for_others
from .plan import Done, Plan, State, concluded, decide, moved_meanwhile, owed, recovery

if TYPE_CHECKING:
    from ..._gather.target import Target
    from ..drive.base import Container

OPTIONS = PATIENCE + RESTART


class GracefulRestart:
    def read(self, target: Target, options: Options) -> State:
        containers = _containers(target)
        where = note_.path(options["docker_host"], options["project"] or "") if containers else ""
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
        if not plan.order.start:  # no client is stopped, so there is nothing to write down
            done = Done({})
            with collected() as requests:
                _restart(target, plan, done, requests)
                done.interrupted = requests.name
            return done
        with alone(plan.where):
            return _Run(target, plan).carry_out()

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
            named = note_.read(note_.path(options["docker_host"], options["project"] or "")).clients
            engine, asked = engine_of(target), [one.name for one in named if one.asked]
            commands = ["%s may be STILL STOPPED: %s start %s" % (name, engine, name) for name in asked]
            raise UnprovenError(
                "The restart was killed (%s) before it was finished, and cleaning up after it failed: %s"
                % (how, error.msg),
                " ".join([error.hint, *commands]),
            ) from error


def _containers(target: Target) -> List[Container]:
    return list(drive_of(target).containers(Deadline(target.deadline_seconds)) or []) if target.clients else []


class _Run:
    def __init__(self, target: Target, plan: Plan) -> None:
        self._target, self._plan = target, plan
        self._done = Done(untouched(plan.records), plan.server.details() if plan.server else {})
        if plan.refusal is not None:  # asked by the run before: watched until they have ended
            for name in plan.ending:
                self._done.rows[name]["asked"] = True
        self._note = Writer(plan.where, "graceful_restart of %s" % target.host, plan.notes)
        containers: Dict[str, Container] = {one.name: one for one in _containers(target)}
        others = moved_meanwhile(plan, look(list(containers.values()), Deadline(target.deadline_seconds)))
        if others:
            raise RefusedError(
                "Restart refused: someone else has started or stopped %s meanwhile" % " and ".join(others),
                "Run it again.",
            )
        self._clients = Moving(
            target,
            containers,
            self._done.rows,
            plan.grace_seconds,
            plan.patience_seconds,
            self._note.asking,
            self._note.running,
        )

    def carry_out(self) -> Done:
        done, plan, stopped = self._done, self._plan, False
        self._note.begin()
        with collected() as requests:
            try:
                with contextlib.suppress(Interrupted), requests.heeded():
                    stopped = self._clients.stop(plan.order.stop)
                if stopped and requests.name is None:
                    _restart(self._target, plan, done, requests)
            except OncallError as error:
                done.error = error
            finally:
                # No client can connect to a server that did not come up.
                self._clients.put_back(plan.order, requests, wait=done.restarted or not done.moved)
                self._note.settle(set(owed(plan.order, done.rows)))
            done.interrupted = requests.name
        return done


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
