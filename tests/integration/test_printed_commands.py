# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a real server: a command that a verdict prints for a session is carried out; where it would be refused, none is
printed, and the summary says whom to ask."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.cancel_queries import run as cancel_queries
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.prepared_transaction import run as prepared
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import WORKS
from tests.embedded import Server, free_port
from tests.integration.servers import Client, until
from tests.integration.signalling import (
    PASSWORD,
    ROLES,
    Connect,
    alive,
    beside,
    call,
    connecting,
    looked,
)

# Autovacuum against wraparound as soon as there is any.
WRAPAROUND = {"autovacuum_freeze_max_age": 100000, "autovacuum_naptime": 1}
MORE = """
CREATE ROLE helper LOGIN PASSWORD '%s' IN ROLE pg_monitor, pg_signal_backend;
CREATE ROLE plain LOGIN PASSWORD '%s';
GRANT ALL ON items TO root, replica, helper
""" % (PASSWORD, PASSWORD)


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with Server(settings={"max_connections": 30, "max_prepared_transactions": 5, **WRAPAROUND}) as server:
        server.hba("host all all all scram-sha-256")
        server.sql(ROLES)
        server.sql(MORE)
        yield server


@pytest.fixture
def opened(db: Server) -> Iterator[Connect]:
    with connecting(db) as connect:
        yield connect


def login(db: Server, user: str) -> dict[str, Any]:
    if user == "postgres":
        return {}
    return {"login_host": db.host, "login_port": db.port, "login_user": user, "login_password": PASSWORD}


def verdict(db: Server, **more: Any) -> Any:
    """Once somebody has been waiting, or at work, for long enough."""

    def ask() -> Any:
        found = looked(db, **{"blocked_seconds": 0.1, "long_query_seconds": 0.1, **more})["verdict"]
        return found if found["code"] == "queries_hanging" else None

    return until(ask)


def cancel(db: Server, pids: list[int], check: bool = False, **more: Any) -> dict[str, Any]:
    given = {"pids": pids, "blocked_seconds": 0.1, "long_query_seconds": 0.1, "timeout_seconds": 2.0, **more}
    return call(cancel_queries.CancelQueries(), cancel_queries.OPTIONS, db, given, check, {})


def client_of(db: Server, user: str) -> dict[str, Any]:
    there = {"host": db.host, "port": db.port, "database": "postgres", "password": PASSWORD}
    return {"service": "api", "application_name": "shop-api", "login": {"user": user, **there}}


TAKEN = free_port()
SUPERUSER = "a superuser's session: ask that person"
NO_RIGHT = "our login role may not signal it: ask a superuser"


@pytest.mark.parametrize(
    ("us", "user", "application", "is_declared", "says"),
    [
        ("postgres", "app", "shop-api", False, None),
        ("postgres", "root", "psql", False, SUPERUSER),
        ("postgres", "root", "shop-api", True, None),
        ("postgres", "root", "psql", True, SUPERUSER),
        ("postgres", "replica", "psql", False, "a replication role's session: check what it serves"),
        ("postgres", "app", "pg_restore", False, "pg_restore: let it finish, or ask who runs it"),
        ("helper", "app", "shop-api", False, None),
        ("helper", "root", "psql", False, SUPERUSER),
        ("helper", "root", "shop-api", True, NO_RIGHT),
        ("watcher", "app", "shop-api", False, NO_RIGHT),
        ("plain", "app", "shop-api", False, "not visible to our login role"),
    ],
)
def test_a_root_blocker(
    db: Server, opened: Connect, us: str, user: str, application: str, is_declared: bool, says: str | None
) -> None:
    known = {"clients": [client_of(db, user)]} if is_declared else {}
    blocker = opened(user, application)
    blocker.run("BEGIN", "LOCK TABLE items")
    opened("app", "victim").start("SELECT * FROM items")
    found = verdict(db, **login(db, us), **known)
    assert found["cause"] == "blocked_by_lock", found
    assert bool(found["remedy"]) is (says is None) and (says or "") in found["summary"], found["summary"]
    _agrees(db, blocker, found, {**login(db, us), **known})


@pytest.mark.parametrize("us", ["postgres", "helper", "watcher"])
@pytest.mark.parametrize("user", ["app", "root", "replica"])
def test_a_long_query(db: Server, opened: Connect, us: str, user: str) -> None:
    client = opened(user, "psql").start("SELECT pg_sleep(60)")
    found = verdict(db, **login(db, us))
    printed = user == "app" and us != "watcher"
    assert (found["cause"], bool(found["remedy"])) == ("long_running", printed)
    ask = SUPERUSER if user == "root" else "(check what it serves|%s)" % NO_RIGHT
    assert printed or re.search(r"pid %d \(%s\), .*%s" % (client.pid, user, ask), found["summary"]), found["summary"]
    _agrees(db, client, found, login(db, us))


def test_autovacuum_to_prevent_wraparound(db: Server, opened: Connect) -> None:
    # No other autovacuum than that one, which nothing can turn off.
    slow = "autovacuum_enabled = off, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    db.sql("CREATE TABLE old WITH (%s) AS SELECT generate_series(1, 200000) n" % slow)
    # As many transaction numbers as it takes: one for each block with an exception handler that writes.
    db.sql("CREATE TABLE burnt (n int)")
    one = "BEGIN INSERT INTO burnt VALUES (i); EXCEPTION WHEN division_by_zero THEN END"
    for _unused in range(2):
        db.sql("DO $$ BEGIN FOR i IN 1..60000 LOOP %s; END LOOP; END $$" % one)
    find = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'autovacuum: VACUUM% public.old (to prevent wraparound)'"
    pid = int(until(lambda: db.sql(find)))
    opened("root", "migration").start("ALTER TABLE old ADD COLUMN m int")
    found = verdict(db)
    assert found["remedy"] is None and "autovacuum to prevent wraparound: let it finish" in found["summary"], found
    assert "pid %d" % pid in found["summary"]
    with pytest.raises(RefusedError, match="not a client backend"):
        cancel(db, [pid])


@pytest.mark.parametrize(("us", "printed"), [("postgres", True), ("app", True), ("helper", False)])
def test_a_prepared_transaction(db: Server, opened: Connect, us: str, printed: bool) -> None:
    opened().run("BEGIN", "LOCK TABLE items", "PREPARE TRANSACTION 'x'")
    try:
        opened("app", "victim").start("SELECT * FROM items")
        found = verdict(db, **login(db, us))
        assert (found["cause"], bool(found["remedy"])) == ("prepared_transaction", printed)
        asked = {"gid": "x", "min_age_seconds": 0.1, "state": "rolled_back", **login(db, us)}
        for check in (True, False):
            if printed:
                assert found["remedy"]["extra_vars"] == {"oncall_gid": "x"}
                assert call(prepared.Finish(), prepared.OPTIONS, db, asked, check, {})["changed"]
            else:
                assert "only its owner app or a superuser can; ask them" in found["summary"]
                with pytest.raises(RefusedError):
                    call(prepared.Finish(), prepared.OPTIONS, db, asked, check, {})
    finally:
        if db.sql("SELECT gid FROM pg_prepared_xacts"):
            db.sql("ROLLBACK PREPARED 'x'")


def test_a_server_that_cannot_be_started_from_here(tmp_path: Path) -> None:
    """Its programs were given without pg_ctl."""
    with Server() as down:
        down.stop()
        given = {"runtime": "pg_ctl", "data_directory": str(down.data)}
        found = run("triage", given)["verdict"]
        assert (found["cause"], found["remedy"]["playbook"]) == ("stopped", "oncall.postgresql.start")
        for name in ("postgres", "psql", "pg_controldata"):
            (tmp_path / name).symlink_to(down.bin / name)
        given["bin_directory"] = str(tmp_path)
        found = run("triage", given)["verdict"]
        assert (found["cause"], found["remedy"]) == ("stopped", None)
        why = "pg_ctl was not found beside the server: set bin_directory"
        assert found["summary"].endswith("But " + why), found["summary"]
        with pytest.raises(RefusedError, match=why):
            run("server", {**given, "state": "started"})


def address() -> str:
    """This host's own. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@pytest.fixture
def deaf() -> Iterator[Server]:
    """It listens on the loopback alone; that is corrected, and waits for a restart."""
    with Server(settings={"max_connections": 30}) as server:
        server.hba("host all all all scram-sha-256")
        server.sql(ROLES)
        server.sql("ALTER SYSTEM SET listen_addresses = '*'; SELECT pg_reload_conf()")
        yield server


def of_deaf(server: Server, **more: Any) -> dict[str, Any]:
    login = {"host": address(), "port": server.port, "user": "app", "password": PASSWORD, "database": "postgres"}
    given = {"runtime": "pg_ctl", "data_directory": str(server.data), "login_user": "postgres"}
    return {**given, "clients": [{"service": "api", "login": login}], "long_query_seconds": 2, **more}


def sets(text: str) -> Callable[[Server, Connect], None]:
    def apply(server: Server, _connect: Connect) -> None:
        server.sql("ALTER SYSTEM SET %s; SELECT pg_reload_conf()" % text)

    return apply


def backup(server: Server, connect: Connect) -> None:
    connect("root", "nightly").run("SELECT pg_backup_start('nightly', true)")


def vacuum(server: Server, connect: Connect) -> None:
    server.sql("INSERT INTO items SELECT generate_series(1, 300000)")
    cleaner = connect("root", "weekly")
    cleaner.run("SET vacuum_cost_delay = 100", "SET vacuum_cost_limit = 1")
    cleaner.start("VACUUM items")
    until(lambda: server.sql("SELECT count(*) FROM pg_stat_progress_vacuum") == "1")


def index(server: Server, connect: Connect) -> None:
    connect().run("BEGIN", "INSERT INTO items VALUES (1)")
    connect("root", "migration").start("CREATE INDEX CONCURRENTLY ON items (id)")
    until(lambda: server.sql("SELECT count(*) FROM pg_stat_progress_create_index") == "1")


def transaction(server: Server, connect: Connect) -> None:
    connect().run("BEGIN", "INSERT INTO items VALUES (1)", "SELECT pg_sleep(2.1)")


def unreadable(server: Server, connect: Connect) -> None:
    """The file of a table, to a checkpoint that has to write it."""
    file = server.data / server.sql("SELECT pg_relation_filepath('items')")
    server.sql("INSERT INTO items SELECT generate_series(1, 1000)")
    file.chmod(0)
    connect("root", "nightly").start("CHECKPOINT")
    until(lambda: "Permission denied" in server.log)


def broken_line(server: Server, connect: Connect) -> None:
    with (server.data / "pg_hba.conf").open("a") as file:
        file.write("host all all nowhere/99 trust\n")


def not_started(server: Server, connect: Connect) -> None:
    os.chmod(server.data, 0o755)


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        pytest.param(backup, r"a backup is running: pid \d+ \(nightly\). Wait for it", id="a backup by functions"),
        pytest.param(vacuum, r"1 long transaction would be lost: pid \d+ .*weekly", id="VACUUM"),
        pytest.param(index, r"long transactions? would be lost: .*migration", id="CREATE INDEX CONCURRENTLY"),
        pytest.param(transaction, r"1 long transaction would be lost: pid \d+ .*shop-api", id="a long transaction"),
        pytest.param(unreadable, "its last checkpoint failed: .*Permission denied", id="a checkpoint that fails"),
        pytest.param(broken_line, r"configuration files contain 1 error: .*nowhere/99", id="pg_hba.conf"),
        pytest.param(not_started, "it would not start again: .*0755", id="a directory open to all"),
        pytest.param(sets("shared_preload_libraries = 'nowhere'"), "nowhere, but the file is missing", id="a library"),
        pytest.param(sets("listen_addresses = '192.0.2.7'"), "192.0.2.7' names no address", id="no address of its own"),
        pytest.param(sets("port = %d" % TAKEN), "port %d is taken" % TAKEN, id="a port that is taken"),
        pytest.param(sets("huge_pages = 'on'"), "it would apply huge_pages as well", id="something else"),
    ],
)
def test_a_restart_that_would_be_refused(deaf: Server, trouble: Callable[[Server, Connect], None], says: str) -> None:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    with connecting(deaf) as connect, socket.create_server(("", TAKEN), family=family, dualstack_ipv6=both):
        assert run("triage", of_deaf(deaf))["verdict"]["remedy"]["playbook"] == "oncall.postgresql.graceful_restart"
        trouble(deaf, connect)
        found = run("triage", of_deaf(deaf))["verdict"]
        assert (found["cause"], found["remedy"]) == ("not_listening", None)
        assert re.search("a restart would apply the corrected setting, but .*" + says, found["summary"]), found[
            "summary"
        ]
        before = deaf.pid
        with pytest.raises(RefusedError):
            run("graceful_restart", of_deaf(deaf))
        assert deaf.pid == before
        (deaf.data / "postgresql.auto.conf").write_text("")


def test_a_restart_that_our_login_role_cannot_judge(deaf: Server) -> None:
    login = {"login_host": deaf.host, "login_port": deaf.port, "login_user": "watcher", "login_password": PASSWORD}
    deaf.sql("GRANT EXECUTE ON FUNCTION pg_control_system() TO watcher")
    found = run("triage", of_deaf(deaf, **login))["verdict"]
    assert (found["cause"], found["remedy"]) == ("not_listening", None)
    assert "Set login_user to a superuser" in found["summary"]
    with pytest.raises(RefusedError, match="login_user: a superuser"):
        run("graceful_restart", of_deaf(deaf, **login))


def test_a_restart_that_is_printed_is_carried_out(deaf: Server) -> None:
    found = run("triage", of_deaf(deaf))["verdict"]
    assert (found["cause"], found["remedy"]["extra_vars"]) == ("not_listening", {})
    for check in (True, False):
        assert run("graceful_restart", of_deaf(deaf), check)["changed"]
    assert run("triage", of_deaf(deaf))["verdict"]["code"] == "healthy"


@pytest.mark.parametrize(
    ("user", "application", "seconds", "says"),
    [
        ("app", "shop-api", 0.1, None),
        ("app", "pg_dump", 0.1, "pg_dump: let it finish, or ask who runs it"),
        ("root", "psql", 0.1, SUPERUSER),
        ("app", "shop-api", 300, "none has run for 30 s: check again"),
    ],
)
def test_an_overload(user: str, application: str, seconds: float, says: str | None) -> None:
    with Server(settings={"max_connections": 8}) as server:
        server.hba("host all all all scram-sha-256")
        server.sql(ROLES)
        with connecting(server) as connect:
            for _unused in range(5):
                connect(user, application).start("SELECT pg_sleep(600)")
            given = {"long_query_seconds": seconds}
            work = "SELECT count(*) FROM pg_stat_activity WHERE query_start < clock_timestamp() - interval '0.2 s'"
            until(lambda: server.sql("%s AND query = 'SELECT pg_sleep(600)' AND state = 'active'" % work) == "5")
            found = looked(server, **given)["verdict"]
            assert (found["cause"], bool(found["remedy"])) == ("active_overload", says is None), found
            assert (says or "") in found["summary"]
            extra = found["remedy"]["extra_vars"] if found["remedy"] else {"oncall_query_seconds": min(seconds, 30)}
            asked = {name[len("oncall_") :]: value for name, value in extra.items()}
            for check in (True, False):
                done = call(cancel_queries.CancelQueries(), cancel_queries.OPTIONS, server, asked, check, {})
                assert done["changed"] is (says is None)


def test_more_sessions_than_a_pool_reset_may_end() -> None:
    usable = 1007
    with Server(settings={"max_connections": usable + 3}) as server, contextlib.ExitStack() as closing:
        server.sql(ROLES)
        server.hba("local all app trust")
        for _unused in range(usable):
            login: dict[str, Any] = {
                "host": str(server.directory),
                "port": server.port,
                "user": "app",
                "dbname": "postgres",
            }
            closing.enter_context(contextlib.closing(psycopg2.connect(application_name="shop-api", **login)))
        given = {**beside(server), "idle_minutes": 0.001}
        idle = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'idle' AND "
        until(lambda: server.sql(idle + "state_change < clock_timestamp() - interval '0.1 s'") == str(usable))
        found = run("triage", given)["verdict"]
        assert found["cause"] == "idle_connections", found
        assert found["remedy"]["extra_vars"] == {"oncall_max_sessions": usable}
        assert "the command allows ending up to %d sessions" % usable in found["summary"]
        with pytest.raises(RefusedError, match="more than max_sessions=1000"):
            run("pool_reset", given, True)
        assert run("pool_reset", {**given, "max_sessions": usable}, True)["changed"]


@pytest.fixture
def gated() -> Iterator[Server]:
    """Its pg_hba.conf takes the names of those whom it lets in from another file."""
    with Server() as server:
        server.sql(ROLES)
        server.sql(MORE)
        (server.data / "users").write_text("helper\nlazy\n")
        server.hba("host all @users all scram-sha-256")
        server.sql("CREATE ROLE lazy LOGIN PASSWORD '%s' IN ROLE pg_monitor" % PASSWORD)
        for name in ("pg_hba_file_rules()", "pg_stat_file(text, boolean)", "pg_reload_conf()"):
            server.sql("GRANT EXECUTE ON FUNCTION %s TO helper" % name)
        server.sql("GRANT SELECT ON pg_hba_file_rules TO helper")
        until(lambda: server.sql("SELECT clock_timestamp() > pg_conf_load_time() + interval '1 second'") == "t")
        server.reload()
        (server.data / "users").write_text("helper\nlazy\napp\n")
        yield server


def test_a_reload_that_nothing_but_the_refusal_asks_for(gated: Server) -> None:
    """What an @file holds has a time of its own: no file that the server names has changed."""
    given = {"login_host": gated.host, "login_port": gated.port, "login_password": PASSWORD}
    clients = {"clients": [client_of(gated, "app")]}
    found = looked(gated, **given, login_user="helper", **clients)["verdict"]
    assert (found["cause"], found["remedy"]) == ("no_hba_entry", None), found
    assert "a superuser has to reload it" in found["summary"]
    with pytest.raises(RefusedError, match="may not read pg_file_settings"):
        run("configuration", {**beside(gated), **given, "login_user": "helper", "force": True})
    found = looked(gated, **clients)["verdict"]
    assert (found["cause"], found["remedy"]["playbook"]) == ("no_hba_entry", "oncall.postgresql.reload"), found
    force = {name[len("oncall_") :]: value for name, value in found["remedy"]["extra_vars"].items()}
    assert run("configuration", {**beside(gated), **force}, True)["changed"]
    assert run("configuration", {**beside(gated), **force})["changed"]
    assert looked(gated, **clients)["verdict"]["code"] == "healthy"


def run(name: str, options: dict[str, Any], check: bool = False) -> dict[str, Any]:
    validated = ArgumentSpecValidator(**WORKS[name].spec.arguments()).validate(options)
    assert not validated.error_messages
    return WORKS[name].do(validated.validated_parameters, check)


def _agrees(db: Server, client: Client, found: Any, us: dict[str, Any]) -> None:
    """What is printed is done, in check mode and for real; what is not would be refused, and nothing is touched."""
    if found["remedy"]:
        assert found["remedy"]["extra_vars"] == {"oncall_pids": [client.pid]}
        assert cancel(db, [client.pid], True, **us)["changed"]
        done = cancel(db, [client.pid], **us)
        assert [one["outcome"] for one in done["sessions"]] in (["cancelled"], ["terminated"])
        return
    with pytest.raises(RefusedError):
        cancel(db, [client.pid], **us)
    assert alive(db, client)
