# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no procedure cuts short on a real server: a wait for a synchronous standby, maintenance, backups."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.cancel_queries import run as cancel_queries
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.pool_reset import run as pool_reset
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.sessions.guard import SYNC_COMMIT, SYNC_WAIT
from tests.embedded import Server
from tests.integration.servers import Client, until
from tests.integration.signalling import (
    IDLE,
    PASSWORD,
    Connect,
    alive,
    call,
    connecting,
    declared,
    looked,
    outcomes,
    serving,
    signalled,
)


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def opened(db: Server) -> Iterator[Connect]:
    with connecting(db) as connect:
        yield connect


# --- a wait for a synchronous standby ---------------------------------------------------------------------------------


@pytest.fixture
def no_standby(db: Server) -> Iterator[None]:
    """Every COMMIT waits for a standby that does not exist."""
    db.sql("TRUNCATE items")
    db.sql("ALTER SYSTEM SET synchronous_standby_names = 'nowhere'")
    db.reload()
    until(lambda: db.sql("SHOW synchronous_standby_names") == "nowhere")
    yield
    db.sql("ALTER SYSTEM RESET synchronous_standby_names")
    db.reload()


def waiting(db: Server) -> list[int]:
    found = db.sql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY pid")
    return [int(pid) for pid in found.split()]


def acknowledged(client: Client) -> bool:
    """Whether the server has told the client anything at all since its COMMIT was sent."""
    return bool(client.connection.poll() == psycopg2.extensions.POLL_OK)


def by_sessions(**options: Any) -> Callable[[Server], dict[str, Any]]:
    return lambda db: signalled(db, max_percent=100, cancel_wait_seconds=0.3, timeout_seconds=0.5, **options)


def by_cancel_queries(**options: Any) -> Callable[[Server], dict[str, Any]]:
    given = {"query_seconds": 0.0, "blocked_seconds": 0.0, "timeout_seconds": 0.5, **options}
    return lambda db: call(cancel_queries.CancelQueries(), cancel_queries.OPTIONS, db, given, False, {})


def by_pool_reset(**options: Any) -> Callable[[Server], dict[str, Any]]:
    given = {"idle_minutes": 0.0, "clients": declared(), "connection_percent": 0.0, **options}
    return lambda db: call(pool_reset.PoolReset(), pool_reset.OPTIONS, db, given, False, {})


@pytest.mark.parametrize(
    "attempt",
    [
        by_sessions(state="cancelled", query_seconds=0),
        by_sessions(state="absent", query_seconds=0),
        by_sessions(state="absent", user="app", clients=declared()),
        by_sessions(state="absent", application="shop-api", protect_applications=[]),
        by_cancel_queries(),
        by_cancel_queries(clients=declared()),
        by_pool_reset(user="app"),
    ],
)
def test_no_commit_is_acknowledged_that_is_on_no_standby(
    db: Server, opened: Connect, no_standby: None, attempt: Callable[[Server], dict[str, Any]]
) -> None:
    clients = [opened() for _unused in range(6)]
    for number, client in enumerate(clients):
        if number % 2:
            client.run("BEGIN", "INSERT INTO items VALUES (%d)" % number)
            client.start("COMMIT")
        else:
            client.start("INSERT INTO items VALUES (%d)" % number)
    pids = sorted(client.pid for client in clients)
    until(lambda: waiting(db) == pids)
    result = attempt(db)
    assert not result["changed"]
    assert {one["reason"] for one in result["sessions"]} <= {SYNC_WAIT}
    assert waiting(db) == pids
    assert not any(acknowledged(client) for client in clients)


@pytest.mark.parametrize("state", ["cancelled", "absent"])
def test_not_even_one_that_is_named(db: Server, opened: Connect, no_standby: None, state: str) -> None:
    client = opened().start("INSERT INTO items VALUES (1)")
    until(lambda: waiting(db) == [client.pid])
    with pytest.raises(RefusedError, match="is waiting for a synchronous standby"):
        signalled(db, state=state, pids=[client.pid])
    with pytest.raises(RefusedError, match="is waiting for a synchronous standby"):
        by_cancel_queries(pids=[client.pid])(db)
    assert waiting(db) == [client.pid] and not acknowledged(client)


@pytest.mark.parametrize("state", ["cancelled", "absent"])
def test_one_that_begins_to_wait_after_it_was_looked_at(
    db: Server, opened: Connect, no_standby: None, state: str
) -> None:
    """The same query still: only the statement that signals can see it."""
    client = opened().start("INSERT INTO items SELECT 1 FROM pg_sleep(0.7)")
    until(lambda: db.sql("SELECT wait_event FROM pg_stat_activity WHERE pid = %d" % client.pid) == "PgSleep")
    result = signalled(
        db,
        state=state,
        pids=[client.pid],
        cancel_wait_seconds=0.3,
        timeout_seconds=0.5,
        between={"sessions_cancel": lambda: until(lambda: waiting(db) == [client.pid])},
    )
    assert outcomes(result) == {client.pid: "refused"} and not result["changed"]
    assert [one["reason"] for one in result["sessions"]] == [SYNC_WAIT]
    assert waiting(db) == [client.pid] and not acknowledged(client)


def test_a_root_blocker_that_waits_for_a_standby(db: Server, opened: Connect, no_standby: None) -> None:
    """It holds its locks until the standby answers; what waits for it is not let loose by us."""
    root, victim = opened(), opened()
    root.run("BEGIN", "LOCK TABLE items", "INSERT INTO items VALUES (1)")
    root.start("COMMIT")
    victim.start("SELECT * FROM items")
    until(lambda: waiting(db) == [root.pid] and db.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
    with pytest.raises(RefusedError, match="is waiting for a synchronous standby"):
        by_cancel_queries(query_seconds=3600.0)(db)
    assert waiting(db) == [root.pid] and not acknowledged(root)


def test_a_statement_that_has_written_may_commit_at_any_moment(db: Server, opened: Connect, no_standby: None) -> None:
    """By itself, without a COMMIT that could be seen: a cancel that comes just before the wait would end the wait."""
    writes = "WITH w AS (INSERT INTO items VALUES (1) RETURNING id) SELECT pg_sleep(60) FROM w"
    writer, reader = opened().start(writes), opened().start("SELECT pg_sleep(60)")
    until(lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "2")
    done = by_cancel_queries()(db)
    assert outcomes(done) == {writer.pid: "refused", reader.pid: "cancelled"}
    assert [one["reason"] for one in done["sessions"] if one["pid"] == writer.pid] == [SYNC_COMMIT]
    db.sql("ALTER SYSTEM RESET synchronous_standby_names")
    db.reload()
    until(lambda: db.sql("SHOW synchronous_standby_names") == "")
    assert outcomes(by_cancel_queries()(db)) == {writer.pid: "cancelled"}


# --- maintenance and backups ------------------------------------------------------------------------------------------


@pytest.fixture
def indexing(db: Server, opened: Connect) -> Iterator[Client]:
    """CREATE INDEX CONCURRENTLY, which waits for a transaction."""
    report = opened(application="report")
    report.run("BEGIN", "LOCK TABLE items IN ROW EXCLUSIVE MODE")
    client = opened("root", "deploy").start("CREATE INDEX CONCURRENTLY ON items (id)")
    until(lambda: db.sql("SELECT pid FROM pg_stat_progress_create_index") == str(client.pid))
    yield client
    report.close()
    until(lambda: db.sql("SELECT count(*) FROM pg_stat_progress_create_index") == "0")
    db.sql("DROP INDEX IF EXISTS items_id_idx")  # what is left of it is invalid


def test_an_index_that_is_built_is_cancelled_by_its_pid_only(db: Server, indexing: Client) -> None:
    deploy = declared("root", "deploy")
    for attempt in (
        by_sessions(state="absent", application="deploy", clients=deploy),
        by_sessions(state="cancelled", query_seconds=0, clients=deploy),
        by_cancel_queries(end_blockers=False, clients=deploy),
    ):
        result = attempt(db)
        (reason,) = [one["reason"] for one in result["sessions"] if one["pid"] == indexing.pid]
        assert "is running CREATE INDEX CONCURRENTLY; name its pid" in reason
        assert db.sql("SELECT pid FROM pg_stat_progress_create_index") == str(indexing.pid)
    done = by_cancel_queries(pids=[indexing.pid], clients=deploy)(db)
    assert outcomes(done) == {indexing.pid: "cancelled"} and done["changed"]


SLOWLY = ("SET vacuum_cost_delay = 100", "SET vacuum_cost_limit = 1")


@pytest.fixture
def vacuuming(db: Server) -> Iterator[Callable[[Client], None]]:
    """Makes a client VACUUM for a long time."""
    db.sql("CREATE TABLE wide AS SELECT n, repeat('x', 200) FROM generate_series(1, 20000) n; DELETE FROM wide")

    def vacuum(client: Client) -> None:
        client.start("VACUUM wide")
        until(lambda: db.sql("SELECT pid FROM pg_stat_progress_vacuum") == str(client.pid))

    yield vacuum
    db.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_progress_vacuum; DROP TABLE wide")


def test_a_vacuum_is_left_alone(db: Server, opened: Connect, vacuuming: Callable[[Client], None]) -> None:
    client = opened("root")
    client.run(*SLOWLY)
    vacuuming(client)
    result = by_cancel_queries(clients=declared("root"))(db)
    assert [one["reason"] for one in result["sessions"]] == ["is running VACUUM; name its pid to stop it"]
    assert not result["changed"]
    assert db.sql("SELECT pid FROM pg_stat_progress_vacuum") == str(client.pid)
    done = by_cancel_queries(pids=[client.pid], clients=declared("root"))(db)
    assert outcomes(done) == {client.pid: "cancelled"}


def test_one_that_begins_maintenance_after_it_was_looked_at(
    db: Server, opened: Connect, vacuuming: Callable[[Client], None]
) -> None:
    """Its role was asked for, not its state: only the statement that signals sees what it has begun."""
    client = opened("root")
    client.run(*SLOWLY)
    meant: dict[str, Any] = {"user": "root", "clients": declared("root"), "max_percent": 100, "timeout_seconds": 0.5}
    result = signalled(db, state="absent", between={"sessions_terminate": lambda: vacuuming(client)}, **meant)
    assert outcomes(result) == {client.pid: "refused"}
    assert "has started maintenance" in result["sessions"][0]["reason"]
    assert db.sql("SELECT pid FROM pg_stat_progress_vacuum") == str(client.pid)


def test_a_backup_by_functions_is_held_open_by_an_idle_session(db: Server, opened: Connect) -> None:
    backup, other = opened("root", "nightly.sh"), opened("root", "nightly.sh")
    backup.run("SELECT pg_backup_start('tonight', true)")
    done = signalled(db, **IDLE, clients=declared("root", "nightly.sh"))
    assert outcomes(done) == {backup.pid: "refused", other.pid: "terminated"}
    assert "is running a base backup; name its pid" in done["msg"]
    assert alive(db, backup)


def test_a_pg_dump_cannot_hide_behind_a_title(db: Server, opened: Connect) -> None:
    """With no slot left nothing but titles is seen, and its title is that of the application's role."""
    blocker = opened("root")
    blocker.run("BEGIN", "LOCK TABLE items")
    arguments = ["-h", db.host, "-p", str(db.port), "-U", "root", "-d", "postgres", "-f", "/dev/null"]
    environment = {"PGPASSWORD": PASSWORD}
    dump = threading.Thread(target=lambda: db.run("pg_dump", *arguments, check=False, environment=environment))
    dump.start()
    try:
        find = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'"
        pid = int(until(lambda: db.sql(find)))
        with pytest.raises(psycopg2.OperationalError):
            while True:
                opened("root")
        with pytest.raises(RefusedError, match="belongs to pg_dump, the name of a protected application") as caught:
            signalled(db, state="absent", pids=[pid], session_states=["active"], clients=declared("root"))
        assert caught.value.sqlstate == "53300" and caught.value.details["freed"] == []
        freed = signalled(db, check=True, **IDLE, clients=declared("root"))["freed"]
        assert [one["pid"] for one in freed] != [pid]
        assert dump.is_alive()
        # Once there is a slot, the same rules see the application's name.
        done = signalled(db, **IDLE, clients=declared("root"))
        assert done["reached"] and pid not in [one["pid"] for one in done["sessions"] if one["outcome"] != "refused"]
        assert dump.is_alive()
    finally:
        blocker.close()
        dump.join(20)


# --- what is no incident ----------------------------------------------------------------------------------------------


def test_a_commit_without_its_standby_has_a_verdict_of_its_own(db: Server, opened: Connect, no_standby: None) -> None:
    client = opened().start("INSERT INTO items VALUES (1)")
    until(lambda: waiting(db) == [client.pid])
    verdict = until(
        lambda: found if (found := looked(db, blocked_seconds=0.1)["verdict"])["code"] != "healthy" else None
    )
    assert (verdict["code"], verdict["cause"]) == ("queries_hanging", "sync_replication_wait")
    assert "standby nowhere" in verdict["summary"]
    assert verdict["remedy"] is None
    assert verdict["escalation"]["to"] == "dba"


def test_the_leader_of_an_election_is_left_alone(db: Server, opened: Connect) -> None:
    leader = opened()
    leader.run("BEGIN", "SELECT pg_advisory_xact_lock(7)")
    candidate = opened().start("SELECT pg_advisory_lock(7)")
    until(lambda: db.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == "1")
    time.sleep(0.2)
    found = looked(db, blocked_seconds=0.1)
    assert found["verdict"]["code"] == "healthy"
    assert "advisory_lock" in [finding["code"] for finding in found["findings"]]
    assert not by_cancel_queries(query_seconds=60.0, blocked_seconds=0.1)(db)["changed"]
    assert alive(db, leader) and alive(db, candidate)
