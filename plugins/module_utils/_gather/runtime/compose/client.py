# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that is a container: examined in its network namespace, else by a toolbox in its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from ...._core.errors import OncallError, TargetError
from ...client import client
from ...client.pool import resolve_pool
from ...client.secret_files import unread
from ...client.settings import named_user, resolve_login
from ..base import ClientOption, Completed, Login
from . import containers
from .files import Files
from .project import Inspection, View, container_name

if TYPE_CHECKING:
    from ...._core.deadline import Deadline
    from ...._model.facts import ClientFacts, Network


class ComposeClient:
    """One container of a client's service (``inspected`` None: the service has none)."""

    def __init__(
        self,
        view: View,
        option: ClientOption,
        inspected: Optional[Inspection],
        defaults: Mapping[str, Any],
        deadline: Deadline,
    ) -> None:
        self._view, self._option, self._inspected = view, option, inspected
        self.container = container_name(inspected) if inspected is not None else None  # its name
        env = containers.environment(inspected) if inspected is not None else {}
        files = Files(view, inspected, deadline) if inspected is not None else None
        read = files.read if files is not None else unread
        self.login: Optional[Login] = resolve_login(option.login, env, defaults, read)
        self.own_login = resolve_login({}, env, defaults, read)  # what the container itself holds, whatever is declared
        self.user = named_user(option.login, env, read)
        self._unread = files.problems if files is not None else {}
        self.application_name = option.application_name
        self.addresses: Sequence[str] = containers.addresses(inspected) if inspected is not None else ()

    @property
    def process(self) -> Optional[int]:
        return self._view.enterable(self._inspected) if self._inspected is not None else None

    def examine(self, deadline: Deadline) -> ClientFacts:
        if self._inspected is None:
            why = "service %s has no container" % self._option.service
            return client.blank(self._option, self.login, "missing", "none", why)
        inspected = self._inspected
        lifecycle = containers.lifecycle(inspected, 0)
        state = lifecycle["state"]
        attached = containers.networks(inspected, self._view.clients[self._option.service])
        try:
            facts = self._ask(inspected, state, attached, deadline)
        except OncallError as error:
            facts = client.blank(self._option, self.login, state, "none", str(error))
        servers = containers.networks(self._view.server) if self._view.server is not None else []
        shared = {network["name"] for network in servers if network["attached"]}
        facts["name"], facts["state"], facts["networks"] = container_name(inspected), state, attached
        facts["pool"] = resolve_pool(self._option.pool, containers.environment(inspected))
        facts["exit_code"], facts["out_of_memory"] = lifecycle["exit_code"], lifecycle["out_of_memory"]
        facts["started_at"], facts["finished_at"] = lifecycle["started_at"], lifecycle["finished_at"]
        if self._unread and facts["error"] is None:
            facts["error"] = "; ".join("cannot read its %s: %s" % problem for problem in sorted(self._unread.items()))
        attempt = facts["attempt"]
        if attempt and attempt["source_address"] is None:  # a toolbox learns it from a login that succeeds only
            attempt["source_address"] = _seen_as(facts, servers)
        facts["shared_networks"] = [
            network["name"] for network in attached if network["attached"] and network["name"] in shared
        ]
        return facts

    def _ask(self, inspected: Inspection, state: str, attached: Sequence[Network], deadline: Deadline) -> ClientFacts:
        pid = self._view.enterable(inspected)
        if pid is not None:
            return client.examine_namespace(pid, self._option, self.login, deadline)
        server = self._view.server
        if server is None:
            raise TargetError("The server has no container, so there is no image to check the client with")
        live = state in ("running", "paused")
        names = [network["name"] for network in attached if network["attached"]] or ["none"]
        mode, more = ("container:" + inspected["Id"], names[:0]) if live else (names[0], names[1:])
        hosts = [] if live else inspected["HostConfig"].get("ExtraHosts") or []

        def run(argv: Sequence[str], stdin: str, deadline: Deadline) -> Completed:
            return self._view.engine.toolbox(
                server["Image"], argv, deadline, stdin, network_mode=mode, networks=more, hosts=hosts
            )

        return client.examine_toolbox(run, self._option, self.login, deadline)


def _seen_as(facts: ClientFacts, servers: Sequence[Network]) -> Optional[str]:
    """The client's address as the server sees it: on the network that the server's own address is on."""
    address = (facts["reach"]["address"] or "").rpartition(":")[0] if facts["reach"] else ""
    names = [network["name"] for network in servers if address and network["address"] == address.strip("[]")]
    return next((network["address"] for network in facts["networks"] if network["name"] in names), None)
