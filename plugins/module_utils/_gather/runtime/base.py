# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the server process is seen and driven. A runtime reads and acts; it never judges.

To add one (systemd is next): a file here with a class of this shape, its name in ``_options.RUNTIMES`` and in
``_target.open_target``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Protocol, Sequence, runtime_checkable

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import ClientFacts, Health, ServerFacts, WireAnswer


@dataclass(frozen=True)
class Completed:
    """A finished command: exit code, standard output and error as text."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Login:
    """How a client logs in. The password is in no repr."""

    host: str
    port: int
    user: str
    database: str
    ssl_mode: str = "prefer"
    password: Optional[str] = field(default=None, repr=False)
    source: str = "options"


@dataclass(frozen=True)
class ClientOption:
    """One entry of the option ``clients``; ``login`` holds only what was given."""

    service: str
    health_url: Optional[str] = None
    application_name: Optional[str] = None
    login: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Client(Protocol):
    """One client, seen from its own place (made by ``Runtime.clients``)."""

    login: Optional[Login]  # resolved: options first, then the container's environment; None when nothing says how
    user: Optional[str]  # the role that it is known to log in as; None where only defaults would say
    application_name: Optional[str]
    addresses: Sequence[str]  # its own, as the server may see them; empty where they are not known

    def examine(self, deadline: Deadline) -> ClientFacts:
        """Resolve, reach, start-up packet, login, health, side by side where they do not depend on each other."""


class Runtime(Protocol):
    name: str
    errors: Dict[str, str]  # part of the looking -> why it brought nothing, as far as no exception says it

    def server(self, deadline: Deadline) -> ServerFacts:
        """Question 1. Raises TargetError where there is nothing to look at (no engine, no such project)."""

    def wire(self, deadline: Deadline) -> List[WireAnswer]:
        """The start-up probe at the server's own place: socket, its own network address(es), published addresses."""

    def clients(self) -> Sequence[Client]:
        """One for each container of each declared client (one for a service that has none: state ``missing``)."""

    def run_beside(
        self, argv: Sequence[str], deadline: Deadline, stdin: str = "", environment: Optional[Dict[str, str]] = None
    ) -> Completed:
        """Run a command beside the live server as its OS user. Raises TargetError where there is no such place."""

    def obstacle(self, deadline: Deadline) -> Optional[str]:
        """Why ``start`` and ``stop`` must not be used here, and what to do instead; None: nothing is in the way."""

    def start(self, deadline: Deadline) -> None:
        """Start the server as it was started before; does not wait until it answers.

        Raises TargetError with what came back when it could not even be launched.
        """

    def stop(self, deadline: Deadline) -> bool:
        """Fast shutdown (SIGINT to the postmaster), waited for. A server stopped so stays stopped.

        False: it had not ended at the deadline and goes on shutting down. Nothing is ever sent SIGKILL, not even by
        the engine when nobody waits any longer.
        """

    def alive(self, deadline: Deadline) -> bool:
        """Whether any process of the server is there; one that starts up or shuts down is."""

    def session_settings(self) -> Dict[str, Any]:
        """For the psql session: {data_directory, bin_directory, user, database} as far as the runtime knows them."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Life:
    """How a container is now. ``health`` is what its health check said last: starting | healthy | unhealthy | None."""

    state: str  # as ServerFacts.state
    exit_code: Optional[int] = None
    health: Optional[str] = None
    error: Optional[str] = None  # the engine's own


class Container(Protocol):
    """A container of a client's service, to be driven. Each raises TargetError or DeadlineError."""

    service: str
    name: str

    def look(self, deadline: Deadline) -> Life: ...

    def start(self, deadline: Deadline) -> None: ...

    def stop(self, deadline: Deadline) -> None:
        """By its own stop signal, never by SIGKILL. DeadlineError where it has not ended by then."""

    def check(self, deadline: Deadline) -> Optional[str]:
        """Its own health check, run now: healthy, or what it said instead; None where it has none."""

    def page(self, url: str, deadline: Deadline) -> Health:
        """A page as seen from its place."""


@runtime_checkable
class DrivesClients(Protocol):
    """A runtime whose clients are containers."""

    def client_containers(self, deadline: Deadline) -> List[Container]:
        """All existing containers of the declared clients, in their order; stopped ones too."""
