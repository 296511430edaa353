# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is attached where and by what names: the shapes that the plan is made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Tuple


@dataclass(frozen=True)
class Wanted:
    """One network of one service: its real name, the names the service has there, and how it is attached."""

    network: str
    aliases: Tuple[str, ...] = ()
    settings: Tuple[Tuple[str, Any], ...] = ()  # of the engine's EndpointConfig: addresses, the driver's options
    links: Tuple[str, ...] = ()  # to services of the project, SERVICE or SERVICE:ALIAS
    external_links: Tuple[str, ...] = ()  # to containers, NAME or NAME:ALIAS
    unknown: Tuple[str, ...] = ()  # what takes a variable, so that its value is not known


@dataclass(frozen=True)
class Endpoint:
    """A container's place on a network. ``settings`` is the engine's EndpointConfig that makes it again."""

    network: str
    aliases: Tuple[str, ...]
    settings: Tuple[Tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Attached:
    """A container of server or client. ``mode``: the network it was created with, or host, none, container:x."""

    service: str
    name: str
    id: str
    state: str
    mode: str
    endpoints: Tuple[Endpoint, ...] = ()
    chosen_ports: Mapping[str, str] = field(default_factory=dict)  # published where the engine chose: inside -> outside

    def on(self, network: str) -> Optional[Endpoint]:
        return next((one for one in self.endpoints if one.network == network), None)


@dataclass(frozen=True)
class Net:
    """A network of the project. ``strangers``: containers on it, running or not, that belong to somebody else."""

    name: str
    key: str  # its name in the Compose file
    strangers: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """What there is. ``wanted`` by service is the Compose file's word, None where it cannot be read."""

    project: str
    server: Optional[Attached]
    clients: Tuple[Attached, ...]
    networks: Tuple[Net, ...]
    others: Tuple[str, ...] = ()  # names of networks that are not the project's
    wanted: Optional[Mapping[str, Sequence[Wanted]]] = None
    engine: str = "docker"  # the engine's command, docker or podman
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)  # service -> names of all of its containers
