# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Through a real PgBouncer: what looks and what acts leaves the application's server connection as it was, signals
nobody else, and what cannot be safe there is refused."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    RefusedError,
    SessionError,
    UnprovenError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.sessions.signal import AT_WORK_AGAIN
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import WORKS
from tests.embedded import Server, free_port
from tests.integration.servers import Client, until

PASSWORD = "not-a-secret"
CONFIGURATION = """
[databases]
%(databases)s
* = host=127.0.0.1 port=%(server)d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %(port)d
unix_socket_dir = %(sockets)s
auth_type = scram-sha-256
auth_user = postgres
auth_file = %(directory)s/users
admin_users = postgres
pool_mode = %(mode)s
default_pool_size = %(size)d
server_check_delay = 0
%(more)s
"""
SESSION, TRANSACTION, STATEMENT = "session", "transaction", "statement"
MODES = (SESSION, TRANSACTION, STATEMENT)
OPTIONS = pytest.mark.parametrize(
    "more", ["", "ignore_startup_parameters = options"], ids=["default", "options ignored"]
)
# An old database, whose settings are not what we should like: what we ask for must not stay.
SHOP = """CREATE DATABASE shop OWNER app TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
ALTER DATABASE shop SET standard_conforming_strings = off; ALTER DATABASE shop SET escape_string_warning = off;
ALTER DATABASE shop SET timezone = 'Asia/Tokyo'; ALTER DATABASE shop SET datestyle = 'SQL, DMY';
ALTER DATABASE shop SET search_path = 'old', 'public'"""
VERIFIER = "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'"
POOLED = "a connection pooler"


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    settings = {"max_prepared_transactions": 5, "log_statement": "all", "max_connections": 30}
    with Server(listen="127.0.0.1", settings=settings) as server:
        server.sql("ALTER ROLE postgres PASSWORD '%s'" % PASSWORD)
        server.sql("CREATE ROLE app LOGIN PASSWORD '%s'" % PASSWORD)
        for statement in SHOP.split(";"):
            server.sql(statement)
        server.sql("CREATE TABLE items (n int); GRANT ALL ON items TO app", database="shop")
        yield server


@pytest.fixture(autouse=True)
def nobody_left(db: Server) -> Iterator[None]:
    yield
    for gid in db.sql("SELECT gid FROM pg_prepared_xacts").split():
        db.sql("ROLLBACK PREPARED '%s'" % gid, database="shop")
    db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname <> ''")
    until(lambda: backends(db) == [])


@contextlib.contextmanager
def bouncer(
    db: Server,
    directory: Path,
    mode: str,
    more: str = "",
    size: int = 1,
    users: tuple[str, ...] = ("app", "postgres"),
    databases: str = "",
) -> Iterator[int]:
    """The port of a PgBouncer in front of ``db``, with ``size`` server connections for each role and database.

    ``users``: those whose passwords it holds itself; of others it asks the server.
    """
    port = free_port()
    settings = {
        "server": db.port,
        "port": port,
        "directory": directory,
        "mode": mode,
        "more": more,
        "size": size,
        "sockets": db.directory,
    }
    (directory / "pgbouncer.ini").write_text(CONFIGURATION % {**settings, "databases": databases})
    (directory / "users").write_text("".join('"%s" "%s"\n' % (user, PASSWORD) for user in users))
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


def application(port: int, password: str = PASSWORD) -> Any:
    made = psycopg2.connect(host="127.0.0.1", port=port, user="app", password=password, dbname="shop")
    made.autocommit = True
    return made


def ask(connection: Any, text: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone()[0] if cursor.description else None


def waiting(port: int) -> int:
    """Clients of the application for which the pooler has no server connection yet."""
    made = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", password=PASSWORD, dbname="pgbouncer")
    made.autocommit = True
    with contextlib.closing(made), made.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute("SHOW POOLS")
        return sum(row["cl_waiting"] for row in cursor.fetchall() if row["user"] == "app")


def settings(port: int) -> tuple[int, dict[str, str]]:
    """Which backend an application without a name of its own gets, and all that is set in it."""
    with contextlib.closing(application(port)) as app, app.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), name, setting FROM pg_settings")
        rows = cursor.fetchall()
        ask(app, "INSERT INTO items VALUES (1)")
        return rows[0][0], {name: value for _pid, name, value in rows}


def backends(db: Server) -> list[str]:
    """What the server itself knows of its sessions and their locks."""
    text = """SELECT DISTINCT a.pid, a.application_name, a.state, a.xact_start IS NULL, l.pid IS NULL
        FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid
        WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() ORDER BY 1"""
    return db.sql(text).splitlines()


def run(name: str, port: int, check: bool = False, user: str = "app", **options: Any) -> dict[str, Any]:
    login = {"login_host": "127.0.0.1", "login_port": port, "login_user": user, "login_password": PASSWORD}
    target = {"runtime": "remote", **login, "login_db": "shop", **options}
    checked = ArgumentSpecValidator(**WORKS[name].spec.arguments()).validate(target)
    assert not checked.error_messages
    return WORKS[name].do(checked.validated_parameters, check)


def prepare(server: Server, gid: str) -> None:
    server.sql("BEGIN; CREATE TABLE t%s (n int); PREPARE TRANSACTION '%s'" % (gid, gid), database="shop")


@OPTIONS
@pytest.mark.parametrize("mode", MODES)
def test_the_application_finds_its_connection_as_it_was(db: Server, tmp_path: Path, mode: str, more: str) -> None:
    with bouncer(db, tmp_path, mode, more) as port:
        before, there = settings(port), backends(db)
        prepare(db, "left")

        def unchanged() -> None:
            assert there == [each for each in backends(db) if each.split("|")[0] == str(before[0])]
            assert settings(port) == before  # also: the very backend that we had

        found = run("triage", port, deadline_seconds=5)
        assert found["verdict"]["code"] == "healthy", found["verdict"]
        assert found["facts"]["errors"] == {}
        unchanged()
        # The pooler's: ours is one of its. A psql of this test may take a moment to be gone.
        until(lambda: run("connections_info", port)["connections"]["used"] == 1)
        unchanged()
        for check in (True, False):
            assert not run("pool_reset", port, check, restart_clients="never")["changed"]
            unchanged()
            assert not run("cancel_queries", port, check)["changed"]
            unchanged()
            for user, says in (("app", "login role may not run pg_reload_conf"), ("postgres", POOLED)):
                with pytest.raises(RefusedError, match=says):
                    run("configuration", port, check, user, force=True)
            unchanged()
            done = run("prepared_transaction", port, check, "postgres", gid="left", min_age_seconds=0)
            assert done["changed"]
            assert db.sql("SELECT count(*) FROM pg_prepared_xacts") == ("1" if check else "0")
            unchanged()
            asked: dict[str, Any] = {"role": "app", "password": PASSWORD, "clients": [{"service": "app", "login": {}}]}
            login = {"user": "app", "password": PASSWORD, "host": "127.0.0.1", "port": port, "database": "shop"}
            asked["clients"][0]["login"] = login
            with contextlib.ExitStack() as refused:
                if mode == STATEMENT:
                    refused.enter_context(pytest.raises(RefusedError, match=POOLED))
                run("credentials", port, check, "postgres", **asked)
            unchanged()
        loaded = db.sql("SELECT pg_conf_load_time()")
        assert loaded < db.sql("SELECT pg_postmaster_start_time() + interval '1 second'")


@pytest.mark.parametrize("mode", MODES)
def test_our_own_connection_is_never_signalled(db: Server, tmp_path: Path, mode: str) -> None:
    """Of the pool that we share: one at work, one idle, and ours."""
    with bouncer(db, tmp_path, mode, size=3) as port, contextlib.ExitStack() as closing:
        apps = [
            closing.enter_context(contextlib.closing(application(port)))
            for _unused in range(3 if mode != SESSION else 2)
        ]
        with concurrent.futures.ThreadPoolExecutor(3) as at_once:
            list(at_once.map(lambda app: ask(app, "SELECT pg_sleep(0.5)"), apps))
            busy = at_once.submit(ask, apps[0], "SELECT pg_sleep(2) IS NULL")
            until(lambda: "active" in "".join(backends(db)))
            idle = {int(each.split("|")[0]) for each in backends(db) if "|idle|" in each}
            asked: dict[str, Any] = {"restart_clients": "never", "idle_minutes": 0.0001}
            foreseen = run("pool_reset", port, True, **asked)
            done = run("pool_reset", port, **asked)
            ended = {one["pid"] for one in done["sessions"] if one["outcome"] == "terminated"}
            assert len(foreseen["diff"]["before"]["sessions"]) == len(ended) == 1, done
            assert ended < idle or (mode == SESSION and ended == idle), (ended, idle)
            assert busy.result() is False
        if mode != SESSION:  # the pooler takes another one
            assert [ask(app, "SELECT 1") for app in apps] == [1, 1, 1]


@pytest.mark.parametrize("mode", [TRANSACTION, STATEMENT])
def test_who_gets_the_connection_next_keeps_it(db: Server, tmp_path: Path, mode: str) -> None:
    """The cancelled client's connection serves the next one at once: that one was not asked for."""
    with bouncer(db, tmp_path, mode) as port, contextlib.ExitStack() as closing:
        one, other = (closing.enter_context(contextlib.closing(application(port))) for _unused in range(2))
        with concurrent.futures.ThreadPoolExecutor(2) as at_once:
            first = at_once.submit(ask, one, "SELECT pg_sleep(60)")
            pid = int(until(lambda: db.sql("SELECT pid FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")))
            second = at_once.submit(ask, other, "SELECT pg_sleep(2) IS NULL")
            until(lambda: waiting(port) == 1)
            done = run("sessions", port, user="postgres", state="absent", pids=[pid])
            assert second.result() is False
            with pytest.raises(psycopg2.errors.QueryCanceled):
                first.result()
        assert [(each["outcome"], each["reason"]) for each in done["sessions"]] == [("cancelled", AT_WORK_AGAIN)]


@pytest.mark.parametrize("mode", [SESSION, TRANSACTION])
def test_a_root_blocker_behind_it_is_ended(db: Server, tmp_path: Path, mode: str) -> None:
    with bouncer(db, tmp_path, mode, size=2) as port, contextlib.ExitStack() as closing:
        one, other = (closing.enter_context(contextlib.closing(application(port))) for _unused in range(2))
        one.autocommit = False
        ask(one, "LOCK items")
        pid = ask(one, "SELECT pg_backend_pid()")
        with concurrent.futures.ThreadPoolExecutor(1) as at_once:
            waiting = at_once.submit(ask, other, "INSERT INTO items VALUES (2)")
            until(lambda: db.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
            done = run("cancel_queries", port, user="postgres", blocked_seconds=0)
            waiting.result()
        assert [(each["pid"], each["outcome"]) for each in done["sessions"]] == [(pid, "terminated")]


def new_password(port: int) -> dict[str, Any]:
    login = {"user": "app", "password": PASSWORD, "host": "127.0.0.1", "port": port, "database": "shop"}
    return {"role": "app", "password": "another-secret", "clients": [{"service": "app", "login": login}]}


def test_a_password_that_the_pooler_asks_the_server_for(db: Server, tmp_path: Path) -> None:
    with bouncer(db, tmp_path, TRANSACTION, users=("postgres",)) as port:
        before = db.sql(VERIFIER)
        done = run("credentials", port, user="postgres", **new_password(port))
        assert done["role_changed"] and [each["succeeded"] for each in done["logins"]] == [True], done
        with contextlib.closing(application(port, "another-secret")) as app:
            ask(app, "INSERT INTO items VALUES (3)")
        assert db.sql(VERIFIER) not in (before, "") and db.sql(VERIFIER) not in db.log
        db.sql("ALTER ROLE app PASSWORD '%s'" % PASSWORD)


def test_a_password_that_the_pooler_holds_itself(db: Server, tmp_path: Path) -> None:
    """Its client could not log in any more: all is as it was, and at once."""
    with bouncer(db, tmp_path, TRANSACTION) as port:
        before = db.sql(VERIFIER)
        with pytest.raises(UnprovenError, match="restored: the password of role app"):
            run("credentials", port, user="postgres", **new_password(port))
        assert db.sql(VERIFIER) == before
        with contextlib.closing(application(port)) as app:
            ask(app, "INSERT INTO items VALUES (4)")


@OPTIONS
def test_psql_beside_the_server_goes_past_it(db: Server, tmp_path: Path, more: str) -> None:
    """It would run without its own settings: with no time-out, and able to write."""
    beside = {"data_directory": str(db.data), "os_user": "nobody", "login_user": "postgres", "login_db": "shop"}
    with bouncer(db, tmp_path, TRANSACTION, more) as port:
        before = settings(port)
        at = {"login_unix_socket": str(db.directory), "login_port": port, "login_password": PASSWORD}
        found = run_beside("triage", {**beside, **at})
        assert found["facts"]["snapshot"] is None
        says = found["facts"]["errors"]["snapshot"]
        assert ("a connection pooler's" if more else "unsupported startup parameter") in says, says
        assert settings(port) == before
        assert run_beside("triage", beside)["facts"]["snapshot"] is not None


def hanging(db: Server, port: int) -> Any:
    found = run("triage", port, user="postgres", login_db="postgres", blocked_seconds=0.1)["verdict"]
    return found if found["code"] == "queries_hanging" else None


def run_beside(name: str, options: dict[str, Any]) -> dict[str, Any]:
    checked = ArgumentSpecValidator(**WORKS[name].spec.arguments()).validate({"runtime": "pg_ctl", **options})
    assert not checked.error_messages
    return WORKS[name].do(checked.validated_parameters, False)


def test_no_reload_is_printed_that_a_pooler_is_in_the_way_of(db: Server, tmp_path: Path) -> None:
    """Its connections may have loaded the files later than the server did."""
    hba = db.data / "pg_hba.conf"
    before = hba.read_text()
    db.hba("host all postgres all scram-sha-256", "host all app 192.0.2.0/24 scram-sha-256")
    time.sleep(2)  # the load's time is told in whole seconds
    hba.write_text(before)
    api = {"user": "app", "password": PASSWORD, "host": "127.0.0.1", "port": db.port, "database": "shop"}
    clients = [{"service": "api", "login": api}]
    try:
        with bouncer(db, tmp_path, TRANSACTION) as pooler:
            for port, printed in ((db.port, True), (pooler, False)):
                found = run("triage", port, user="postgres", clients=clients)["verdict"]
                assert (found["cause"], bool(found["remedy"])) == ("no_hba_entry", printed), found
            assert "log in to the server itself" in found["summary"]
            with pytest.raises(RefusedError, match=POOLED):
                run("configuration", pooler, user="postgres", state="reloaded")
    finally:
        db.reload()


def test_no_new_password_is_printed_that_the_pooler_is_in_the_way_of(db: Server, tmp_path: Path) -> None:
    api = {"user": "app", "password": "a-wrong-one", "host": "127.0.0.1", "port": db.port, "database": "shop"}
    clients = [{"service": "api", "login": api}]
    with bouncer(db, tmp_path, STATEMENT) as pooler:
        for port, printed in ((db.port, True), (pooler, False)):
            found = run("triage", port, user="postgres", clients=clients)["verdict"]
            assert (found["cause"], bool(found["remedy"])) == ("wrong_password", printed), found
        assert "log in to the server itself" in found["summary"]
        with pytest.raises(RefusedError, match=POOLED):
            run("credentials", pooler, user="postgres", role="app", password_of="api", clients=clients)


def test_a_transaction_of_the_same_name_on_another_server(db: Server, tmp_path: Path) -> None:
    """A transaction manager gives its parts one name everywhere; the pooler leads to the other server's."""
    with Server(settings={"max_prepared_transactions": 5}) as elsewhere:
        elsewhere.sql("ALTER ROLE postgres PASSWORD '%s'; CREATE DATABASE shop" % PASSWORD)
        for each in (db, elsewhere):
            prepare(each, "two")
        there = "shop = host=127.0.0.1 port=%d" % elsewhere.port
        login = {"host": str(db.directory), "port": db.port, "user": "postgres", "dbname": "shop"}
        with bouncer(db, tmp_path, SESSION, databases=there) as port, contextlib.closing(Client(**login)) as waits:
            asked: dict[str, Any] = {"login_db": "postgres", "gid": "two", "min_age_seconds": 0}
            waits.start("CREATE TABLE ttwo (n int)")
            found = until(lambda: hanging(db, port))
            assert (found["cause"], found["remedy"]) == ("prepared_transaction", None), found
            assert "not to its pooler" in found["summary"]
            with pytest.raises(RefusedError, match="on another server there"):
                run("prepared_transaction", port, user="postgres", **asked)
            assert [each.sql("SELECT gid FROM pg_prepared_xacts") for each in (db, elsewhere)] == ["two", "two"]
    db.sql("ROLLBACK PREPARED 'two'", database="shop")


@pytest.mark.parametrize("mode", MODES)
def test_who_is_behind_it_is_proved(db: Server, tmp_path: Path, mode: str) -> None:
    """Of a target on this host whose login options lead to a pooler."""
    with Server() as other, bouncer(db, tmp_path, mode) as port:
        found = run("triage", port, user="postgres", runtime="pg_ctl", data_directory=str(db.data))
        assert found["facts"]["snapshot"] is not None, found["facts"]["errors"]
        assert found["facts"]["another_server"] is None
        found = run("triage", port, user="postgres", runtime="pg_ctl", data_directory=str(other.data))
        assert found["facts"]["another_server"]["answers"]["data_directory"] == str(db.data)


def test_its_console_is_no_database(db: Server, tmp_path: Path) -> None:
    with bouncer(db, tmp_path, TRANSACTION) as port:
        login = {"login_host": "127.0.0.1", "login_port": port, "login_user": "postgres", "login_password": PASSWORD}
        options = {"runtime": "remote", "login_db": "pgbouncer", **login, "roles": ["app"], "settings": {"jit": False}}
        work = WORKS["role_settings"]
        checked = ArgumentSpecValidator(**work.spec.arguments()).validate(options)
        with pytest.raises(SessionError, match="login_db pgbouncer is the console of PgBouncer, and no database"):
            work.do(checked.validated_parameters, False)
