# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Compose project as its engine knows it: found by labels, read once, the same view for every step."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence

from ...._core.errors import TargetError
from ...._core.side_by_side import side_by_side
from ...client import place
from . import beside, containers
from .api import EngineError
from .engine import Engine

if TYPE_CHECKING:
    from ...._core.deadline import Deadline

Inspection = Dict[str, Any]  # GET /containers/{id}/json


@dataclass(frozen=True)
class View:
    """The containers of the server's service (the best one, and ``others``) and of the clients' services."""

    engine: Engine
    server: Optional[Inspection]
    others: List[Inspection]
    clients: Dict[str, List[Inspection]] = field(default_factory=dict)
    notes: Dict[str, str] = field(default_factory=dict)  # part -> what is odd about it

    def enterable(self, inspected: Inspection) -> Optional[int]:
        """The container's first process, where we are root beside the engine and may enter its namespaces."""
        pid = inspected["State"].get("Pid") or 0
        if pid and self.engine.local and place.can_enter(pid) and beside.is_container(pid, inspected["Id"]):
            return int(pid)
        return None


def find(engine: Engine, project: str, service: str, client_services: Sequence[str], deadline: Deadline) -> View:
    """Raises TargetError for a project that the engine does not know, or a service that its Compose file does not."""
    listed = [
        one
        for one in engine.containers(deadline, "%s=%s" % (containers.PROJECT, project))
        # Compose labels the images that it builds as well, and whatever is run of one inherits that: without a number.
        if one["Labels"].get(containers.ONE_OFF) != "True" and containers.NUMBER in one["Labels"]
    ]
    if not listed:
        _refuse_unknown_project(engine, project, deadline)
    for wanted in [service, *client_services]:
        _refuse_unknown_service(engine, project, listed, wanted)
    inspections = _inspect(engine, listed, {service, *client_services}, deadline)
    clients = {name: sorted(inspections.get(name, []), key=container_name) for name in client_services}
    server = containers.newest(inspections.get(service, []))
    notes: Dict[str, str] = {}
    if len(server) > 1:
        notes["server.replicas"] = "service %s has %d containers; examined %s (%s), not %s" % (
            service,
            len(server),
            container_name(server[0]),
            server[0]["State"]["Status"],
            ", ".join(container_name(one) for one in server[1:]),
        )
    if not server:
        present = ", ".join(sorted({one["Labels"].get(containers.SERVICE, "?") for one in listed}))
        there = "services with containers: " + present if present else "no container at all, only volumes or networks"
        notes["server.container"] = "project %s has no container of service %s (%s)" % (project, service, there)
    return View(engine, server[0] if server else None, server[1:], clients, notes)


def container_name(inspected: Mapping[str, Any]) -> str:
    return str(inspected["Name"]).lstrip("/")


def _inspect(
    engine: Engine, listed: Sequence[Mapping[str, Any]], services: Any, deadline: Deadline
) -> Dict[str, List[Inspection]]:
    steps = {
        one["Id"]: _inspection(engine, one["Id"], deadline)
        for one in listed
        if one["Labels"].get(containers.SERVICE) in services
    }
    outcome = side_by_side(steps, deadline)
    for error in outcome.errors.values():
        if not (isinstance(error, EngineError) and error.status == 404):  # 404: it went while we looked
            raise error
    found: Dict[str, List[Inspection]] = {}
    for container in steps:
        if container in outcome.values:
            inspected = outcome.values[container]
            found.setdefault(inspected["Config"]["Labels"][containers.SERVICE], []).append(inspected)
    return found


def _inspection(engine: Engine, container: str, deadline: Deadline) -> Callable[[], Inspection]:
    def inspect() -> Inspection:
        inspected: Inspection = engine.inspect(container, deadline)
        mode = inspected["HostConfig"].get("NetworkMode") or ""
        if mode.startswith("container:"):  # it lives in another's network, so that one's networks are its own
            other = engine.inspect(mode.partition(":")[2], deadline)
            inspected["NetworkSettings"]["Networks"] = other["NetworkSettings"]["Networks"]
        return inspected

    return inspect


def _refuse_unknown_project(engine: Engine, project: str, deadline: Deadline) -> None:
    """A project without a container is known by its volumes and networks; else the option is a mistake."""
    label = "%s=%s" % (containers.PROJECT, project)
    if engine.volumes(deadline, label) or engine.networks(deadline, label):
        return
    label = containers.PROJECT
    things = engine.containers(deadline, label) + engine.volumes(deadline, label) + engine.networks(deadline, label)
    names = ", ".join(sorted({thing["Labels"][label] for thing in things}))
    raise TargetError(
        "The engine at %s knows no Compose project %s: no container, volume or network has its label"
        % (engine.host, project),
        "Projects there: %s. Correct project or docker_host." % names
        if names
        else "There is no Compose project at all: is this the right docker_host?",
    )


def _refuse_unknown_service(engine: Engine, project: str, listed: Sequence[Mapping[str, Any]], service: str) -> None:
    """Refuse when the Compose files, as far as this machine has them, do not define ``service``."""
    if not engine.local or any(one["Labels"].get(containers.SERVICE) == service for one in listed):
        return
    defined = _defined_services(listed)
    if defined is not None and service not in defined:
        raise TargetError(
            "Project %s has no service %s, neither a container nor in its Compose file" % (project, service),
            "Its services: %s." % ", ".join(sorted(defined)),
        )


def _defined_services(listed: Sequence[Mapping[str, Any]]) -> Optional[List[str]]:
    """The services of the project's Compose files; None when one is not here or cannot be read for certain."""
    files = {
        posixpath.join(one["Labels"].get(containers.WORKING_DIR, ""), name)
        for one in listed
        for name in one["Labels"].get(containers.CONFIG_FILES, "").split(",")
        if name
    }
    services: List[str] = []
    for name in files:
        try:
            with open(name, encoding="utf-8") as file:
                found = containers.services_of(file.read())
        except (OSError, ValueError):
            return None
        if found is None:
            return None
        services += found
    return services or None
