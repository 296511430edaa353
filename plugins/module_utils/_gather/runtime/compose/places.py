# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who of a project is attached to which of its networks, by what names, and where its Compose files want them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

from ...._model.places import Attached, Endpoint, Net, Scene
from . import containers
from .compose_file import networks_of_services
from .engine import Engine
from .project import Inspection, View, container_name

if TYPE_CHECKING:
    from ...._core.deadline import Deadline

_OWN_ENDPOINT = ("IPAMConfig", "Links", "DriverOpts")  # what was asked for; the rest is the engine's answer


def look_and_read(view: View, project: str, deadline: Deadline) -> Scene:
    """With what the Compose files want, where they can be read from here. Raises OncallError."""
    scene = look(view, project, deadline)
    some = view.server or next((one for inspections in view.clients.values() for one in inspections), None)
    if not view.engine.local or some is None:
        return scene
    return dataclasses.replace(scene, wanted=networks_of_services(some["Config"]["Labels"], project, deadline))


def look(view: View, project: str, deadline: Deadline) -> Scene:
    """As the engine knows it."""
    engine = view.engine
    nets, others = [], []
    for network in engine.get("/networks", deadline):
        labels = network.get("Labels") or {}
        if labels.get(containers.PROJECT) == project:
            strangers = tuple(
                one["Names"][0].lstrip("/")
                for one in on_network(engine, network["Id"], deadline)
                if (one.get("Labels") or {}).get(containers.PROJECT) != project
            )
            nets.append(Net(network["Name"], labels.get("com.docker.compose.network", network["Name"]), strangers))
        else:
            others.append(network["Name"])
    clients = [inspected for inspections in view.clients.values() for inspected in inspections]
    return Scene(
        project,
        _attached(view.server) if view.server is not None else None,
        tuple(_attached(one) for one in clients),
        tuple(sorted(nets, key=lambda net: net.name)),
        tuple(sorted(others)),
        None,
        engine.command,
        _members(engine, project, deadline),
    )


def _members(engine: Engine, project: str, deadline: Deadline) -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    for one in engine.containers(deadline, "%s=%s" % (containers.PROJECT, project)):
        if one["Labels"].get(containers.ONE_OFF) != "True":
            found.setdefault(one["Labels"].get(containers.SERVICE, ""), []).append(one["Names"][0].lstrip("/"))
    return found


def _attached(inspected: Inspection) -> Attached:
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    return Attached(
        inspected["Config"]["Labels"][containers.SERVICE],
        container_name(inspected),
        inspected["Id"],
        containers.lifecycle(inspected, 0)["state"],
        inspected["HostConfig"].get("NetworkMode") or "",
        tuple(
            Endpoint(
                name,
                tuple(sorted(set(network.get("Aliases") or []))),
                settings_of(network),
            )
            for name, network in sorted(networks.items())
        ),
        containers.chosen_ports(inspected),
    )


def settings_of(place: Mapping[str, Any]) -> Tuple[Tuple[str, Any], ...]:
    """What makes a place again as it is. A hardware address that the engine derives from the other comes by itself."""
    kept = {key: place[key] for key in _OWN_ENDPOINT if place.get(key)}
    if containers.is_own_hardware(place):
        kept["MacAddress"] = place["MacAddress"]
    return tuple(kept.items())


def on_network(engine: Engine, network: str, deadline: Deadline) -> List[Dict[str, Any]]:
    """Containers attached to a network, running or not, as the engine lists them."""
    filters = json.dumps({"network": [network]})
    found: List[Dict[str, Any]] = engine.get("/containers/json", deadline, all=1, filters=filters)
    return found
