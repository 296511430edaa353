# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every procedure on a host behind a real sshd, as root or with become; and at an engine that needs no SSH to the host.

The fault is real, the command is a user's, and what became of it is asked of PostgreSQL and Docker, not of us.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.embedded import Server
from tests.lab import faults
from tests.lab.driving import Engine
from tests.lab.stack import PASSWORD as APP_PASSWORD
from tests.lab.stack import Stack, docker, wait_for
from tests.sshd import Sshd, refusing_ssh

from .test_real_servers import PASSWORD, Controller, beside, login

OTHER = "somebody-Elses-4714"
HBA = ("local all all trust", "host all all 127.0.0.1/32 scram-sha-256")
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
LONG_AGO = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND now() - query_start > '1.2 s'"


def carry_out(controller: Controller, verb: str, found: str, **variables: Any) -> str:
    """The verb's command: exit code 0, the report says ``found`` before and healthy after. Its output."""
    given = {"oncall_report_dir": "reports", **variables}
    code, out = controller.run("ansible-playbook", "oncall.postgresql.%s" % verb, "-e", json.dumps(given))
    assert code == 0, out
    before = json.loads((controller.reports / "before" / "db.json").read_text())["verdict"]
    assert "%s / %s" % (before["code"], before["cause"]) == found, out
    assert controller.result("db")["verdict"]["code"] == "healthy", out
    assert PASSWORD not in out and OTHER not in out and APP_PASSWORD not in out
    return out


# --- pg_ctl -----------------------------------------------------------------------------------------------------------


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


def test_pool_reset_on_a_host(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    server.sql("ALTER ROLE shop CONNECTION LIMIT 3")
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'"
    with sessions(server, *["SELECT 1"] * 3):
        wait_for(lambda: server.sql(count + " AND now() - state_change > '0.1 s'") == "3")
        carry_out(on(server, tmp_path, sshd.over_ssh()), "pool_reset", "pool_exhausted / role_limit")
        assert server.sql(count) == "0"
    server.sql("ALTER ROLE shop CONNECTION LIMIT -1")


def test_cancel_queries_on_a_host(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    with sessions(server, "BEGIN; LOCK TABLE items; SELECT pg_sleep(600);") as locked:
        wait_for(lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1")
        locked.enter_context(sessions(server, "UPDATE items SET id = 2;"))
        wait_for(lambda: server.sql(LONG_AGO) == "1")
        host = sshd.over_ssh(become=True)
        carry_out(on(server, tmp_path, host), "cancel_queries", "queries_hanging / blocked_by_lock")
        wait_for(lambda: server.sql("SELECT id FROM items", "shop") == "2")


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


# --- compose ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("ssh-procedures-%d" % os.getpid()) as made:
        made.up()
        yield made


@pytest.fixture
def released(stack: Stack) -> Iterator[None]:
    yield
    stack.wait_api()
    stack.call("release")


def at(stack: Stack, directory: Path, host: dict[str, Any], **options: Any) -> Controller:
    return Controller(directory, {"db": stack.target(idle_minutes=0.001, **options)}, host)


def started(stack: Stack, service: str = "") -> str:
    return str(stack.inspect(stack.name(service))["State"]["StartedAt"])


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


# --- an engine elsewhere: the inventory host refuses SSH --------------------------------------------------------------


@pytest.fixture(params=["ssh", "tcp"])
def afar(request: pytest.FixtureRequest, tmp_path: Path, sshd: Sshd, stack: Stack) -> Iterator[Controller]:
    def controller(engine: str) -> Controller:
        target = stack.target(idle_minutes=0.001, docker_host=engine)
        return Controller(tmp_path, {"db": target}, refusing_ssh(), sshd.environment)

    if request.param == "ssh":
        yield controller(sshd.engine())
    else:
        with Engine(stack.work, tcp=True) as engine:
            yield controller(engine.docker_host)


def test_at_an_engine_elsewhere(afar: Controller, stack: Stack, released: None) -> None:
    faults.unloaded_hba(stack)
    carry_out(afar, "reload", "authentication_failed / no_hba_entry")
    stack.stop()
    carry_out(afar, "start", "server_down / stopped")
    assert stack.state()["Status"] == "running"
    stack.wait_api()
    stack.call("leak", connections=27)
    carry_out(afar, "pool_reset", "pool_exhausted / idle_connections")
    assert int(stack.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")) < 5
