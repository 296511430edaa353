# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedures on sessions as a user runs them: exactly the command that the verdict recommends, without Docker."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.embedded import Server
from tests.playbooks.test_real_servers import PASSWORD, Controller, beside, connect, login, verdict

GID = "it's {{ 1 + 1 }}"


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with Server(settings={"max_connections": 20, "max_prepared_transactions": 5}) as server:
        server.sql("CREATE ROLE shop LOGIN PASSWORD '%s'; CREATE DATABASE shop OWNER shop" % PASSWORD)
        server.sql("CREATE TABLE items (id int); GRANT ALL ON items TO shop", database="shop")
        yield server


@pytest.fixture
def controller(tmp_path: Path, db: Server) -> Iterator[Controller]:
    client = {"service": "shop", "application_name": "shop", "login": login(db)}
    yield Controller(tmp_path, {"db": beside(db, clients=[client], blocked_seconds=1)})
    db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'")


def carry_out(controller: Controller, found: dict[str, Any], *more: str) -> str:
    program, *words = shlex.split(found["remedy"]["command"])
    code, out = controller.run(program, *words, *more)
    assert code == 0 and PASSWORD not in out, out
    return out


def test_long_idle_sessions(controller: Controller, db: Server) -> None:
    clients = [connect(db) for _unused in range(17)]
    found = verdict(controller)
    assert found["cause"] == "idle_connections"
    idle = "oncall_idle_minutes=0.001"
    query = "SELECT pid, backend_start, state_change FROM pg_stat_activity WHERE usename = 'shop' ORDER BY 1"
    before = db.sql(query)
    assert "changed=1" in carry_out(controller, found, "-e", idle, "--check")
    assert "changed=1" in carry_out(controller, found, "-e", idle, "-e", "oncall_plan=true")
    assert db.sql(query) == before
    assert "changed=1" in carry_out(controller, found, "-e", idle)
    assert verdict(controller)["code"] == "healthy"
    assert "changed=0" in carry_out(controller, found, "-e", idle)
    for client in clients:
        client.close()


def test_a_burst_of_clients_that_cannot_be_restarted(controller: Controller, db: Server) -> None:
    """Only as many as it takes are ended, the longest idle; who is no declared client stays."""
    other = psycopg2.connect(host=db.host, port=db.port, user="shop", password=PASSWORD, dbname="shop")
    clients = [connect(db) for _unused in range(16)]
    pids = [client.get_backend_pid() for client in clients]
    found = verdict(controller)
    assert found["cause"] == "idle_connections"
    query = "SELECT pid FROM pg_stat_activity WHERE usename = 'shop' ORDER BY state_change"
    before = db.sql(query)
    assert "changed=1" in carry_out(controller, found, "--check")
    assert db.sql(query) == before
    assert "changed=1" in carry_out(controller, found)
    assert [int(pid) for pid in db.sql(query).split()] == [other.get_backend_pid(), *pids[4:]]  # 13 of 17
    assert verdict(controller)["code"] == "healthy"
    assert "changed=0" in carry_out(controller, found)
    for client in (other, *clients):
        client.close()


def test_a_root_blocker(controller: Controller, db: Server) -> None:
    with contextlib.closing(connect(db)) as root:
        root.cursor().execute("LOCK TABLE items")
        waiting = db.background("SELECT * FROM items;", database="shop")
        try:
            _for_a_second(db, "wait_event_type = 'Lock'")
            found = verdict(controller)
            assert found["cause"] == "blocked_by_lock"
            assert found["remedy"]["extra_vars"] == {"oncall_pids": [root.get_backend_pid()]}
            assert "changed=1" in carry_out(controller, found)
            assert verdict(controller)["code"] == "healthy"
        finally:
            _leave(waiting)


def test_a_prepared_transaction(controller: Controller, db: Server) -> None:
    gid = GID.replace("'", "''")
    db.sql("BEGIN; LOCK TABLE items; PREPARE TRANSACTION '%s'" % gid, database="shop")
    waiting = db.background("SELECT * FROM items;", database="shop")
    try:
        _for_a_second(db, "wait_event_type = 'Lock'")
        found = verdict(controller)
        assert found["cause"] == "prepared_transaction"
        assert found["remedy"]["extra_vars"] == {"oncall_gid": GID}
        assert "changed=1" in carry_out(controller, found, "--check")
        assert db.sql("SELECT gid FROM pg_prepared_xacts") == GID
        assert "changed=1" in carry_out(controller, found)
        assert verdict(controller)["code"] == "healthy"
        assert "changed=0" in carry_out(controller, found)
    finally:
        _leave(waiting)


def test_a_long_query(controller: Controller, db: Server) -> None:
    (controller.directory / "inventory.json").write_text(
        (controller.directory / "inventory.json").read_text().replace('"blocked_seconds": 1', '"long_query_seconds": 1')
    )
    process = db.background("SELECT pg_sleep(600);", database="shop", user="postgres")
    try:
        _for_a_second(db, "wait_event = 'PgSleep'")
        found = verdict(controller)
        assert found["cause"] == "long_running"
        assert found["remedy"] is None  # it is a superuser's: no command names it, and one by hand is refused
        pid = int(db.sql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
        named = json.dumps({"oncall_pids": [pid]})
        code, out = controller.run("ansible-playbook", "oncall.postgresql.cancel_queries", "-e", named)
        assert code != 0 and "pid %d is a superuser's (postgres): ask that person" % pid in out
    finally:
        _leave(process)


def _for_a_second(db: Server, condition: str) -> None:
    """Until a session is in that state and its statement is more than a second old."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE %s AND now() - query_start > interval '1.1 s'" % condition
    end = time.monotonic() + 30
    while db.sql(query) == "0":
        assert time.monotonic() < end, "nobody comes to that"
        time.sleep(0.1)


def _pids(found: dict[str, Any]) -> str:
    return json.dumps({"oncall_pids": found["remedy"]["extra_vars"]["oncall_pids"]})


def _leave(client: "subprocess.Popen[str]") -> None:
    client.kill()
    client.communicate()
