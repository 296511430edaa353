# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL by psycopg2 over TCP or a Unix socket. Never blocks longer than the deadline, whatever the network does."""

from __future__ import annotations

import contextlib
import copy
import select
import socket
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import DeadlineError, OptionsError, SessionError
from ..._core.mask import mask
from ..sql import rights
from ..sql.query import OLDEST, Query
from .bind import (
    TOO_LATE,
    as_json,
    bind,
    first,
    lasting,
    no_right,
    rows,
    settings,
    too_late,
    too_old,
    unlogged,
    within,
)

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from .proved import Proof

NO_CONNECTION = "08001"
LOST = "08006"  # connection_failure; psycopg2 does not pass on the code of a FATAL that ends a polled connection


class LibpqSession:
    """See ``Session``. Connects with the first query and stays connected; a broken connection is opened anew.

    ``proof``: what each new connection has to stand before it is used.
    """

    def __init__(
        self,
        host: Optional[str],
        port: Optional[int],
        user: Optional[str],
        password: Optional[str],
        database: Optional[str],
        ssl_mode: str = "prefer",
        ca_cert: Optional[str] = None,
        unix_socket: Optional[str] = None,
        connect_timeout_seconds: float = 5,
        proof: Optional[Proof] = None,
    ) -> None:
        self._host, self._port = unix_socket or host or "", port or 5432
        self._password = password
        self._connect_timeout_seconds, self._proof = connect_timeout_seconds, proof
        self._connection: Any = None
        self._pooled: Optional[bool] = None  # None: not known before the first answer
        self._parameters: Dict[str, Any] = {
            "host": self._host,
            "port": self._port,
            "user": user or "postgres",
            "dbname": database or "postgres",
            "sslmode": ssl_mode,
            **({"sslrootcert": ca_cert} if ca_cert else {}),
            **({"password": password} if password is not None else {}),
        }

    def query(self, query: Query, deadline: Deadline, **params: Any) -> List[Dict[str, Any]]:
        def texts(version_num: int) -> Sequence[str]:
            text = as_json(query, version_num, params)
            own = self._within(settings(query, deadline), "SELECT pg_backend_pid() || (%s)" % text)
            return ("; ".join([*first(query, params), own]),)

        pid, bracket, document = self._run(query, texts, deadline).partition("[")
        self._pooled = int(pid) != self._connection.get_backend_pid()
        return rows(bracket + document)

    def execute(self, query: Query, deadline: Deadline, **params: Any) -> None:
        def texts(version_num: int) -> Sequence[str]:
            statement, own = bind(query.text(version_num), params), settings(query, deadline, read_only=False)
            if query.unlogged:
                return ("BEGIN; " + self._within(own, unlogged(transaction=True)), statement, "COMMIT")
            if query.alone and query.settings:
                return (lasting(own), statement)
            return (statement if query.alone else self._within(own, statement),)

        self._run(query, texts, deadline)

    @property
    def pooled(self) -> bool:
        return bool(self._pooled)

    def in_database(self, name: str) -> "LibpqSession":
        session = copy.copy(self)
        session._connection, session._parameters = None, {**self._parameters, "dbname": name}
        return session

    def _run(self, query: Query, texts: Callable[[int], Sequence[str]], deadline: Deadline) -> str:
        """The first value that the last statement gives, else "". An asynchronous connection commits by itself.

        ``texts``: one message each.
        """
        driver = _driver()
        connection = self._connected(driver, deadline)
        version_num = connection.server_version
        if "bouncer" in (connection.get_parameter_status("server_version") or ""):
            raise SessionError(
                "login_db %s is the console of PgBouncer, and no database" % self._parameters["dbname"],
                "Set login_db to a database, and login_host and login_port to the server's own.",
            )
        if version_num < OLDEST:
            raise too_old(
                "%d.%d" % divmod(version_num, 10000)
                if version_num >= 100000
                else "%d.%d" % (version_num // 10000, version_num // 100 % 100)
            )
        try:
            # A superuser's connection says so by itself: nothing has to be asked.
            if query.needs and connection.get_parameter_status("is_superuser") != "on":
                missing = self._send(
                    self._within(settings(query, deadline), "SELECT %s" % rights.missing(query.needs)), deadline
                )
                if missing:
                    raise no_right(query, missing)
            value = ""
            for text in texts(version_num):
                value = self._send(text, deadline)
            return value
        except DeadlineError:
            self.close()
            raise too_late(query) from None
        except driver.Error as error:
            sqlstate = error.pgcode
            if connection.closed or not sqlstate or query.unlogged:  # that one left a transaction
                self.close()
            if sqlstate == TOO_LATE:
                raise too_late(query) from None
            raise SessionError(
                "the query %r failed: %s" % (query.name, self._text(error)), sqlstate=sqlstate or LOST
            ) from None

    def _within(self, own: Mapping[str, str], statement: str) -> str:
        """A pooler would go on calling a client that gives no name by ours."""
        return within(own, statement, named=self._pooled is False)

    def _send(self, text: str, deadline: Deadline) -> str:
        cursor = self._connection.cursor()
        cursor.execute(text)
        _wait(_driver(), self._connection, deadline)
        first = cursor.fetchone() if cursor.description else None
        cursor.close()
        return str(first[0]) if first else ""

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self, driver: Any, deadline: Deadline) -> Any:
        if self._connection is None or self._connection.closed:
            connecting = deadline.sooner(self._connect_timeout_seconds)
            self._connection = None
            connection = None
            try:
                parameters = {**self._parameters, **_addresses(self._host, self._port, connecting)}
                connection = driver.connect(
                    async_=1,
                    application_name="",  # not the environment's either: see _within
                    client_encoding="UTF8",
                    gssencmode="disable",
                    **parameters,
                )
                _wait(driver, connection, connecting)
                if connection.get_parameter_status("standard_conforming_strings") == "off":
                    # Our literals need it while they are read. A pooler keeps this one setting for each client.
                    cursor = connection.cursor()  # its answer is lost with it
                    cursor.execute("SET standard_conforming_strings = on")
                    _wait(driver, connection, connecting)
            except (DeadlineError, driver.Error) as error:
                if connection is not None:
                    connection.close()
                if isinstance(error, DeadlineError):
                    raise DeadlineError(
                        "connecting to %s port %d timed out" % (self._host, self._port),
                        "Raise connect_timeout_seconds, or check whether the server hangs.",
                    ) from None
                raise SessionError(
                    "connecting to %s port %d failed: %s" % (self._host, self._port, self._text(error)),
                    sqlstate=error.pgcode or NO_CONNECTION,
                ) from None
            self._connection = connection
            if self._proof is not None:
                try:
                    self._proof(lambda query: self.query(query, deadline), deadline)
                except BaseException:
                    self.close()
                    raise
        return self._connection

    def _text(self, error: Exception) -> str:
        # After a tab libpq asks whether the server is running: that is what triage answers.
        lines = [line.strip() for line in str(error).splitlines() if not line.startswith("\t")]
        return mask(" ".join(lines), [self._password] if self._password else [])[:300]


def _driver() -> Any:
    try:
        import psycopg2
        import psycopg2.extensions
    except ImportError:
        raise OptionsError(
            "login_host needs the Python library psycopg2, which is missing on this host",
            "Install psycopg2-binary (pip) or python3-psycopg2 (apt, dnf).",
        ) from None
    return psycopg2


def _wait(driver: Any, connection: Any, deadline: Deadline) -> None:
    """Until the connection or its statement is ready. Blocking calls of libpq know no deadline, polling does."""
    while True:
        state = connection.poll()
        if state == driver.extensions.POLL_OK:
            return
        if deadline.passed():
            raise DeadlineError("no answer in time")
        reading = [connection] if state == driver.extensions.POLL_READ else []
        writing = [connection] if state == driver.extensions.POLL_WRITE else []
        select.select(reading, writing, [], deadline.left())


def _literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return True
    return False


def _addresses(host: str, port: int, deadline: Deadline) -> Dict[str, str]:
    """The host's addresses, for libpq's own look-up would block. None for a socket's directory or a literal address."""
    if not host or host.startswith("/") or _literal(host):
        return {}
    found: List[Tuple[Any, ...]] = []
    failed: List[OSError] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.left())
    if thread.is_alive():
        raise DeadlineError("no answer in time")
    if failed:
        raise SessionError("the name %s cannot be resolved: %s" % (host, failed[0]), "Check login_host.", NO_CONNECTION)
    addresses = list(dict.fromkeys(entry[4][0] for entry in found))
    return {"host": ",".join([host] * len(addresses)), "hostaddr": ",".join(addresses)}
