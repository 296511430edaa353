# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every procedure on a Compose stack of a host behind a real sshd, as root or with become.

The fault is real, the command is a user's, and what became of it is asked of PostgreSQL and Docker, not of us.
"""

from __future__ import annotations

from pathlib import Path

import psycopg2

from tests.lab import faults
from tests.lab.stack import PASSWORD as APP_PASSWORD
from tests.lab.stack import Stack, docker, wait_for
from tests.playbooks.carrying_out import OTHER, carry_out
from tests.sshd import Sshd

from .stacks import at, started

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
LONG_AGO = WAITING + " AND now() - query_start > '1.2 s'"


def test_reload_in_a_container(tmp_path: Path, sshd: Sshd, stack: Stack) -> None:
    faults.unloaded_hba(stack)
    loaded = stack.sql("SELECT pg_conf_load_time()")
    host = sshd.over_ssh(become=True)
    carry_out(at(stack, tmp_path, host), "reload", "authentication_failed / no_hba_entry")
    assert stack.sql("SELECT pg_conf_load_time()") > loaded


def test_start_of_a_container(tmp_path: Path, sshd: Sshd, stack: Stack) -> None:
    stack.stop()
    carry_out(at(stack, tmp_path, sshd.over_ssh()), "start", "server_down / stopped")
    assert stack.state()["Status"] == "running" and stack.sql("SELECT 1") == "1"


def test_pool_reset_in_a_container(tmp_path: Path, sshd: Sshd, stack: Stack, released: None) -> None:
    stack.call("leak", connections=27)
    before = started(stack, "api")
    carry_out(at(stack, tmp_path, sshd.over_ssh(become=True)), "pool_reset", "pool_exhausted / idle_connections")
    assert int(stack.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")) < 5
    assert started(stack, "api") == before


def test_graceful_restart_of_a_container(tmp_path: Path, sshd: Sshd, stack: Stack) -> None:
    stack.configure("max_wal_senders = 7")
    before = started(stack), started(stack, "api")
    carry_out(at(stack, tmp_path, sshd.over_ssh()), "graceful_restart", "healthy / None")
    assert stack.sql("SHOW max_wal_senders") == "7"
    assert started(stack) > before[0] and started(stack, "api") > before[1]


def test_cancel_queries_in_a_container(tmp_path: Path, sshd: Sshd, stack: Stack, released: None) -> None:
    stack.call("transaction", connections=1, sql="LOCK TABLE items")
    stack.call("load", connections=1, sql="SELECT count(*) FROM items")
    wait_for(lambda: stack.sql(LONG_AGO) == "1")
    carry_out(at(stack, tmp_path, sshd.over_ssh()), "cancel_queries", "queries_hanging / blocked_by_lock")
    assert stack.sql(WAITING) == "0"


def test_rollback_prepared_in_a_container(tmp_path: Path, sshd: Sshd, stack: Stack, released: None) -> None:
    faults.orphan(stack)
    host = at(stack, tmp_path, sshd.over_ssh(become=True))
    carry_out(host, "rollback_prepared", "queries_hanging / prepared_transaction", oncall_gid="import-42")
    assert stack.sql("SELECT count(*) FROM pg_prepared_xacts") == "0"
    wait_for(lambda: stack.sql("SELECT name FROM items WHERE id = 1") == "y")


def test_credentials_reset_in_a_container(tmp_path: Path, sshd: Sshd, stack: Stack) -> None:
    stack.sql("ALTER ROLE app PASSWORD '%s'" % OTHER)
    host = at(stack, tmp_path, sshd.over_ssh())
    found = "authentication_failed / wrong_password"
    carry_out(host, "credentials_reset", found, oncall_role="app", oncall_client="api")
    verifier = stack.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
    assert verifier.startswith("SCRAM-SHA-256$")
    url = "postgresql://app:%s@%s/shop" % (APP_PASSWORD, stack.address(stack.name()))
    psycopg2.connect(url).close()


def test_network_repair_of_a_container(tmp_path: Path, sshd: Sshd, stack: Stack) -> None:
    faults.detached("api")(stack)
    host = sshd.over_ssh(become=True)
    carry_out(at(stack, tmp_path, host), "network_repair", "network_unreachable / no_shared_network")
    assert "api" in stack.inspect(stack.name("api"))["NetworkSettings"]["Networks"][stack.network()]["Aliases"]


def test_respond_in_a_container(tmp_path: Path, sshd: Sshd, stack: Stack) -> None:
    docker("kill", stack.name())
    host = at(stack, tmp_path, sshd.over_ssh(become=True))
    carry_out(host, "respond", "server_down / killed", oncall_auto_remedies=["start"])
    assert stack.state()["Status"] == "running" and stack.sql("SELECT 1") == "1"
