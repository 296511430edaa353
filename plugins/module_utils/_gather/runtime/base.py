# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the server process is seen. A runtime looks: it never judges, and what moves a server is not here.

To add one (systemd is next): a file here with a class of this shape, its name in ``_entry.options.RUNTIMES`` and in
``_entry.target``; where it can be driven, a ``Drive`` in ``_procedures.drive``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Collection, Dict, List, Mapping, Optional, Protocol, Sequence

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import AnotherServer, ClientFacts, ServerFacts, WireAnswer
    from ..._model.user import User


@dataclass(frozen=True)
class Completed:
    """A finished command: exit code, standard output and error as text."""

    code: int
    out: str
    err: str


SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


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
    """One entry of the option ``clients``; ``login`` and ``pool`` hold only what was given."""

    service: str
    health_url: Optional[str] = None
    application_name: Optional[str] = None
    login: Mapping[str, Any] = field(default_factory=dict, repr=False)
    pool: Mapping[str, Any] = field(default_factory=dict)  # size, overflow, replicas


def bounded(program: str, words: Sequence[str], seconds: int) -> List[str]:
    return ["timeout", "-s", "TERM", str(seconds), program, *words]


class Client(Protocol):
    """One client, seen from its own place (made by ``Runtime.clients``)."""

    login: Optional[Login]  # resolved: options first, then the container's environment; None when nothing says how
    user: Optional[str]  # the role that it is known to log in as; None where only defaults would say
    application_name: Optional[str]
    addresses: Sequence[str]  # its own, as the server may see them; empty where they are not known

    @property
    def process(self) -> Optional[int]:
        """A process in its network namespace, where that is on this host and we may look into it."""

    def examine(self, deadline: Deadline) -> ClientFacts:
        """Resolve, reach, start-up packet, login, health, side by side where they do not depend on each other."""


class Runtime(Protocol):
    name: str
    seen_by_wire: bool  # ``server`` knows nothing but what ``wire`` was told
    clients_here: bool  # declared clients run on this machine, as the server does: their processes can be seen
    note_path: Optional[str]  # of whoever stops its clients; None where they are no containers
    errors: Dict[str, str]  # part of the looking -> why it brought nothing, as far as no exception says it

    def server(self, deadline: Deadline) -> ServerFacts:
        """Question 1. Raises TargetError where there is nothing to examine (no engine, no such project)."""

    def obstacle(self, deadline: Deadline) -> Optional[str]:
        """Why it can be neither started nor stopped from here, and what to do instead; None: nothing is in the way."""

    def wire(self, deadline: Deadline, logged_in: bool = False) -> List[WireAnswer]:
        """Who answers at the server's own place: socket, its own network address(es), published addresses.

        ``logged_in``: SQL has got through, so a start-up packet, which the log-in lines may refuse, need not be sent.
        """

    def forget(self) -> None:
        """Look anew from now on: something was changed."""

    def clients(self) -> Sequence[Client]:
        """One for each container of each declared client (one for a service that has none: state ``missing``)."""

    def neighbours(
        self, role: str, held: Collection[str], known: Collection[str], deadline: Deadline
    ) -> Sequence[User]:
        """The containers on its networks, but those ``known`` by name; which know ``role``, or a password ``held``."""

    def run_beside(
        self, argv: Sequence[str], deadline: Deadline, stdin: str = "", environment: Optional[Dict[str, str]] = None
    ) -> Completed:
        """Run a command beside the live server as its OS user.

        Raises TargetError where there is no such place, DownError where there would be if the server ran.
        """

    def run_at_rest(
        self, program: str, words: Sequence[str], seconds: int, environment: Mapping[str, str], deadline: Deadline
    ) -> Completed:
        """Run one of PostgreSQL's own programs on the files of the stopped server, for ``seconds`` at most (SIGTERM).

        Of programs that only read. Raises TargetError where there is no such place.
        """

    def in_its_place(self, deadline: Deadline) -> Optional[AnotherServer]:
        """Of a server that is down: who has its port or socket. None: nobody, or that cannot be seen."""

    def session_settings(self) -> Dict[str, Any]:
        """For the psql session: {data_directory, bin_directory, user, database} as far as the runtime knows them."""

    def close(self) -> None: ...
