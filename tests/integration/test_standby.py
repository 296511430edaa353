# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A primary and its standby, a damaged page, a frozen backend: servers of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import DeadlineError, RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.libpq import LibpqSession
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.snapshot import take
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.sql.query import Query
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Snapshot
from tests.embedded import Server
from tests.integration.servers import Client, until
from tests.integration.shapes import problems

from .test_server import to


def snapshot(server: Server) -> Snapshot:
    session = LibpqSession(None, server.port, "postgres", None, "postgres", unix_socket=str(server.directory))
    try:
        taken, _unused = take(session, Deadline(10), Thresholds(), ["postgres"], ["postgres"])
    finally:
        session.close()
    assert problems(taken, Snapshot) == []
    return taken


def replay_lag(standby: Server) -> float | None:
    receiver = snapshot(standby)["soundness"]["receiver"]
    assert receiver is not None
    return receiver["replay_lag_seconds"]


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    primary, standby = Server(18, settings={"max_wal_senders": 4}), Server(18)
    try:
        primary.start()
        primary.sql("CREATE TABLE t AS SELECT 1 AS n; SELECT pg_create_physical_replication_slot('follower')")
        primary.hba("local all all trust", "local replication all trust")
        shutil.rmtree(standby.data)
        primary.run(
            "pg_basebackup",
            "-D",
            standby.data,
            "-R",
            "-S",
            "follower",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            "-h",
            primary.directory,
            "-p",
            str(primary.port),
            "-U",
            "postgres",
        )
        standby.conf(
            port=standby.port,
            unix_socket_directories=standby.directory,
            max_standby_streaming_delay="0",
            wal_receiver_status_interval="1s",
            primary_slot_name="follower",
        )
        standby.start()
        yield primary, standby
    finally:
        standby.remove()
        primary.remove()


def caught_up(primary: Server, standby: Server) -> None:
    lsn = primary.sql("SELECT pg_current_wal_lsn()")
    until(lambda: standby.sql("SELECT pg_last_wal_replay_lsn() >= '%s'" % lsn) == "t")


def test_a_primary_and_its_standby(pair: tuple[Server, Server]) -> None:
    primary, standby = pair
    until(lambda: primary.sql("SELECT state FROM pg_stat_replication") == "streaming")
    primary.sql("INSERT INTO t VALUES (2)")  # the first commit that is replayed has a time to count from
    caught_up(primary, standby)

    on_standby = snapshot(standby)
    assert on_standby["in_recovery"] is True
    receiver = on_standby["soundness"]["receiver"]
    assert receiver == {"status": "streaming", "sender_host": str(primary.directory), "replay_lag_seconds": None}

    standby.sql("SELECT pg_wal_replay_pause()")
    primary.sql("INSERT INTO t SELECT generate_series(1, 10000)")
    lag = until(lambda: replay_lag(standby))
    assert 0 < lag < 60
    on_primary = until(
        lambda: [row for row in snapshot(primary)["soundness"]["standbys"] if (row["replay_lag_bytes"] or 0) > 100_000]
    )
    (row,) = on_primary
    assert (row["state"], row["sync_state"], row["client_address"]) == ("streaming", "async", None)
    (slot,) = snapshot(primary)["soundness"]["slots"]
    assert (slot["name"], slot["active"]) == ("follower", True)
    assert snapshot(primary)["soundness"]["receiver"] is None and snapshot(primary)["activity"]["conflicts"] == []

    standby.sql("SELECT pg_wal_replay_resume()")
    caught_up(primary, standby)
    assert replay_lag(standby) is None

    reader = Client(host=str(standby.directory), port=standby.port, user="postgres", dbname="postgres")
    reader.run("BEGIN", "SELECT * FROM t")
    primary.sql("DROP TABLE t")  # the standby may not wait: the reader goes
    conflicts = until(lambda: snapshot(standby)["activity"]["conflicts"])
    assert conflicts == [{"database": "postgres", "kind": "lock", "count": 1}]
    reader.close()

    primary.stop("immediate")
    gone = {"status": None, "sender_host": None, "replay_lag_seconds": None}
    until(lambda: snapshot(standby)["soundness"]["receiver"] == gone)


def test_a_damaged_page_is_counted() -> None:
    with Server(18, initdb=("--data-checksums",)) as server:
        server.sql("CREATE DATABASE shop")
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n", database="shop")
        path = server.data / server.sql("SELECT pg_relation_filepath('t')", database="shop")
        assert snapshot(server)["soundness"]["checksum_failures"] == []
        server.stop()
        with path.open("r+b") as file:
            file.seek(4000)
            file.write(b"damage")
        server.start()
        with contextlib.suppress(RuntimeError):
            server.sql("SELECT count(*) FROM t", database="shop")
        (failure,) = until(lambda: snapshot(server)["soundness"]["checksum_failures"])
        assert failure["database"] == "shop" and failure["count"] >= 1 and failure["last_failure"].endswith("+00:00")


def test_a_frozen_server_holds_libpq_no_longer_than_the_deadline() -> None:
    """No statement_timeout helps against a backend that does not run, nor a connect_timeout against its postmaster."""
    pid = Query("pid", {130000: "SELECT pg_backend_pid() AS pid"})
    with Server(18) as server:
        session = LibpqSession(None, server.port, "postgres", None, "postgres", unix_socket=str(server.directory))
        (row,) = session.query(pid, Deadline(5))
        os.kill(row["pid"], signal.SIGSTOP)
        server.signal(signal.SIGSTOP)
        try:
            for _unused in range(2):  # the open connection, then a new one
                started = time.monotonic()
                with pytest.raises(DeadlineError):
                    session.query(pid, Deadline(0.5))
                assert 0.4 < time.monotonic() - started < 20  # for ever, without one of our own
        finally:
            os.kill(row["pid"], signal.SIGCONT)
            server.signal(signal.SIGCONT)
        assert until(lambda: session.query(pid, Deadline(5)))
        session.close()


def test_a_standby_would_start_again_unless_its_limits_are_below_its_primarys(pair: tuple[Server, Server]) -> None:
    _primary, standby = pair
    assert to("restarted", standby, check_mode=True)["notes"] == []
    standby.conf(max_connections=20)
    with pytest.raises(RefusedError, match="would not start again: max_connections is 20, but its primary had 100"):
        to("restarted", standby)
    assert standby.sql("SELECT pg_is_in_recovery()") == "t"
