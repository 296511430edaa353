# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else knows a role: by the environment of every container that can reach the server."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Collection, Dict, Iterator, List, Mapping, Tuple

from ...._core.side_by_side import side_by_side
from ...._model.user import User
from ...client.settings import named_logins
from . import containers
from .api import EngineError
from .files import Files
from .project import container_name

if TYPE_CHECKING:
    from ...._core.deadline import Deadline
    from ...client.secret_files import Read
    from .project import Inspection, View


def neighbours(view: View, role: str, held: Collection[str], known: Collection[str], deadline: Deadline) -> List[User]:
    """See ``Runtime.neighbours``."""
    found = _beside(view, deadline)
    servers = {name: one["Id"] for one in found if "PGDATA" in containers.environment(one) for name in _names(one)}
    users = []
    for one in found:
        name, read = container_name(one), Files(view, one, deadline).read
        if name in known:
            continue
        named = next(named_in(containers.environment(one), read, role, held, servers), None)
        how, password = ("its environment (%s)" % named[0], named[1]) if named is not None else (None, None)
        service = (one["Config"].get("Labels") or {}).get(containers.SERVICE)
        users.append(User(name, how, password, service, tuple(containers.addresses(one))))
    return users


def _beside(view: View, deadline: Deadline) -> List[Inspection]:
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


def _names(inspected: Inspection) -> Iterator[str]:
    yield container_name(inspected)
    yield from containers.addresses(inspected)
    for network in containers.networks(inspected):
        yield from network["aliases"]
