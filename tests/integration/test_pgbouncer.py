# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Through a real PgBouncer: what looks and what acts leaves the application's server connection as it was."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import WORKS
from tests.embedded import Server, free_port
from tests.integration.servers import until

PASSWORD = "not-a-secret"
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port=%(server)d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %(port)d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %(directory)s/users
pool_mode = %(mode)s
default_pool_size = 1
server_check_delay = 0
%(more)s
"""
MODES = ("session", "transaction", "statement")
# What we might have set, and what a session of the application has then.
OURS = ("default_transaction_read_only", "statement_timeout", "lock_timeout", "search_path", "TimeZone", "jit")


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with Server(listen="127.0.0.1") as server:
        server.sql("CREATE ROLE app LOGIN PASSWORD '%s'; CREATE DATABASE shop OWNER app" % PASSWORD)
        server.sql("CREATE TABLE items (n int); GRANT ALL ON items TO app", database="shop")
        yield server


@contextlib.contextmanager
def bouncer(db: Server, directory: Path, mode: str, more: str) -> Iterator[int]:
    """The port of a PgBouncer in front of ``db``, with one server connection for all."""
    port = free_port()
    settings = {"server": db.port, "port": port, "directory": directory, "mode": mode, "more": more}
    (directory / "pgbouncer.ini").write_text(CONFIGURATION % settings)
    (directory / "users").write_text('"app" "%s"\n' % PASSWORD)
    for each in (directory, *directory.iterdir()):
        os.chmod(each, 0o755)
    words = ["pgbouncer", *(["-u", "nobody"] if os.geteuid() == 0 else []), str(directory / "pgbouncer.ini")]
    log = directory / "log"
    with log.open("w") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out)
    try:
        until(lambda: "listening on 127.0.0.1" in log.read_text())
        yield port
    finally:
        process.terminate()
        process.wait(10)


def application(port: int) -> Any:
    made = psycopg2.connect(host="127.0.0.1", port=port, user="app", password=PASSWORD, dbname="shop")
    made.autocommit = True
    return made


def ask(connection: Any, text: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone()[0] if cursor.description else None


def settings(connection: Any) -> list[str]:
    return [ask(connection, "SHOW %s" % name) for name in OURS]


def run(name: str, port: int, **options: Any) -> dict[str, Any]:
    login = {"login_host": "127.0.0.1", "login_port": port, "login_user": "app", "login_password": PASSWORD}
    target = {"runtime": "remote", **login, "login_db": "shop", **options}
    checked = ArgumentSpecValidator(**WORKS[name].spec.arguments()).validate(target)
    assert not checked.error_messages
    return WORKS[name].do(checked.validated_parameters, False)


@pytest.mark.parametrize("more", ["", "ignore_startup_parameters = options"], ids=["default", "options ignored"])
@pytest.mark.parametrize("mode", MODES)
def test_the_application_finds_its_connection_as_it_was(db: Server, tmp_path: Path, mode: str, more: str) -> None:
    with bouncer(db, tmp_path, mode, more) as port:
        with contextlib.closing(application(port)) as app:
            before, backend = settings(app), ask(app, "SELECT pg_backend_pid()")
        found = run("triage", port)
        assert found["verdict"]["code"] == "healthy", found["verdict"]
        assert found["facts"]["errors"] == {}
        assert not run("sessions", port, state="absent", user="app", session_states=["idle"], idle_seconds=3600)[
            "changed"
        ]
        with contextlib.closing(application(port)) as app:
            assert ask(app, "SELECT pg_backend_pid()") == backend  # the very connection that we had
            assert settings(app) == before
            ask(app, "INSERT INTO items VALUES (1)")
