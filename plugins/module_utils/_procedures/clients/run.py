# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that use the database: stopped in order, started in reverse, waited for until they are connected."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import DeadlineError, OncallError, OptionsError, RefusedError, UnprovenError
from ..._core.interrupt import Interrupted, interruptible
from ..._core.side_by_side import side_by_side
from ..._core.spec import Spec
from ..._core.wait import wait_for
from ..._gather.runtime.base import ClientOption
from ..._gather.target import Target
from ..drive.base import Container
from ..drive.choose import drive_of
from ..procedure import Change
from .back import Back, Waiter

STOPPED, STARTED, RESTARTED = "stopped", "started", "restarted"
LIVE = ("running", "restarting")
_MARGIN_SECONDS = 5  # for the engine's answer after a step's own time is up
_LAST_SECONDS = 20.0  # to put things back when interrupted
_HERE = "here"

OPTIONS = Spec(
    {
        "state": {"type": "str", "choices": ["started", "stopped", "restarted"], "required": True},
        "services": {"type": "list", "elements": "str"},
        "containers": {"type": "list", "elements": "str"},
        "grace_seconds": {"type": "float", "default": 30},
        "health_timeout_seconds": {"type": "float", "default": 60},
    }
)


@dataclass(frozen=True)
class Seen:
    """One container of a client's service as it was found."""

    service: str
    name: str
    state: str


Groups = Tuple[Tuple[str, ...], ...]  # names of containers, side by side within one service


@dataclass(frozen=True)
class Plan:
    """Whom to stop and then whom to start, service by service; ``wait`` are those that must be there in the end."""

    stop: Groups = ()
    start: Groups = ()
    wait: Groups = ()

    @property
    def empty(self) -> bool:
        return not self.stop and not self.start


def decide(
    seen: Sequence[Seen],
    declared: Sequence[str],
    state: str,
    services: Optional[Sequence[str]] = None,
    containers: Optional[Sequence[str]] = None,
    server: Optional[str] = None,
) -> Plan:
    """The plan for ``state``. Services stop in the order given and start in the reverse one.

    Raises OptionsError for names that do not exist, RefusedError where a container cannot be brought to ``state``.
    """
    wanted = chosen(declared, services)
    if server in wanted:
        raise OptionsError(
            "clients names %s, which is the server itself" % server, "Use the module server to stop or start it."
        )
    if containers is not None:
        strange = sorted(set(containers) - {one.name for one in seen})
        if strange:
            raise OptionsError(
                "containers names %s, which no client has" % ", ".join(strange),
                "The clients' containers: %s." % (", ".join(one.name for one in seen) or "none"),
            )
    mine = [one for one in seen if one.service in wanted and (containers is None or one.name in containers)]
    if state != STOPPED and containers is None:
        missing = [service for service in wanted if not any(one.service == service for one in mine)]
        if missing:
            raise RefusedError(
                "%s has no container, so there is nothing to start" % " and ".join(missing),
                "Create it from its Compose file: docker compose up -d %s." % " ".join(missing),
            )
    _refuse_impossible(mine, state)
    live = _grouped(wanted, [one for one in mine if one.state in LIVE])
    down = _grouped(wanted, [one for one in mine if one.state not in LIVE])
    if state == STOPPED:
        return Plan(stop=live)
    if state == STARTED:
        return Plan(start=down[::-1], wait=_grouped(wanted, mine)[::-1])
    return Plan(stop=live, start=live[::-1], wait=live[::-1])


def chosen(declared: Sequence[str], services: Optional[Sequence[str]]) -> List[str]:
    """The services to act on, each once. Raises OptionsError for one that is not declared, or when there is none."""
    if not declared:
        raise OptionsError("No client is declared", "Name the services that use the database in clients.")
    strange = sorted(set(services or ()) - set(declared))
    if strange:
        raise OptionsError(
            "services names %s, which clients does not declare" % ", ".join(strange),
            "Declared are: %s." % ", ".join(declared),
        )
    return list(dict.fromkeys(declared if services is None else services))


def _refuse_impossible(mine: Sequence[Seen], state: str) -> None:
    paused = [one.name for one in mine if one.state == "paused"]
    if paused:  # a signal would wake it: somebody had a reason
        raise RefusedError(
            "%s is paused; nothing was touched" % " and ".join(paused),
            "Find out who did it, then: docker unpause %s." % " ".join(paused),
        )
    dead = [one for one in mine if one.state == "dead"]
    if dead and state == STARTED:
        raise RefusedError(
            "%s is dead: the engine could not remove it" % " and ".join(one.name for one in dead),
            "Remove it, then: docker compose up -d %s." % " ".join(sorted({one.service for one in dead})),
        )


def _grouped(services: Sequence[str], mine: Sequence[Seen]) -> Groups:
    groups = (tuple(one.name for one in mine if one.service == service) for service in services)
    return tuple(group for group in groups if group)


def change(target: Target, options: Mapping[str, Any], check_mode: bool) -> Change:
    """What the module ``clients`` does. Raises UnprovenError, with all that was done, for those that failed."""
    declared = {option.service: option for option in target.clients}
    started = time.monotonic()
    looking = Deadline(target.deadline_seconds)
    driven = drive_of(target).containers(looking)
    if driven is None:
        return _without_containers(target, options, declared, check_mode)
    containers = {one.name: one for one in driven}
    seen = [Seen(one.service, one.name, one.look(looking).state) for one in containers.values()]
    plan = decide(
        seen, list(declared), options["state"], options["services"], options["containers"], options["service"]
    )
    records = _records(seen, plan, options)
    if check_mode:
        return _changed(plan, records, started)
    _Run(target, options, declared, containers, records).carry_out(plan)
    problems = ["%s: %s" % (record["name"], record["error"]) for record in records.values() if record["error"]]
    done = _changed(plan, records, started)
    if problems:
        tally = sum(1 for record in records.values() if not record["error"])
        raise UnprovenError(
            "Not every client is %s: %s" % (options["state"], "; ".join(problems)),
            "%s Look at their logs: docker logs NAME." % ("The other %d are as asked." % tally if tally else ""),
            details=dict(done.details, changed=_touched(records), diff={"before": done.before, "after": done.after}),
        )
    return done


def _records(seen: Sequence[Seen], plan: Plan, options: Mapping[str, Any]) -> Dict[str, Dict[str, Any]]:
    """What is returned of each container, as the plan has it; the real run replaces what it finds."""
    stop, start = _flat(plan.stop), _flat(plan.start)
    wanted = set(options["services"] or [one.service for one in seen])
    records = {}
    for one in seen:
        if one.service in wanted and (options["containers"] is None or one.name in options["containers"]):
            records[one.name] = {
                "service": one.service,
                "name": one.name,
                "before": one.state,
                "after": "running" if one.name in start else "exited" if one.name in stop else one.state,
                "stopped": one.name in stop,
                "started": one.name in start,
                "stop_seconds": None,
                "seconds": None,
                "health": None,
                "health_page": None,
                "sessions": None,
                "error": None,
            }
    return records


def _flat(groups: Groups) -> List[str]:
    return [name for group in groups for name in group]


def _touched(records: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(record["stopped"] or record["started"] for record in records.values())


def _changed(plan: Plan, records: Mapping[str, Dict[str, Any]], started: float) -> Change:
    restarted = set(_flat(plan.stop)) & set(_flat(plan.start))
    order = [name for name in _flat(plan.stop) + _flat(plan.start[::-1]) if name in records]
    rows = [records[name] for name in dict.fromkeys([*order, *records])]
    stopped = [row["name"] for row in rows if row["stopped"]]
    back = [name for name in _flat(plan.start) if records[name]["started"]]
    return Change(
        not plan.empty,
        {row["name"]: row["before"] for row in rows},
        {row["name"]: "restarted" if row["name"] in restarted and not row["error"] else row["after"] for row in rows},
        {
            "containers": rows,
            "stopped": stopped,
            "started": back,
            "seconds": round(time.monotonic() - started, 3),
        },
    )


class _Run:
    """The plan carried out; each container's record says what came of it."""

    def __init__(
        self,
        target: Target,
        options: Mapping[str, Any],
        declared: Mapping[str, ClientOption],
        containers: Mapping[str, Container],
        records: Dict[str, Dict[str, Any]],
    ) -> None:
        self._target, self._containers, self._records = target, containers, records
        self._grace, self._patience = float(options["grace_seconds"]), float(options["health_timeout_seconds"])
        self._waiter, self._began = Waiter(target, declared), time.monotonic()
        self._asked: Set[str] = set()  # to end
        for record in records.values():  # until it is done it is not done
            record["stopped"] = record["started"] = False
            record["after"] = record["before"]

    def carry_out(self, plan: Plan) -> None:
        """Whoever was stopped to be restarted is started again, also when somebody interrupts this."""
        try:
            with interruptible():
                self._stop(plan)
                self._start(plan)
        except BaseException as error:
            left = [name for name in _flat(plan.start) if name in self._asked and not self._records[name]["started"]]
            side_by_side({name: functools.partial(self._start_anyway, name) for name in left}, Deadline(_LAST_SECONDS))
            if not isinstance(error, (Interrupted, KeyboardInterrupt)):
                raise
            raise UnprovenError(
                "Interrupted (%s): the clients that had been stopped were started again, and not waited for"
                % (str(error) or "SIGINT"),
                "Look how they are: state: started waits for them.",
                details=dict(_changed(plan, self._records, self._began).details, changed=True),
            ) from None

    def _stop(self, plan: Plan) -> None:
        """Service by service, and no further when one does not end: nobody else is taken down then."""
        for group in plan.stop:
            outcome = side_by_side(
                {name: functools.partial(self._stop_one, name) for name in group},
                Deadline(self._grace + _MARGIN_SECONDS),
            )
            self._note(outcome.errors)
            failed = [name for name in group if self._records[name]["error"]]
            if failed:
                for name in _flat(plan.stop):
                    if name not in self._asked:
                        self._records[name]["error"] = "left running, because of %s" % " and ".join(failed)
                return

    def _start(self, plan: Plan) -> None:
        """Bring back service by service whoever was stopped or was down, also those that ended late."""
        start = set(_flat(plan.start))
        for group in plan.wait:
            names = [name for name in group if self._due(name, plan)]
            since = self._waiter.clock()
            outcome = side_by_side(
                {name: functools.partial(self._bring_back, name, name in start, since) for name in names},
                Deadline(self._patience + _MARGIN_SECONDS),
            )
            self._note(outcome.errors)

    def _due(self, name: str, plan: Plan) -> bool:
        """Of those to be restarted only who has ended, be it late; one that was not asked to goes on."""
        if name not in _flat(plan.stop) or self._records[name]["stopped"]:
            return True
        if name not in self._asked:
            return False
        try:
            return self._containers[name].look(Deadline(self._target.deadline_seconds)).state not in LIVE
        except OncallError:
            return False

    def _stop_one(self, name: str) -> None:
        container, record, begin = self._containers[name], self._records[name], time.monotonic()
        self._asked.add(name)
        try:
            container.stop(Deadline(self._grace))
            record["stopped"], record["after"] = True, container.look(Deadline(_MARGIN_SECONDS)).state
        except DeadlineError:
            record["after"] = container.look(Deadline(_MARGIN_SECONDS)).state
            record["stopped"] = record["after"] not in LIVE
            if not record["stopped"]:
                record["error"] = (
                    "did not end within %.0f s of being asked to, and was not killed; it runs until it ends by itself, "
                    "and is then not started again by the engine" % self._grace
                )
        finally:
            record["stop_seconds"] = round(time.monotonic() - begin, 3)

    def _bring_back(self, name: str, start: bool, since: Optional[str]) -> None:
        container, record, begin = self._containers[name], self._records[name], time.monotonic()
        record["error"] = None
        if start:
            container.start(Deadline(self._target.deadline_seconds))
            record["started"] = True
        back: Back = self._waiter.wait(container, since if start else None, self._patience)
        record["seconds"] = round(time.monotonic() - begin, 3)
        record["after"], record["error"] = back.state, back.error
        record["health"], record["health_page"], record["sessions"] = back.health, back.page, back.sessions

    def _start_anyway(self, name: str) -> None:
        container = self._containers[name]
        step = self._target.deadline_seconds
        wait_for(lambda: container.look(Deadline(step)).state in LIVE, lambda live: not live, _LAST_SECONDS / 2)
        container.start(Deadline(step))
        self._records[name].update(stopped=True, started=True, after="running", error=None)

    def _note(self, errors: Mapping[str, Exception]) -> None:
        for name, error in errors.items():
            self._records[name]["error"] = str(error)


def _without_containers(
    target: Target, options: Mapping[str, Any], declared: Mapping[str, ClientOption], check_mode: bool
) -> Change:
    """Clients that are no containers can only be waited for."""
    wanted = chosen(list(declared), options["services"])
    if options["state"] != STARTED:
        raise RefusedError(
            "With runtime=%s nothing here can stop or start %s" % (target.runtime.name, " and ".join(wanted)),
            "Restart it where it runs; its pool can only be reset by terminating its sessions (module sessions).",
        )
    rows: List[Dict[str, Any]] = []
    if not check_mode:
        waiter = Waiter(target, declared)
        for service in wanted[::-1]:
            begin = time.monotonic()
            back = waiter.wait_here(service, float(options["health_timeout_seconds"]))
            rows.append(
                {
                    "service": service,
                    "name": _HERE,
                    "before": "unknown",
                    "after": "unknown",
                    "stopped": False,
                    "started": False,
                    "stop_seconds": None,
                    "seconds": round(time.monotonic() - begin, 3),
                    "health": None,
                    "health_page": back.page,
                    "sessions": back.sessions,
                    "error": back.error,
                }
            )
    details = {"containers": rows, "stopped": [], "started": [], "seconds": sum(row["seconds"] for row in rows)}
    problems = ["%s: %s" % (row["service"], row["error"]) for row in rows if row["error"]]
    if problems:
        raise UnprovenError("Not every client is connected: %s" % "; ".join(problems), details=details)
    return Change(False, details=details)
