# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of which nothing can be seen but the wire: a managed one, or one on a host that we may not enter."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, List, Mapping, Optional, Sequence

from ..._core.errors import TargetError
from ..._core.side_by_side import side_by_side
from ..wire import dns
from ..wire import wire as _wire
from .here import HereClient
from .unseen import unseen

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import AnotherServer, ServerFacts, WireAnswer
    from ..._model.user import User
    from .base import Client, ClientOption, Completed

_MOST_ADDRESSES = 4
_MARGIN_SECONDS = 0.25  # a probe's answer must be back before the step's deadline


class RemoteRuntime:
    """``Runtime`` by nothing but the network. Safe to share between threads; each address is asked once.

    ``login``: user, password, database, ssl_mode for clients that leave them out.
    """

    name = "remote"
    clients_here = False
    seen_by_wire = True
    note_path: Optional[str] = None

    def __init__(
        self,
        login_host: str,
        login_port: Optional[int] = None,
        clients: Sequence[ClientOption] = (),
        login: Optional[Mapping[str, Any]] = None,
        ca_cert: Optional[str] = None,
        connect_timeout_seconds: float = 5,
    ) -> None:
        self.errors: Dict[str, str] = {}
        self.host, self._port, self._options = login_host, login_port or 5432, list(clients)
        self._login, self._ca_cert = dict(login or {}), ca_cert
        self._connect_timeout_seconds = connect_timeout_seconds
        self._lock = threading.Lock()
        self._answers: Optional[List[WireAnswer]] = None

    def server(self, deadline: Deadline) -> ServerFacts:
        answered = any(answer["outcome"] in ("accepting", "rejecting") for answer in self.wire(deadline))
        seen = unseen(_wire.show_address(self.host, self._port), "running" if answered else "unknown")
        return {**seen, "obstacle": self.obstacle(deadline)}

    def obstacle(self, deadline: Deadline) -> Optional[str]:
        return (
            "runtime=remote reaches %s over the network only, and SQL can neither start nor stop a server: use "
            "runtime=compose or runtime=pg_ctl on its own host, or its provider's console" % self.host
        )

    def wire(self, deadline: Deadline, logged_in: bool = False) -> List[WireAnswer]:
        with self._lock:
            if self._answers is None:
                self._answers = self._ask(deadline, logged_in)
            return self._answers

    def _ask(self, deadline: Deadline, logged_in: bool) -> List[WireAnswer]:
        ask = _wire.knock if logged_in else _wire.probe
        if self.host.startswith("/"):
            path = "%s/.s.PGSQL.%d" % (self.host.rstrip("/"), self._port)
            return [ask(path, deadline.sooner(self._connect_timeout_seconds), "login_host")]
        found = dns.resolve(self.host, deadline.sooner(self._connect_timeout_seconds))
        if not found["addresses"]:
            why = "no answer from the name server" if found["error"] == "timeout" else "the name is not known"
            return [
                {
                    "kind": "login_host",
                    "address": _wire.show_address(self.host, self._port),
                    "outcome": "unreachable",
                    "severity": None,
                    "sqlstate": None,
                    "message": "%s: %s" % (self.host, why),
                    "elapsed_ms": found["elapsed_ms"],
                }
            ]
        addresses = found["addresses"][:_MOST_ADDRESSES]
        asking = deadline.sooner(min(self._connect_timeout_seconds, deadline.left() - _MARGIN_SECONDS))
        if len(addresses) == 1:  # then SQL, where it got through, was answered by this one
            address = (addresses[0], self._port)
            return [_wire.answered(address, "login_host") if logged_in else _wire.probe(address, asking, "login_host")]
        steps: Dict[str, Callable[[], Any]] = {
            each: functools.partial(ask, (each, self._port), asking, "login_host") for each in addresses
        }
        outcome = side_by_side(steps, deadline)
        self.errors.update({"wire." + each: str(error) for each, error in outcome.errors.items()})
        return [outcome.values[each] for each in addresses if each in outcome.values]

    def forget(self) -> None:
        """Nothing is kept."""

    def clients(self) -> Sequence[Client]:
        defaults = {**self._login, "host": self.host, "port": self._port}
        return [HereClient(option, defaults, self._ca_cert) for option in self._options]

    def neighbours(
        self, role: str, held: Collection[str], known: Collection[str], deadline: Deadline
    ) -> Sequence[User]:
        return ()

    def run_beside(
        self, argv: Sequence[str], deadline: Deadline, stdin: str = "", environment: Optional[Dict[str, str]] = None
    ) -> Completed:
        raise TargetError(
            "Nothing can be run beside %s: runtime=remote sees it over the network only" % self.host,
            "Use runtime=compose or runtime=pg_ctl on the server's own host for that.",
        )

    def run_at_rest(
        self, program: str, words: Sequence[str], seconds: int, environment: Mapping[str, str], deadline: Deadline
    ) -> Completed:
        return self.run_beside([program, *words], deadline)

    def in_its_place(self, deadline: Deadline) -> Optional[AnotherServer]:
        return None

    def session_settings(self) -> Dict[str, Any]:
        return {
            "data_directory": None,
            "bin_directory": None,
            "user": self._login.get("user"),
            "database": self._login.get("database"),
        }

    def close(self) -> None:
        """Nothing stays open."""
