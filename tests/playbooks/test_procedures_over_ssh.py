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
import platform
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
    before = started(stack), started(stack, "api")
    carry_out(afar, "graceful_restart", "healthy / None")
    assert started(stack) > before[0] and started(stack, "api") > before[1]


def test_an_env_file_and_an_engine_elsewhere(tmp_path: Path, stack: Stack) -> None:
    """The Compose files are beside the engine, and the file would be the controller's."""
    settings = tmp_path / ".env"
    settings.write_text("LAB_PASSWORD=%s\n" % APP_PASSWORD)
    verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'"
    before = stack.sql(verifier), started(stack, "api")
    given = {"oncall_role": "app", "oncall_env_file": str(settings), "oncall_env_keys": ["LAB_PASSWORD"]}
    with Engine(stack.work, tcp=True) as engine:
        controller = at(stack, tmp_path, refusing_ssh(), docker_host=engine.docker_host)
        code, out = controller.run("ansible-playbook", "oncall.postgresql.credentials_reset", "-e", json.dumps(given))
    assert code == 2, out
    said = "env_file is refused with docker_host=%s: api cannot be recreated from here" % engine.docker_host
    assert said in " ".join(out.split()), out
    assert (stack.sql(verifier), started(stack, "api")) == before
    assert settings.read_text() == "LAB_PASSWORD=%s\n" % APP_PASSWORD


# --- keywords of a task -----------------------------------------------------------------------------------------------


def holds(controller: Controller, *tasks: dict[str, Any]) -> None:
    """A play of ``tasks``, for the group; what they assert is so."""
    defaults = {"group/oncall.postgresql.target": "{{ oncall_target }}"}
    play = {"hosts": "postgresql", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}
    (controller.directory / "play.json").write_text(json.dumps([play]))
    code, out = controller.run("ansible-playbook", "play.json")
    assert code == 0, out
    assert PASSWORD not in out and OTHER not in out


def asserted(*that: str) -> dict[str, Any]:
    return {"ansible.builtin.assert": {"that": list(that)}}


def by_network(server: Server, **options: Any) -> dict[str, Any]:
    """Reached from the controller, as a role whose password is to be found somewhere else."""
    return {"runtime": "remote", "login_host": server.host, "login_port": server.port, "login_user": "shop", **options}


def test_delegate_to(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    """Where it is told to run, as any module, and not where the target would be reached from otherwise."""
    controller = on(server, tmp_path, refusing_ssh())
    inventory = json.loads((tmp_path / "inventory.json").read_text())
    inventory["others"] = {"hosts": {"bastion": sshd.over_ssh(become=True), "lost": refusing_ssh()}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    away = {"oncall.postgresql.server_info": by_network(server, data_directory=None, bin_directory=None, log_file=None)}
    holds(
        controller,
        {"oncall.postgresql.triage": None, "delegate_to": "bastion", "register": "there"},
        {**away, "delegate_to": "lost", "ignore_unreachable": True, "register": "nowhere"},
        asserted("there.verdict.code == 'healthy'", "there.target.host == 'db'", "nowhere is unreachable"),
    )


@pytest.mark.parametrize("where", ["worker", "host"])
def test_environment(tmp_path: Path, sshd: Sshd, server: Server, where: str) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:shop:%s\n" % PASSWORD)
    passwords.chmod(0o600)
    more = {} if where == "worker" else {"runtime": "pg_ctl", "data_directory": str(server.data)}
    host = refusing_ssh() if where == "worker" else sshd.over_ssh()
    ask = {"oncall.postgresql.connections_info": None}
    holds(
        Controller(tmp_path, {"db": by_network(server, login_db="shop", **more)}, host),
        {**ask, "register": "without", "ignore_errors": True},
        {**ask, "register": "given", "environment": {"PGPASSFILE": str(passwords)}},
        {**ask, "register": "after", "ignore_errors": True},
        asserted(
            "given.answer == 'yes'", *("%s.answer | default('') != 'yes'" % name for name in ("without", "after"))
        ),
    )


def test_environment_on_the_way_to_an_engine(tmp_path: Path, sshd: Sshd, stack: Stack) -> None:
    """PATH has the command ssh in it that finds the keys."""
    ask = {"oncall.postgresql.server_info": None}
    holds(
        at(stack, tmp_path, refusing_ssh(), docker_host=sshd.engine()),
        {**ask, "register": "without", "ignore_errors": True},
        {**ask, "register": "given", "environment": sshd.environment},
        asserted("without is failed", "given.answer == 'yes'"),
    )


def test_async(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    ask = {"oncall.postgresql.triage": None, "async": 60}
    status = {"ansible.builtin.async_status": {"jid": "{{ begun.ansible_job_id }}"}, "register": "done"}
    away = by_network(server, data_directory=None, bin_directory=None, log_file=None)
    line = (
        "async is not possible here: this target is reached from the controller, inside Ansible's worker. Leave async "
        "out, or add delegate_to: localhost, which runs it as a module."
    )
    holds(
        on(server, tmp_path, sshd.over_ssh()),
        {**ask, "poll": 1, "register": "waited"},
        {**ask, "poll": 0, "register": "begun"},
        {**status, "until": "done is finished", "retries": 60, "delay": 1},
        {**ask, "oncall.postgresql.triage": away, "poll": 1, "register": "refused", "ignore_errors": True},
        asserted("waited.verdict.code == 'healthy'", "done.verdict.code == 'healthy'"),
        asserted("refused is failed", "refused.msg == %s" % json.dumps(line)),
    )


def test_vars(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    """Of a task: over the host's own, for a target on the host and for one that is reached from here."""
    elsewhere = {**by_network(server), "login_user": "oncall", "login_password": PASSWORD, "login_db": "{{ name }}"}
    ask = {"oncall.postgresql.server_info": None}
    holds(
        Controller(tmp_path, {"db": {"runtime": "pg_ctl", "data_directory": "/nowhere"}}, sshd.over_ssh()),
        {**ask, "register": "wrong", "ignore_errors": True},
        {**ask, "register": "there", "vars": {"oncall_target": beside(server)}},
        {**ask, "register": "here", "vars": {"oncall_target": elsewhere, "name": "shop"}},
        asserted("wrong is failed", "'/nowhere' in wrong.msg", "there.answer == 'yes'", "here.answer == 'yes'"),
    )


def test_whose_file_it_is(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    """A file of the controller where the target is reached from there, else one of the host."""
    server.sql("CREATE ROLE admin SUPERUSER LOGIN PASSWORD '%s'" % OTHER)
    client = {"service": "shop", "login": login(server)}
    away = by_network(server, login_user="admin", login_password=OTHER, clients=[client])
    secret = tmp_path / "secret"
    reset = {"role": "shop", "password": PASSWORD, "password_file": str(secret)}
    lost = {**reset, "env_file": "/nowhere/.env", "env_keys": ["PW"]}
    for target, host, place in (
        (away, refusing_ssh(), "the controller"),
        (beside(server), sshd.over_ssh(become=True), "the host %s" % platform.node()),
    ):
        holds(
            Controller(tmp_path, {"db": target}, host),
            {"oncall.postgresql.credentials": reset, "register": "done"},
            {"oncall.postgresql.credentials": lost, "register": "lost", "ignore_errors": True},
            asserted("done.files == ['%s']" % secret, "done.files_on == '%s'" % place),
            asserted("lost.msg == 'On %s: /nowhere/.env does not exist. Correct the path.'" % place),
        )
        assert secret.read_text() == PASSWORD + "\n"
        secret.unlink()
