# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers for the SQL tests: 16 and 18 from the wheel, the others in containers. All look alike to a test."""

from __future__ import annotations

import atexit
import json
import select
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import psycopg2

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import DeadlineError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import Completed
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.libpq import LibpqSession
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.psql import PsqlSession
from tests.embedded import Server
from tests.lab.images import image

PASSWORD = "secret-of-the-tests"
EMBEDDED, CONTAINERS = (16, 18), (13, 15, 17)
SETTINGS = {
    "max_prepared_transactions": 10,
    "deadlock_timeout": "100ms",
    "max_connections": 60,
    "fsync": "off",
    "superuser_reserved_connections": 4,
    "password_encryption": "scram-sha-256",
    "wal_level": "logical",
    "track_activity_query_size": 8192,
}
HBA = "local all all trust\nhost all all all scram-sha-256\n"


def until(predicate: Callable[[], Any], seconds: float = 60) -> Any:
    """What ``predicate`` gives once it is true; AssertionError when it never is."""
    end = time.monotonic() + seconds
    while True:
        found = predicate()
        if found:
            return found
        assert time.monotonic() < end, "still not true after %s s" % seconds
        time.sleep(0.02)


class Client:
    """A real session. ``start`` sends a statement and does not wait for it: that is how one blocks."""

    def __init__(self, **parameters: Any) -> None:
        self.connection = psycopg2.connect(async_=1, **parameters)
        self._wait()
        self._cursor = self.connection.cursor()
        self.pid: int = self.connection.get_backend_pid()

    def start(self, sql: str) -> "Client":
        self._cursor.execute(sql)
        return self

    def finish(self) -> None:
        self._wait()

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        for sql in statements:
            self.start(sql).finish()
        return self._cursor.fetchall() if self._cursor.description else []

    @property
    def columns(self) -> list[str]:
        """Of the last result."""
        return [column[0] for column in self._cursor.description or ()]

    def close(self) -> None:
        self.connection.close()

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while (state := self.connection.poll()) != psycopg2.extensions.POLL_OK:
            assert time.monotonic() < end, "the statement does not come back"
            writing = state == psycopg2.extensions.POLL_WRITE
            select.select([] if writing else [self.connection], [self.connection] if writing else [], [], 1)


class AnyServer(Protocol):
    """What a test may ask of a server, whatever it runs in."""

    version: int
    host: str
    port: int
    socket_directory: str | None
    settings: dict[str, Any]  # for PsqlSession

    def run_beside(
        self, argv: Sequence[str], deadline: Deadline, stdin: str = "", environment: Mapping[str, str] | None = None
    ) -> Completed: ...

    def read(self, name: str) -> str: ...

    def write(self, name: str, text: str) -> None: ...

    def log(self) -> str:
        """The server's, from its start on."""

    def remove(self) -> None: ...


class Embedded:
    def __init__(self, version: int, settings: Mapping[str, Any]) -> None:
        self.version = version
        self.server = Server(version, settings=settings)
        self.write("pg_hba.conf", HBA)
        self.server.start()
        self.host, self.port = self.server.host, self.server.port
        self.socket_directory: str | None = str(self.server.directory)
        self.settings: dict[str, Any] = {"data_directory": str(self.server.data), "user": "postgres"}

    def run_beside(
        self, argv: Sequence[str], deadline: Deadline, stdin: str = "", environment: Mapping[str, str] | None = None
    ) -> Completed:
        done = self.server.run(
            "/usr/bin/timeout", str(deadline.left()), *argv, check=False, stdin=stdin, environment=environment
        )
        if done.returncode == 124:
            raise DeadlineError("psql took too long")
        return Completed(done.returncode, done.stdout, done.stderr)

    def read(self, name: str) -> str:
        return (self.server.data / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.server.data / name).write_text(text)

    def log(self) -> str:
        return self.server.log

    def remove(self) -> None:
        self.server.remove()


class Container:
    def __init__(self, version: int, given: Mapping[str, Any]) -> None:
        self.version = version
        self.name = "oncall-sql-%d-%s" % (version, uuid.uuid4().hex[:8])
        settings = [word for item in given.items() for word in ("-c", "%s=%s" % item)]
        atexit.register(self.remove)
        _docker("network", "create", self.name)
        _docker(
            "run",
            "-d",
            "--network",
            self.name,
            "-e",
            "POSTGRES_PASSWORD=" + PASSWORD,
            "--name",
            self.name,
            image("postgres:%d" % version),
            "postgres",
            *settings,
        )
        described = json.loads(_docker("inspect", self.name).out)[0]
        self.host, self.port = described["NetworkSettings"]["Networks"][self.name]["IPAddress"], 5432
        self.socket_directory: str | None = None
        self.settings: dict[str, Any] = {"user": "postgres"}  # the rest stands in the container: PGDATA, postmaster.pid
        until(lambda: self.beside("pg_isready", "-h", "127.0.0.1").code == 0)
        self.write("pg_hba.conf", HBA)
        self.beside("psql", "-c", "SELECT pg_reload_conf()")

    def beside(self, *argv: str, user: str = "postgres") -> Completed:
        return _docker("exec", "-i", "-u", user, self.name, *argv, check=False)

    def run_beside(
        self, argv: Sequence[str], deadline: Deadline, stdin: str = "", environment: Mapping[str, str] | None = None
    ) -> Completed:
        given = [word for item in (environment or {}).items() for word in ("-e", "%s=%s" % item)]
        try:
            return _docker(
                "exec",
                "-i",
                "-u",
                "postgres",
                *given,
                self.name,
                *argv,
                check=False,
                stdin=stdin,
                timeout=deadline.left(),
            )
        except subprocess.TimeoutExpired:
            raise DeadlineError("psql took too long") from None

    def read(self, name: str) -> str:
        return self.beside("sh", "-c", 'cat "$PGDATA/$1"', "-", name).out

    def write(self, name: str, text: str) -> None:
        _docker("exec", "-i", "-u", "postgres", self.name, "sh", "-c", 'cat >"$PGDATA/$1"', "-", name, stdin=text)

    def log(self) -> str:
        return _docker("logs", self.name).err

    def remove(self) -> None:
        _docker("rm", "-f", "-v", self.name, check=False)
        _docker("network", "rm", self.name, check=False)
        atexit.unregister(self.remove)


def _docker(*argv: str, check: bool = True, stdin: str = "", timeout: float = 60) -> Completed:
    done = subprocess.run(["docker", *argv], input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    assert not check or done.returncode == 0, "docker %s: %s" % (argv[0], done.stderr)
    return Completed(done.returncode, done.stdout, done.stderr)


def start(version: int, contrib: bool = False, **settings: Any) -> AnyServer:
    """``contrib``: with the extensions of PostgreSQL itself, which the wheel lacks. ``settings``: beside ours."""
    made = Embedded if version in EMBEDDED and not contrib else Container
    server: AnyServer = made(version, {**SETTINGS, **settings})
    done = server.run_beside(
        [
            "psql",
            "-X",
            "-q",
            "-d",
            "postgres",
            "-p",
            str(server.port),
            *(["-h", server.socket_directory] if server.socket_directory else []),
        ],
        Deadline(20),
        "SET log_statement = 'none'; ALTER ROLE postgres PASSWORD '%s'" % PASSWORD,
        {"PGUSER": "postgres"},
    )
    assert done.code == 0, done.err
    return server


def psql(server: AnyServer, **settings: Any) -> PsqlSession:
    return PsqlSession(server.run_beside, {**server.settings, **settings})


def libpq(
    server: AnyServer,
    user: str = "postgres",
    database: str = "postgres",
    password: str = PASSWORD,
    host: str | None = None,
    port: int | None = None,
    **options: Any,
) -> LibpqSession:
    return LibpqSession(host or server.host, port or server.port, user, password, database, **options)
