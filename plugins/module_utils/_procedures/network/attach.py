# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers attached to their networks again, as they were."""

from __future__ import annotations

import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Sequence, Tuple

from ..._core.errors import OncallError
from ..._gather.runtime.compose.api import EngineError
from ..._gather.runtime.compose.engine import Engine
from ..._gather.runtime.compose.places import on_network, settings_of
from ..._model.places import Endpoint

if TYPE_CHECKING:
    from ..._core.deadline import Deadline

# Of a network made anew.
_KEPT = ("Driver", "IPAM", "Internal", "Attachable", "EnableIPv4", "EnableIPv6", "Options", "Labels", "ConfigFrom")
_AGAIN_SECONDS = 0.2
_CONNECT_SECONDS = 10.0


def connect(engine: Engine, container: str, endpoint: Endpoint, deadline: Deadline) -> None:
    """Attach a container that runs or not; done when it already is. Tried again until the deadline.

    A container that was just taken off must come on again: an engine that refuses once may take it the next time.
    """
    settings = dict(endpoint.settings, Aliases=list(endpoint.aliases))
    body = {"Container": container, "EndpointConfig": settings}
    _insist(
        lambda: engine.request("POST", "/networks/%s/connect" % endpoint.network, deadline, body),
        deadline,
        "already exists",
    )


def disconnect(engine: Engine, container: str, network: str, deadline: Deadline) -> None:
    body = {"Container": container, "Force": False}
    try:
        engine.request("POST", "/networks/%s/disconnect" % network, deadline, body)
    except EngineError as error:
        if "is not connected" not in error.msg:
            raise


def recreate(engine: Engine, name: str, deadline: Deadline) -> None:
    """Make a network anew as it was (driver, addresses, options, labels), and put everybody on it back on.

    In the order of their old addresses, so that they get the same ones. The caller has made sure that they are all
    the project's own.
    """
    network = engine.get("/networks/%s" % name, deadline)
    members: List[Tuple[Any, str, Endpoint]] = []
    for one in on_network(engine, network["Id"], deadline):
        settings = (
            engine.get("/containers/%s/json" % one["Id"], deadline)["NetworkSettings"]["Networks"].get(name) or {}
        )
        endpoint = Endpoint(name, tuple(settings.get("Aliases") or ()), settings_of(settings))
        members.append((_order(settings.get("IPAddress")), one["Id"], endpoint))
    body = {key: network[key] for key in _KEPT if network.get(key) is not None}
    body.update(Name=name, CheckDuplicate=True)
    gone: List[Tuple[str, Endpoint]] = []
    removed = False
    try:
        for _address, container, endpoint in sorted(members, key=lambda member: (member[0], member[1])):
            gone.append((container, endpoint))
            disconnect(engine, container, name, deadline)
        engine.request("DELETE", "/networks/%s" % network["Id"], deadline)
        removed = True
    finally:
        # Whatever failed: a network is there in the end, and everybody is on it.
        if removed:
            _insist(lambda: engine.request("POST", "/networks/create", deadline, body), deadline, "already exists")
        _connect_all(engine, gone, deadline)


def _connect_all(engine: Engine, members: Sequence[Tuple[str, Endpoint]], deadline: Deadline) -> None:
    """One that cannot be attached does not keep others off; the first error is raised in the end."""
    errors: List[OncallError] = []
    for container, endpoint in members:
        try:
            connect(engine, container, endpoint, deadline.sooner(_CONNECT_SECONDS))
        except OncallError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _order(address: Optional[str]) -> Tuple[int, int]:
    return (0, int(ip_address(address))) if address else (1, 0)


def _insist(what: Callable[[], Any], deadline: Deadline, done: str) -> None:
    while True:
        try:
            what()
            return
        except OncallError as error:
            if done in error.msg:
                return
            if deadline.passed() or (isinstance(error, EngineError) and error.status in (400, 404)):
                raise
            time.sleep(deadline.left(_AGAIN_SECONDS))
