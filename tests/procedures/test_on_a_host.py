# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedures on a host behind a real sshd, as root or with become. The one of pool_reset is in tests/playbooks.

The fault is real, the command is a user's, and what became of it is asked of PostgreSQL, not of us.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.embedded import Server
from tests.lab.stack import wait_for
from tests.playbooks.carrying_out import OTHER, carry_out
from tests.playbooks.test_real_servers import PASSWORD, Controller, beside
from tests.sshd import Sshd

HBA = ("local all all trust", "host all all 127.0.0.1/32 scram-sha-256")
LONG_AGO = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND now() - query_start > '1.2 s'"


@pytest.fixture(scope="module")
def server(sshd: Sshd) -> Iterator[Server]:
    with Server(settings={"max_prepared_transactions": 5}, os_user=sshd.account()) as started:
        started.sql("CREATE ROLE shop LOGIN PASSWORD '%s'; CREATE DATABASE shop OWNER shop" % PASSWORD)
        started.sql("CREATE TABLE items AS SELECT 1 AS id", "shop")
        started.sql("ALTER TABLE items OWNER TO shop", "shop")
        started.hba(*HBA)
        yield started


def on(server: Server, directory: Path, host: dict[str, Any]) -> Controller:
    return Controller(directory, {"db": beside(server, blocked_seconds=1, idle_minutes=0.001)}, host)


def gets_in(server: Server, password: str = PASSWORD) -> bool:
    """Whether the role shop does, by the network."""
    with contextlib.suppress(psycopg2.OperationalError):
        psycopg2.connect(host=server.host, port=server.port, user="shop", password=password, dbname="shop").close()
        return True
    return False


@contextlib.contextmanager
def sessions(server: Server, *texts: str) -> Iterator[contextlib.ExitStack]:
    """A session of the role shop for each text."""
    with contextlib.ExitStack() as until:
        for text in texts:
            made = until.enter_context(server.background(text, "shop", "shop"))
            until.callback(made.kill)
        yield until


def test_reload_on_a_host(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    server.hba(HBA[0])
    assert not gets_in(server)
    (server.data / "pg_hba.conf").write_text("".join(line + "\n" for line in HBA))
    loaded = server.sql("SELECT pg_conf_load_time()")
    carry_out(on(server, tmp_path, sshd.over_ssh()), "reload", "authentication_failed / no_hba_entry")
    assert gets_in(server) and server.sql("SELECT pg_conf_load_time()") > loaded


def test_start_on_a_host(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    server.stop()
    host = sshd.over_ssh(become=True)
    carry_out(on(server, tmp_path, host), "start", "server_down / stopped")
    assert gets_in(server)
    assert os.stat("/proc/%d" % server.pid).st_uid == os.stat(server.data).st_uid


def test_cancel_queries_on_a_host(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    with sessions(server, "BEGIN; LOCK TABLE items; SELECT pg_sleep(600);") as locked:
        wait_for(lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1")
        locked.enter_context(sessions(server, "UPDATE items SET id = 2;"))
        wait_for(lambda: server.sql(LONG_AGO) == "1")
        host = sshd.over_ssh(become=True)
        carry_out(on(server, tmp_path, host), "cancel_queries", "queries_hanging / blocked_by_lock")
        wait_for(lambda: server.sql("SELECT id FROM items", "shop") == "2")


def test_graceful_restart_on_a_host(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    server.conf(max_wal_senders=7)
    before = server.pid
    carry_out(on(server, tmp_path, sshd.over_ssh(become=True)), "graceful_restart", "healthy / None")
    assert server.pid != before and server.sql("SHOW max_wal_senders") == "7"


def test_rollback_prepared_on_a_host(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    server.sql("BEGIN; UPDATE items SET id = 3; PREPARE TRANSACTION 'import-42'", "shop", "shop")
    with sessions(server, "UPDATE items SET id = 4;"):
        wait_for(lambda: server.sql(LONG_AGO) == "1")
        host = on(server, tmp_path, sshd.over_ssh())
        carry_out(host, "rollback_prepared", "queries_hanging / prepared_transaction", oncall_gid="import-42")
        assert server.sql("SELECT count(*) FROM pg_prepared_xacts") == "0"
        wait_for(lambda: server.sql("SELECT id FROM items", "shop") == "4")


def test_credentials_reset_on_a_host(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    """A file of the host, which an ordinary user could not write."""
    server.sql("ALTER ROLE shop PASSWORD '%s'" % OTHER)
    settings = server.directory / "shop.env"
    settings.write_text("DATABASE_URL=postgresql://shop:%s@127.0.0.1/shop\n" % OTHER)
    settings.chmod(0o600)
    carry_out(
        on(server, tmp_path, sshd.over_ssh(become=True)),
        "credentials_reset",
        "authentication_failed / wrong_password",
        oncall_role="shop",
        oncall_password=PASSWORD,
        oncall_env_file=str(settings),
        oncall_env_keys=["DATABASE_URL"],
    )
    assert gets_in(server) and not gets_in(server, OTHER)
    assert settings.read_text() == "DATABASE_URL=postgresql://shop:%s@127.0.0.1/shop\n" % PASSWORD


def test_respond_on_a_host(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    server.sql("ALTER ROLE shop PASSWORD '%s'" % OTHER)
    host = on(server, tmp_path, sshd.over_ssh())
    found = "authentication_failed / wrong_password"
    carry_out(host, "respond", found, oncall_auto_remedies=["credentials_reset"])
    assert gets_in(server) and not gets_in(server, OTHER)
