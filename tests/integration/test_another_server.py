# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safety rule 12: where another server answers than the one that the inventory describes, it is named, and nothing is
believed of it, signalled on it or done because of it."""

from __future__ import annotations

import contextlib
import importlib
import os
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    AnotherServerError,
    OncallError,
    RefusedError,
    SessionError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.options import TARGET
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.target import open_target
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.proved import _STANDS_SH
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.sql.query import OLDEST, Query
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.target import Target
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.drive.compose import _INTERRUPT_SH
from tests.embedded import Server
from tests.integration.results import held

from .test_pg_ctl import wait_until_gone

PASSWORD = "not-a-secret"
PID = Query("pid", {OLDEST: "SELECT pg_backend_pid() AS pid"})
VERBS: dict[str, tuple[str, dict[str, Any]]] = {
    "sessions": ("sessions", {"state": "absent", "session_states": ["idle"], "max_percent": 100}),
    "pool_reset": ("pool_reset", {}),
    "cancel_queries": ("cancel_queries", {"query_seconds": 0}),
    "reload": ("configuration", {"force": True}),
    "monitoring_role": ("monitoring_role", {"password": "watching"}),
    "reindex": ("reindex", {}),
    "role_settings": ("role_settings", {"roles": ["dba"], "settings": {"jit": False}}),
    "settings": ("settings", {"settings": {"work_mem": "64MB"}}),
    "rollback_prepared": ("prepared_transaction", {"gid": "left"}),
    "credentials_reset": ("credentials", {"role": "dba", "password": "another", "allow_superuser": True}),
    "graceful_restart": ("graceful_restart", {}),
    "restart": ("server", {"state": "restarted"}),
    "stop": ("server", {"state": "stopped"}),
    "start": ("server", {"state": "started"}),
}


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Server, Server]]:
    """The target, and another server that is the only one at its login options."""
    with Server() as server, Server(initdb=("--data-checksums",)) as other:
        other.sql("CREATE ROLE dba SUPERUSER LOGIN PASSWORD '%s'" % PASSWORD)
        yield server, other


@pytest.fixture
def server(made: tuple[Server, Server]) -> Iterator[Server]:
    """Nothing becomes of it."""
    first = made[0].pid
    yield made[0]
    assert made[0].pid == first and made[0].sql("SELECT 1") == "1"


@pytest.fixture
def neighbour(made: tuple[Server, Server]) -> Iterator[Server]:
    with unharmed(made[1]):
        yield made[1]


@contextlib.contextmanager
def unharmed(other: Server) -> Iterator[None]:
    """Its sessions, their queries, its configuration, its passwords stay as they are."""
    known = "SELECT pg_conf_load_time(), (SELECT rolpassword FROM pg_authid WHERE rolname = 'dba')"
    first, before = other.pid, other.sql(known)
    client = other.background("SELECT pg_backend_pid();\nSELECT pg_sleep(600);")
    assert client.stdout is not None
    busy = client.stdout.readline().strip()
    with psycopg2.connect(host=str(other.directory), port=other.port, user="postgres") as victim:
        yield
        with victim.cursor() as cursor:
            cursor.execute("SELECT query, state FROM pg_stat_activity WHERE pid = %s" % busy)
            assert cursor.fetchone() == ("SELECT pg_sleep(600);", "active")
            cursor.execute("SELECT pg_terminate_backend(%s)" % busy)
    client.communicate()
    assert (other.pid, other.sql(known)) == (first, before)


def at_host(other: Server) -> dict[str, Any]:
    return {"login_host": "127.0.0.1", "login_port": other.port, "login_user": "dba", "login_password": PASSWORD}


def at_socket(other: Server) -> dict[str, Any]:
    return {"login_unix_socket": str(other.directory), "login_port": other.port}


def run(module: str, server: Server, **given: Any) -> dict[str, Any]:
    work = importlib.import_module("ansible_collections.oncall.postgresql.plugins.modules." + module).WORK
    known = {"runtime": "pg_ctl", "data_directory": str(server.data), "login_user": "postgres", **given}
    checked = ArgumentSpecValidator(**work.spec.arguments()).validate(known)
    assert not checked.error_messages
    with held(module) as fitting:
        return fitting(dict(work.do(checked.validated_parameters, False)))


def refused(module: str, server: Server, text: str, **given: Any) -> None:
    with pytest.raises(RefusedError) as raised:
        run(module, server, **given)
    said = str(raised.value)
    assert text in said.lower() and not raised.value.touched, said
    assert "\n" not in said and "(SQLSTATE" not in said, said


def identifier(server: Server) -> str:
    control = server.run("pg_controldata", "-D", server.data).stdout
    return control.partition("system identifier:")[2].split()[0]


# --- a login option that leads to another one -------------------------------------------------------------------------


@pytest.mark.parametrize("there", [at_host, at_socket])
def test_triage_names_who_answers_and_whose_answer_was_expected(server: Server, neighbour: Server, there: Any) -> None:
    found = run("triage", server, **there(neighbour))
    assert found["facts"]["snapshot"] is None and found["verdict"]["code"] == "unknown"
    finding = next(each for each in found["findings"] if each["code"] == "another_server")
    assert finding["severity"] == "critical" and "login_" in finding["summary"]
    answers, expected = finding["evidence"]
    for words in ("data directory %s" % neighbour.data, identifier(neighbour), "port %d" % neighbour.port):
        assert words in answers
    for words in ("data directory %s" % server.data, identifier(server), "port %d" % server.port):
        assert words in expected
    fact = found["facts"]["another_server"]
    assert fact["answers"]["data_directory"] == str(neighbour.data)
    assert fact["expected"]["system_identifier"] == identifier(server)
    assert "no_sql_facts" not in [each["code"] for each in found["findings"]]


@pytest.mark.parametrize("there", [at_host, at_socket])
@pytest.mark.parametrize("verb", sorted(VERBS.keys() - {"start"}))  # it runs
def test_whatever_is_asked_for_is_refused(server: Server, neighbour: Server, there: Any, verb: str) -> None:
    module, given = VERBS[verb]
    text = "another server answers at login_"
    refused(module, server, text, **{**there(neighbour), **given})


def test_its_own_socket_and_port_are_taken(server: Server) -> None:
    found = run("triage", server, **at_socket(server))
    assert found["facts"]["snapshot"] is not None and found["facts"]["another_server"] is None


# --- the target is down -----------------------------------------------------------------------------------------------


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    """The target is down, and another server has its port."""
    with Server() as server, Server(initdb=("--data-checksums",)) as other:
        other.stop()
        server.stop()
        other.port = server.port
        other.conf(port=server.port)
        other.start()
        other.sql("CREATE ROLE dba SUPERUSER LOGIN PASSWORD '%s'" % PASSWORD)
        with unharmed(other):
            yield server, other
        assert not (server.data / "postmaster.pid").exists()


WAYS: list[Any] = [pytest.param(lambda other: {}, id="its own port"), at_host, at_socket]


@pytest.mark.parametrize("there", WAYS)
def test_who_has_the_address_a_server_that_is_down_is_named(pair: tuple[Server, Server], there: Any) -> None:
    server, other = pair
    found = run("triage", server, **there(other))
    assert (found["verdict"]["code"], found["verdict"]["cause"]) == ("server_down", "stopped")
    assert found["facts"]["snapshot"] is None and found["verdict"]["remedy"] is None
    assert "But first find out why another server answers at" in found["verdict"]["summary"]
    finding = next(each for each in found["findings"] if each["code"] == "another_server")
    answers, expected = finding["evidence"]
    for words in ("data directory %s" % other.data, identifier(other), "port %d" % other.port):
        assert words in answers
    assert "data directory %s" % server.data in expected and identifier(server) in expected
    assert "not running" in expected
    for verb, (module, given) in VERBS.items():
        if verb != "stop":  # it is
            refused(module, server, "another server answers", **{**there(other), **given})
    assert run("server", server, state="stopped", **there(other))["changed"] is False


def test_after_a_crash_too(pair: tuple[Server, Server]) -> None:
    """With a postmaster.pid that nobody has removed."""
    server, other = pair
    (server.data / "postmaster.pid").write_text("999999\n%s\n1\n%d\n" % (server.data, server.port))
    try:
        found = run("triage", server, **at_socket(other))
        assert found["facts"]["snapshot"] is None
        assert "another_server" in [each["code"] for each in found["findings"]]
        refused("sessions", server, "another server answers", **at_socket(other), **VERBS["sessions"][1])
    finally:
        (server.data / "postmaster.pid").unlink()


def test_a_server_elsewhere_on_the_same_port_is_not_in_its_place(pair: tuple[Server, Server]) -> None:
    """Another address, another directory for its socket: both can run."""
    server, _other = pair
    server.conf(listen_addresses="127.0.0.2")
    found = run("triage", server)
    assert found["facts"]["another_server"] is None
    assert found["verdict"]["code"] == "server_down"


def test_nobody_at_all(server: Server) -> None:
    with Server() as down:
        down.stop()
        found = run("triage", down)
        assert found["facts"]["another_server"] is None
        with pytest.raises(OncallError, match="no server is running in"):
            run("pool_reset", down)


# --- while it is being asked -----------------------------------------------------------------------------------------


def test_a_connection_that_is_opened_anew_is_proved_anew() -> None:
    """The server went, and another one came to its place, in the middle of a procedure."""
    with Server() as server, Server(initdb=("--data-checksums",)) as other:
        for each in (server, other):
            each.sql("CREATE ROLE dba SUPERUSER LOGIN PASSWORD '%s'" % PASSWORD)
        with target_of(server, **at_host(server)) as target:
            assert target.session.query(PID, Deadline(10))[0]["pid"]
            server.stop()
            other.stop()
            other.port = server.port
            other.conf(port=server.port)
            other.start()
            with unharmed(other):
                with pytest.raises(SessionError):
                    target.session.query(PID, Deadline(10))  # the connection has gone
                with pytest.raises(AnotherServerError, match="data directory %s" % other.data):
                    target.session.query(PID, Deadline(10))
            other.stop()
            server.start()
            assert target.session.query(PID, Deadline(10))[0]["pid"]


@contextlib.contextmanager
def target_of(server: Server, **given: Any) -> Iterator[Target]:
    known = {"runtime": "pg_ctl", "data_directory": str(server.data), "login_user": "postgres", **given}
    target = open_target(ArgumentSpecValidator(**TARGET.arguments()).validate(known).validated_parameters, "here")
    try:
        yield target
    finally:
        target.close()


@pytest.mark.parametrize("there", WAYS)
@pytest.mark.parametrize("whose", ["another server", "no server"])
def test_a_pid_that_somebody_else_has_by_now(pair: tuple[Server, Server], there: Any, whose: str) -> None:
    """A crash leaves postmaster.pid, and its number is given away."""
    server, other = pair
    owner = server.data.stat().st_uid
    sleeper = subprocess.Popen(["sleep", "600"], user=owner)
    pid = other.pid if whose == "another server" else sleeper.pid
    lock = server.data / "postmaster.pid"
    started = (other.data / "postmaster.pid").read_text().split("\n")[2]
    lock.write_text("%d\n%s\n%s\n%d\n%s\n*\n" % (pid, server.data, started, server.port, other.directory))
    os.chown(lock, owner, -1)
    try:
        found = run("triage", server, **there(other))
        assert found["facts"]["snapshot"] is None and found["verdict"]["code"] == "server_down"
        assert found["facts"]["server"]["postmaster_pid"] is None
        assert found["facts"]["another_server"]["expected"]["started_at"] is None
        refused("sessions", server, "another server answers", **there(other), **VERBS["sessions"][1])
    finally:
        lock.unlink()
        sleeper.terminate()
        sleeper.wait()


def test_a_stop_in_a_container_signals_nobody_but_its_server() -> None:
    """The script that asks a postmaster to end, which a shell in front of it may not pass on to it."""

    def interrupt(directory: pathlib.Path) -> int:
        return subprocess.run(["sh", "-c", _INTERRUPT_SH, "oncall", str(directory), ""], check=False).returncode

    with Server() as server, Server() as other:
        sleeper, lock = subprocess.Popen(["sleep", "600"]), server.data / "postmaster.pid"
        first, kept = server.pid, lock.read_text()
        try:
            for pid in (sleeper.pid, other.pid):
                lock.write_text("%d\n" % pid)
                assert interrupt(server.data) == 3
            assert sleeper.poll() is None and other.sql("SELECT 1") == "1"
        finally:
            lock.write_text(kept)
            sleeper.terminate()
            sleeper.wait()
        assert interrupt(server.data) == 0
        wait_until_gone(first)
        assert "received fast shutdown request" in server.log and "shutdown request" not in other.log


@pytest.mark.parametrize("host", ["127.0.0.1", "socket"])
def test_a_process_that_has_the_backends_number_is_not_its_backend(neighbour: Server, host: str) -> None:
    """In containers pids are small, and the same number is soon another one's."""
    background = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"
    user = "postgres" if host == "socket" else "dba"
    address = str(neighbour.directory) if host == "socket" else host
    with contextlib.closing(
        psycopg2.connect(host=address, port=neighbour.port, user=user, password=PASSWORD, dbname="postgres")
    ) as client:
        with client.cursor() as cursor:
            cursor.execute("SELECT coalesce('(' || inet_client_port() || ')', '[local]')")
            place = cursor.fetchall()[0][0]
        own = client.info.backend_pid

        def other(pid: object, place: str) -> bool:
            words = [neighbour.data, neighbour.bin, neighbour.data, pid, place, user + " postgres "]
            argv = ["sh", "-c", _STANDS_SH, "oncall", *map(str, words)]
            out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
            assert "started: " in out
            return "\nother: " in out

        assert not other(own, place)
        assert other(own, "(1)") and other(neighbour.sql(background), place) and other(os.getpid(), place)


def test_where_it_cannot_be_proved_who_answers_nothing_is_asked(server: Server) -> None:
    server.sql("CREATE ROLE plain LOGIN; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    server.hba("local all plain trust")
    before = len(server.log)
    found = run("triage", server, **{**at_socket(server), "login_user": "plain"})
    assert found["facts"]["snapshot"] is None
    assert "it cannot be proved which cluster answers" in found["facts"]["errors"]["snapshot"]
    assert "ERROR" not in server.log[before:]
    server.sql("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
