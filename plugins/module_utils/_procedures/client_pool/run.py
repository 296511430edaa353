# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients' pools of another size: the file, the containers made anew from it; proved, or all is as it was.

Order: look, decide (``plan``), file, does Compose pass it on?, containers, have they the values and are they back?
"""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Dict, List, NoReturn, Optional, Sequence, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import RefusedError, UnprovenError
from ..._core.interrupt import interruptible, undisturbed
from ..._core.side_by_side import side_by_side
from ..._core.spec import Spec
from ..._gather import gather
from ..._gather.runtime.compose import containers
from ..._gather.runtime.compose.project import container_name
from ..clients.back import Waiter
from ..clients.run import Clients
from ..drive.choose import drive_of, engine_of
from ..procedure import Change, Options
from ..recreation import files
from ..recreation.anew import COMPOSE_SECONDS, Anew, compose, prepared, recovered, unfinished
from ..recreation.env_file import entries
from ..recreation.noting import noting
from ..recreation.same import but_variables
from ..recreation.undo import Undo
from .plan import (
    Held,
    Plan,
    Request,
    Seen,
    decide,
    diff,
    needed,
    not_given,
    not_passed_on,
    planned,
    requested,
    row,
    shared,
)

if TYPE_CHECKING:
    from ..._core import atomic
    from ..._gather.target import Target
    from ..._judge.budget import Room
    from ..recreation.recreate import Recreation

_CLIENTS = Clients("client_pool", "change of the pools")
_MARGIN_SECONDS = 5.0
_OTHER_FILES = "env_file|include|extends"  # words of a Compose file that has services read more than itself

OPTIONS = Spec(
    {
        "services": {"type": "list", "elements": "str"},
        "env_file": {"type": "path", "required": True},
        "pool_size": {"type": "int", "default": 10},
        "max_overflow": {"type": "int", "default": 20},
        "pool_timeout_seconds": {"type": "int", "default": 30},
        "pool_recycle_seconds": {"type": "int", "default": 3600},
        "pool_pre_ping": {"type": "bool", "default": True},
        "names": {
            "type": "dict",
            "options": {
                "pool_size": {"type": "str"},
                "max_overflow": {"type": "str"},
                "pool_timeout_seconds": {"type": "str"},
                "pool_recycle_seconds": {"type": "str"},
                "pool_pre_ping": {"type": "str"},
            },
        },
        "grace_seconds": {"type": "int", "default": 30},
        "timeout_seconds": {"type": "float", "default": 60},
        "allow_over_budget": {"type": "bool", "default": False},
    }
)


@dataclass
class _Done:
    undo: Undo = field(default_factory=Undo)
    rows: List[Dict[str, Any]] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Scene:
    """What was asked and seen, and the handles to change it. ``recreation`` is None where nothing is to be changed."""

    request: Request
    options: Options
    seen: Seen
    started: float  # by the monotonic clock
    place: str  # whose file it is
    file: atomic.Found
    recreation: Optional[Recreation] = None
    unwritable: Optional[RefusedError] = None


@dataclass(frozen=True)
class _Job:
    """The plan with all that carrying it out takes."""

    scene: _Scene
    plan: Plan

    @property
    def empty(self) -> bool:
        return self.plan.empty

    def foreseen(self) -> Change:
        recreation = self.scene.recreation
        moving = recreation.moving(self.plan.recreate) if recreation is not None else []
        return self.change(_Done(warnings=[*self.plan.warnings, *moving]))

    def change(self, done: _Done) -> Change:
        request, plan = self.scene.request, self.plan
        before, after = diff(request, plan)
        return Change(
            not plan.empty,
            before,
            after,
            {
                "env_file": request.env_file,
                "files_on": self.scene.place,
                "variables": [{"name": name, "before": was, "after": value} for name, was, value in plan.variables],
                "recreated": list(plan.recreate),
                "containers": done.rows,
                "budget": [row(room) for room in plan.rooms],
                "warnings_found": done.warnings,
                "seconds": round(time.monotonic() - self.scene.started, 1),
            },
        )


class Resize:
    """See the module ``client_pool``. The wait for the clients is part of ``apply``: when one fails all is undone."""

    def read(self, target: Target, options: Options) -> _Scene:
        started = time.monotonic()
        request = requested(options, [option.service for option in target.clients])
        if target.runtime.name != "compose":
            raise RefusedError(
                "With runtime=%s no container can be recreated from here" % target.runtime.name,
                "Change the pool where the application is deployed.",
            )
        services = ", ".join(request.services)
        hint = "Leave out docker_host and have Ansible reach that host by SSH."
        files.refuse_elsewhere(target, options["docker_host"], request.env_file, services, hint)
        note = unfinished(target)
        file = files.read(target, request.env_file)
        held = _held(target, request)
        seen = Seen(file.text, held, *_budget(target, request), engine=engine_of(target))
        if not needed(request, file.text, held):
            return _Scene(request, options, seen, started, target.place, file)
        recreation = prepared(target, options, request.services, note, lambda *_unused: but_variables(request.values))
        given, direct = _given(request, recreation), _direct(request, recreation, file.text)
        seen = replace(seen, given=given, direct=direct)
        why = files.unwritable(target, file)
        return _Scene(request, options, seen, started, target.place, file, recreation, why)

    def plan(self, state: _Scene, options: Options) -> _Job:
        plan = decide(state.request, state.seen)
        if plan.text is not None and state.unwritable is not None:
            raise state.unwritable
        return _Job(state, plan)

    def apply(self, target: Target, plan: _Job) -> _Done:
        done = _Done(warnings=list(plan.plan.warnings))
        with noting(target, _CLIENTS.name, plan.plan.recreate) as note, interruptible():
            try:
                _apply(target, plan, done, note)
            except BaseException as error:
                with undisturbed():
                    text = "The pools' new size could not be verified"
                    raise done.undo.failed(text, error, (), {"containers": done.rows}) from None
        return done

    def prove(self, target: Target, plan: _Job, done: _Done) -> Change:
        return plan.change(done)

    def recover(self, target: Target, options: Options, how: str) -> NoReturn:
        """The process that did it was killed: clients are started. The next run goes on from what it finds."""
        error = recovered(target, options, _CLIENTS, how)
        raise UnprovenError(error.msg, ("Run it again: it goes on from what it finds. %s" % error.hint).strip())


# --- look ------------------------------------------------------------------------------------------------------------


def _budget(target: Target, request: Request) -> Tuple[Sequence[Room], Sequence[Room], Sequence[str], Sequence[str]]:
    """(the rooms with the pools that are to be, with those of now, whose pool is not known, who logs in elsewhere)."""
    facts, _elapsed = gather.gather(target, (gather.SERVER, gather.SNAPSHOT, gather.CLIENTS))
    snapshot, refused = facts["snapshot"], facts["snapshot_error"]
    if snapshot is None:
        raise RefusedError(
            "The connection slots of the server cannot be read: %s" % (refused["message"] if refused else "no SQL"),
            "Run triage first.",
        )
    replicas = {option.service: option.pool.get("replicas") for option in target.clients}
    clients = planned(facts["clients"], request, replicas)
    reserve = target.thresholds.pool_reserve
    rooms, unknown, others = shared(clients, facts["server"], snapshot, reserve)
    now, _unknown, _others = shared(facts["clients"], facts["server"], snapshot, reserve)
    return rooms, now, unknown, others


def _held(target: Target, request: Request) -> List[Held]:
    view = compose(target).view(Deadline(target.deadline_seconds))
    found: List[Held] = []
    for service in request.services:
        for one in view.clients.get(service) or []:
            env = containers.environment(one)
            values = {name: env[name] for name in request.values if name in env}
            found.append(Held(service, container_name(one), values))
    return found


def _given(request: Request, recreation: Recreation) -> Dict[str, Dict[str, str]]:
    """What Compose would give each service of the variables, as far as the file can be one of its own."""
    own = {os.path.realpath(path) for path in recreation.variable_files()}
    read = os.path.realpath(request.env_file) in own
    found = recreation.given(request.values if read else {}, Deadline(COMPOSE_SECONDS))
    return {service: {name: env[name] for name in request.values if name in env} for service, env in found.items()}


def _direct(request: Request, recreation: Recreation, text: str) -> Sequence[str]:
    """The services that have every variable of the file, as ``env_file`` of a Compose file would bring it about."""
    if not recreation.mentions(_OTHER_FILES):
        return ()
    keys = set(entries(text))
    return [service for service in request.services if keys <= set(recreation.environment(service))]


# --- change ----------------------------------------------------------------------------------------------------------


def _apply(target: Target, job: _Job, done: _Done, note: Any) -> None:
    scene, plan = job.scene, job.plan
    request, options, recreation = scene.request, scene.options, scene.recreation
    if recreation is None:  # only of an empty plan, which is not applied
        return
    if plan.text is not None:
        files.write(target, request.env_file, scene.file, plan.text, done.undo)
    _check_passed_on(request, recreation)
    if not plan.recreate:
        return
    secrets = [password for _role, password in recreation.passwords().values() if password]
    waiter = Waiter(target, {option.service: option for option in target.clients})
    since = waiter.clock()
    anew = Anew(target, options, recreation, plan.recreate, secrets, note)
    done.undo.add("the containers of %s" % ", ".join(plan.recreate), anew.put_back)
    anew.make()
    unlike = recreation.changed(plan.recreate, but_variables(request.values), Deadline(COMPOSE_SECONDS))
    done.warnings += ["recreated, and not as it was: %s" % one for one in unlike]
    _prove(target, request, recreation.started(plan.recreate), waiter, since, options["timeout_seconds"], done)


def _check_passed_on(request: Request, recreation: Recreation) -> None:
    """Now that the file is written: nothing else has been touched yet."""
    recreation.reread(Deadline(COMPOSE_SECONDS))
    missing = not_given(request, {service: recreation.environment(service) for service in request.services})
    if missing:
        raise UnprovenError(*not_passed_on(request, missing))


def _prove(
    target: Target,
    request: Request,
    services: Sequence[str],
    waiter: Waiter,
    since: Optional[str],
    seconds: float,
    done: _Done,
) -> None:
    """Raises UnprovenError unless each new container has the values and is back."""
    deadline = Deadline(target.deadline_seconds)
    mine = [one for one in drive_of(target).containers(deadline) or [] if one.service in services]
    outcome = side_by_side(
        {one.name: functools.partial(waiter.wait, one, since, seconds) for one in mine},
        Deadline(seconds + _MARGIN_SECONDS),
    )
    values = {one.name: one.values for one in _held(target, request)}
    problems: List[str] = []
    for one in mine:
        back, late = outcome.values.get(one.name), outcome.errors.get(one.name)
        error = str(late) if back is None else back.error
        if values.get(one.name) != dict(request.values):
            error = "its new container did not get the values"
        done.rows.append(
            {
                "service": one.service,
                "name": one.name,
                "state": back.state if back else "unknown",
                "health": back.health if back else None,
                "sessions": back.sessions if back else None,
                "error": error,
            }
        )
        problems += ["%s: %s" % (one.name, error)] if error else []
    gone = [service for service in services if not any(one.service == service for one in mine)]
    if problems or gone:
        raise UnprovenError("; ".join([*problems, *("%s has no container" % name for name in gone)]))
