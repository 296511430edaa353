# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a server and its clients are moved: started, asked to end. The runtimes of ``_gather`` only look."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

from ..._core.errors import RefusedError
from ..._judge.checks import running

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._gather.runtime.base import Completed
    from ..._model.facts import DirectoryUser, Health


@dataclass(frozen=True)
class Trial:
    """Where a probe of the server can be started: as its OS user, with its limits, beside it but not in its way."""

    programs: str  # the directory of its programs, empty: search
    configuration: str  # what its -D names: the directory of postgresql.conf unless config_file says otherwise
    directory: str
    arguments: Sequence[str]  # of the server, without those that name its directory
    run: Callable[[Sequence[str], Deadline], Completed]
    # In the server's own container, which may have files that its image lacks. Its memory is then the server's.
    run_inside: Optional[Callable[[Sequence[str], Deadline], Completed]] = None


class Drive(Protocol):
    """What moves one target. Made by ``drive_of``; it keeps nothing that a second one would miss."""

    def start(self, deadline: Deadline) -> None:
        """Start the server as it was started before; does not wait until it answers.

        Raises RefusedError where, in the moment before, another server has the data directory; TargetError with
        what came back when it could not even be launched.
        """

    def used_by(self, deadline: Deadline) -> List[DirectoryUser]:
        """Other servers that have the data directory now, or may have it."""

    def stop(self, deadline: Deadline) -> bool:
        """Fast shutdown (SIGINT to the postmaster), waited for. A server stopped so stays stopped.

        False: it had not ended at the deadline and goes on shutting down. Nothing is ever sent SIGKILL, not even by
        the engine when nobody waits any longer.
        """

    def alive(self, deadline: Deadline) -> bool:
        """Whether any process of the server is there; one that starts up or shuts down is."""

    def trial(self, deadline: Deadline) -> Trial:
        """Raises TargetError where a probe of this server cannot be started."""

    def altered(self, deadline: Deadline) -> Dict[str, str]:
        """What ALTER SYSTEM has set, by the names in postgresql.auto.conf. Raises TargetError where that is unread."""

    def alter(self, taken: Sequence[str], added: Mapping[str, str], deadline: Deadline) -> List[Dict[str, str]]:
        """ALTER SYSTEM while the server is down: the rows of ``taken`` go, those of ``added`` come.

        -> [{name, value}], the rows that went. Raises TargetError where the file could not be changed: then it is as
        it was.
        """

    def containers(self, deadline: Deadline) -> Optional[List[Container]]:
        """All existing containers of the declared clients, in their order, stopped ones too; None where clients
        are no containers."""


def refuse_shared(users: Sequence[DirectoryUser]) -> None:
    """Raises RefusedError for a data directory that another server has."""
    if users:
        evidence = [running.user_line(user) for user in users]
        raise RefusedError(
            "; ".join(evidence),
            "Two servers on one data directory destroy it: find out who started that one, and stop one of them.",
            details={"code": "server_down", "cause": "directory_in_use", "evidence": evidence},
        )


@dataclass(frozen=True)
class Life:
    """How a container is now. ``health`` is what its health check said last: starting | healthy | unhealthy | None."""

    state: str  # as ServerFacts.state
    exit_code: Optional[int] = None
    health: Optional[str] = None
    error: Optional[str] = None  # the engine's own
    started_at: Optional[str] = None  # last, by the engine's clock
    finished_at: Optional[str] = None


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


def placed(arguments: Sequence[str], directory: str) -> Tuple[str, List[str]]:
    """(what the server's ``-D`` names, its other arguments)"""
    words = list(arguments)
    if "-D" in words[:-1]:
        place = words.index("-D")
        if posixpath.isabs(words[place + 1]):
            directory = words[place + 1]
        words = words[:place] + words[place + 2 :]
    return directory, words
