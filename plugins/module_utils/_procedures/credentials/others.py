# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else uses a role, besides the declared clients: by sessions, and by the environment of every container that can
reach the server."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Collection, Dict, Iterator, List, Mapping, Sequence, Tuple

from ..._core.side_by_side import side_by_side
from ..._core.text import count
from ..._gather.client.settings import named_logins
from ..._gather.runtime.compose import containers
from ..._gather.runtime.compose.api import EngineError
from ..._gather.runtime.compose.files import Files
from ..._gather.runtime.compose.project import container_name
from .plan import User

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._gather.client.secret_files import Read
    from ..._gather.runtime.compose.project import Inspection, View

_LOCAL = ("", "127.0.0.1", "::1")


def neighbours(view: View, deadline: Deadline) -> List[Inspection]:
    """Every container on the server's networks, running or not, but the server itself."""
    if view.server is None:
        return []
    found: Dict[str, None] = {}
    for network in (view.server["NetworkSettings"].get("Networks") or {}).values():
        filters = json.dumps({"network": [network["NetworkID"]]})
        found.update({one["Id"]: None for one in view.engine.get("/containers/json", deadline, all=1, filters=filters)})
    found.pop(view.server["Id"], None)
    outcome = side_by_side({each: functools.partial(view.engine.inspect, each, deadline) for each in found}, deadline)
    for error in outcome.errors.values():
        if not (isinstance(error, EngineError) and error.status == 404):  # 404: it went while we looked
            raise error
    return [outcome.values[each] for each in found if each in outcome.values]


def by_environment(
    view: View,
    beside: Sequence[Inspection],
    known: Collection[str],
    role: str,
    held: Collection[str],
    deadline: Deadline,
) -> Iterator[User]:
    """``known``: containers of the declared clients; ``held``: the passwords that the role's clients have."""
    servers = {name: one["Id"] for one in beside if "PGDATA" in containers.environment(one) for name in _names(one)}
    for one in beside:
        name, own = container_name(one), containers.environment(one)
        if name in known:
            continue
        labels = one["Config"].get("Labels") or {}
        for variables, password in named_in(own, Files(view, one, deadline).read, role, held, servers):
            how = "its environment (%s)" % variables
            yield User(name, how, password, labels.get(containers.SERVICE))
            break


def named_in(
    env: Mapping[str, str], read: Read, role: str, held: Collection[str], elsewhere: Collection[str] = ()
) -> Iterator[Tuple[str, Any]]:
    """Where an environment names the role, or holds its password: (by which settings, the password or None)."""
    others: Dict[str, None] = {}  # passwords of logins as somebody else, or at another server
    for variables, values in named_logins(env, read):
        if values.get("user") == role and values.get("host") not in elsewhere:
            yield variables, values.get("password")
        elif "password" in values and ("user" in values or values.get("host") in elsewhere):
            others[values["password"]] = None
    for name, value in env.items():
        if value and value in held and value not in others:
            yield name, value


def by_sessions(
    rows: Sequence[Mapping[str, Any]], beside: Sequence[Inspection], known: Mapping[str, str], local: bool
) -> Iterator[User]:
    """``known``: addresses of the declared clients; ``local``: one of them runs where the server does."""
    places = {address: one for one in beside for address in containers.addresses(one)}
    for row in rows:
        address = row["address"]
        if address in known or (local and address in _LOCAL):
            continue
        one = places.get(address)
        name = container_name(one) if one else address or "a local session"
        service = (one["Config"].get("Labels") or {}).get(containers.SERVICE) if one else None
        as_ = " of application %s" % row["application"] if row["application"] else ""
        yield User(name, "%s%s" % (count(row["sessions"], "session"), as_), None, service)


def _names(inspected: Inspection) -> Iterator[str]:
    yield container_name(inspected)
    yield from containers.addresses(inspected)
    for network in containers.networks(inspected):
        yield from network["aliases"]
