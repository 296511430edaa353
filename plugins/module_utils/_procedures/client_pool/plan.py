# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the clients' pools of another size take: which file and containers are to be changed, or why none may be. Pure.

The other text of the file is in here, and in no repr and no message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import OptionsError, RefusedError
from ..._judge import budget
from ..clients.plan import chosen
from ..recreation.env_file import VARIABLE, entries, with_values

if TYPE_CHECKING:
    from ..._model.facts import ClientFacts, ServerFacts, Snapshot

# An option's name and the least that it may be -> what its variable is called where ``names`` does not say.
VARIABLES: Dict[str, Tuple[Optional[int], str]] = {
    "pool_size": (1, "DATABASE_POOL_SIZE"),
    "max_overflow": (0, "DATABASE_MAX_OVERFLOW"),
    "pool_timeout_seconds": (0, "DATABASE_POOL_TIMEOUT"),
    "pool_recycle_seconds": (-1, "DATABASE_POOL_RECYCLE"),
    "pool_pre_ping": (None, "DATABASE_POOL_PRE_PING"),
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SETTING = re.compile(r"(?:-?[0-9]+(?:\.[0-9]+)?|true|false|yes|no|on|off|)\Z", re.I)


@dataclass(frozen=True)
class Request:
    """The module's options. ``values``: variable -> its text."""

    env_file: str
    values: Mapping[str, str]
    size: int
    overflow: int
    services: Sequence[str]
    allow_over_budget: bool = False


@dataclass(frozen=True)
class Held:
    """A container and what it has of the variables."""

    service: str
    name: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Seen:
    """``given``: service -> what Compose would give it of the variables once the file has them, None where nothing is
    to be changed; ``direct``: services that may read the whole file, which shows only when it is written."""

    text: str = field(repr=False)
    containers: Sequence[Held] = ()
    rooms: Sequence[budget.Room] = ()  # with the pools that are to be
    now: Sequence[budget.Room] = ()  # with those of now
    unknown: Sequence[str] = ()
    others: Sequence[str] = ()  # what is said of clients that log in elsewhere
    given: Optional[Mapping[str, Mapping[str, str]]] = None
    direct: Sequence[str] = ()
    engine: str = "docker"


@dataclass(frozen=True)
class Plan:
    """``text``: the file's new content, None where it stays. ``variables``: (name, shown before, after)."""

    text: Optional[str] = field(repr=False)
    variables: Sequence[Tuple[str, Optional[str], str]] = ()
    recreate: Sequence[str] = ()
    rooms: Sequence[budget.Room] = ()
    warnings: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        return self.text is None and not self.recreate


def requested(options: Mapping[str, Any], declared: Sequence[str]) -> Request:
    """Raises OptionsError for what makes no sense."""
    problems: List[str] = []
    values: Dict[str, str] = {}
    names = options["names"] or {}
    for option, (least, usual) in VARIABLES.items():
        value, name = options[option], usual if names.get(option) is None else names[option]
        if least is not None and value < least:
            problems.append("%s is %s: it must be at least %d" % (option, value, least))
        if name and not _NAME.match(name):
            problems.append("names.%s is %s, which is no name of a variable" % (option, name))
        if name in values:
            problems.append("names gives %s twice" % name)
        if name:
            values[name] = str(value)
    if not values:
        problems.append("names leaves out every variable")
    services = chosen(declared, options["services"])
    if options["service"] in services:
        problems.append("%s is the server itself" % options["service"])
    if not services:
        problems.append("services is empty")
    if problems:
        raise OptionsError("; ".join(problems), "Correct the task or oncall_target.")
    return Request(
        options["env_file"],
        values,
        options["pool_size"],
        options["max_overflow"],
        services,
        options["allow_over_budget"],
    )


def planned(
    clients: Sequence[ClientFacts], request: Request, replicas: Mapping[str, Optional[int]]
) -> List[ClientFacts]:
    """The clients with the pools that they are to have. All containers of a service count: made anew they all run."""
    changed: List[ClientFacts] = []
    for client in clients:
        service = client["service"]
        if service in request.services:
            client = client.copy()
            client["pool"] = {
                "size": request.size,
                "overflow": request.overflow,
                "replicas": replicas.get(service),
                "source": "options",
            }
            if client["state"] != "missing":
                client["state"] = "running"
        changed.append(client)
    return changed


def shared(
    clients: Sequence[ClientFacts], server: Optional[ServerFacts], snapshot: Snapshot, reserve: int
) -> Tuple[Sequence[budget.Room], Sequence[str], Sequence[str]]:
    """(the rooms that the pools share, the services whose pool is not known, who logs in elsewhere).

    No rooms where our own session comes by way of a pooler.
    """
    mine, others = budget.straight(server, snapshot, clients)
    known, unknown = budget.pools(mine)
    return ((), (), ()) if snapshot["pooled"] else (budget.rooms(snapshot, known, reserve), unknown, others)


def stale(request: Request, containers: Sequence[Held]) -> List[str]:
    """The services that have a container with other values."""
    wanted = dict(request.values)
    found = {one.service for one in containers if dict(one.values) != wanted}
    return [service for service in request.services if service in found]


def needed(request: Request, text: str, containers: Sequence[Held]) -> bool:
    """Whether anything is to be changed."""
    return with_values(text, request.values) != text or bool(stale(request, containers))


def decide(request: Request, seen: Seen) -> Plan:
    """Raises RefusedError."""
    missing = [name for name in request.services if not any(one.service == name for one in seen.containers)]
    if missing:
        raise RefusedError(
            "%s has no container" % " and ".join(missing),
            "Create it from its Compose file: %s compose up -d %s." % (seen.engine, " ".join(missing)),
        )
    _refuse_unknown(seen)
    still = _refuse_over(request, seen)
    found = entries(seen.text)
    strange = [
        name
        for name in request.values
        if name in found and not (_SETTING.match(found[name].value) or VARIABLE.match(found[name].written))
    ]
    if strange:
        raise RefusedError(
            "%s of %s is neither a number nor a switch, so it is something else than a pool's setting"
            % (" and ".join(strange), request.env_file),
            "Correct names.",
        )
    text = with_values(seen.text, request.values)
    recreate = stale(request, seen.containers)
    if seen.given is not None:
        _refuse_not_given(request, seen, seen.given)
    return Plan(
        text if text != seen.text else None,
        [(name, _shown(found[name].value) if name in found else None, value) for name, value in request.values.items()],
        recreate,
        seen.rooms,
        [*still, *("not in the budget: %s, so a pooler's size counts" % one for one in seen.others)]
        if seen.rooms
        else ["the budget was not checked: sessions come by way of a pooler, whose size counts"],
    )


def not_given(request: Request, given: Mapping[str, Mapping[str, str]]) -> Dict[str, List[str]]:
    """service -> the variables that Compose gives it another value of, or none."""
    found = {
        service: [name for name, value in request.values.items() if given[service].get(name) != value]
        for service in request.services
    }
    return {service: names for service, names in found.items() if names}


def not_passed_on(request: Request, missing: Mapping[str, Sequence[str]]) -> Tuple[str, str]:
    """What is said of it, and what to do."""
    service, names = next(iter(missing.items()))
    return (
        "Compose does not give %s the %s of %s" % (" and ".join(missing), ", ".join(names), request.env_file),
        "In its Compose file write under environment of %s: %s."
        % (service, ", ".join("%s: ${%s}" % (name, name) for name in names)),
    )


def diff(request: Request, plan: Plan) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    before: Dict[str, Any] = {request.env_file: {name: was for name, was, _value in plan.variables}, "recreated": []}
    after: Dict[str, Any] = {request.env_file: dict(request.values), "recreated": list(plan.recreate)}
    return before, after


def _shown(value: str) -> str:
    """A variable may have a default that is nobody's business."""
    return value if _SETTING.match(value) else "a variable"


def _refuse_unknown(seen: Seen) -> None:
    if seen.unknown:
        raise RefusedError(
            "The pool of %s is not known, so it cannot be said whether all pools fit" % " and ".join(seen.unknown),
            "Declare it in oncall_target: clients: [{service: %s, pool: {size: N, overflow: M}}]." % seen.unknown[0],
        )


def _refuse_over(request: Request, seen: Seen) -> List[str]:
    """What is said of pools that do not fit and are taken all the same, since they are no larger than those of now."""
    # A room that none of them shares is too small whatever they get.
    over = [
        room for room in seen.rooms if not room.fits and any(pool.service in request.services for pool in room.pools)
    ]
    if not over:
        return []
    now = {room.why: room.most for room in seen.now}
    better = all(room.most <= now.get(room.why, -1) for room in over)
    if better and request.allow_over_budget:
        return ["the pools still do not fit: %s; before: %d" % (room, now[room.why]) for room in over]
    most = budget.largest(seen.rooms, request.services)
    size, overflow = budget.split(most, request.size, request.overflow)
    who = " and ".join(request.services)
    hint = (
        "The largest pool that fits for %s: pool_size %d, max_overflow %d." % (who, size, overflow)
        if most
        else "No pool fits for %s: make the others smaller, or max_connections larger." % who
    )
    if better:
        hint += " Now it is %s, which is no better: allow_over_budget takes it." % " and ".join(
            str(now[room.why]) for room in over
        )
    raise RefusedError("The pools do not fit. %s" % "; ".join(str(room) for room in over), hint)


def row(room: budget.Room) -> Dict[str, Any]:
    return {"connections": room.most, "slots": room.slots, "sum": str(room)}


def _refuse_not_given(request: Request, seen: Seen, given: Mapping[str, Mapping[str, str]]) -> None:
    missing = {service: names for service, names in not_given(request, given).items() if service not in seen.direct}
    if missing:
        text, hint = not_passed_on(request, missing)
        raise RefusedError(text, "%s Bring it up once, then run again." % hint)
