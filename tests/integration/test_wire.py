# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire against real servers: who answers, which logins work, what is lost, and from whose place.

As root, for the network namespaces; TLS needs a Debian build of PostgreSQL (``tests.embedded``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import DeadlineError, TargetError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client import client as _client
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client import place
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client import verifier as _verifier
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import (
    ClientOption,
    Completed,
    Login,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.wire import dns
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.wire.wire import knock, login, probe, reach
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import LoginAttempt, WireAnswer
from tests.embedded import Server, binaries, free_port
from tests.integration.servers import until as wait_until

PASSWORD = "s3cret pässwörd"
ROLES = """
SET password_encryption = 'scram-sha-256';
CREATE ROLE app LOGIN PASSWORD '%(password)s';
CREATE ROLE nobody_in LOGIN PASSWORD '%(password)s' CONNECTION LIMIT 0;
CREATE ROLE locked NOLOGIN PASSWORD '%(password)s';
SET password_encryption = 'md5';
CREATE ROLE old LOGIN PASSWORD '%(password)s'
""" % {"password": PASSWORD}


HANGS = 20  # seconds in which nothing here takes that long, unless a deadline does not hold


def soon(seconds: float = 5) -> Deadline:
    return Deadline(seconds)


def ask(address: Any, seconds: float = 5) -> WireAnswer:
    return probe(address, soon(seconds), "network")


def log_in(
    server: Server,
    user: str = "app",
    password: "str | None" = PASSWORD,
    database: str = "postgres",
    ssl_mode: str = "disable",
    ca_cert: "str | None" = None,
    **more: Any,
) -> LoginAttempt:
    return login((server.host, server.port), user, password, database, ssl_mode, ca_cert, soon(), **more)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(18) as running:
        running.sql(ROLES)
        yield running


@pytest.fixture(scope="module")
def tls() -> Iterator[Server]:
    with Server(tls=True) as running:
        running.sql(ROLES)
        yield running


@pytest.fixture
def alone() -> Iterator[Callable[..., Server]]:
    """Servers for one test, made to order."""
    made: list[Server] = []

    def make(**settings: Any) -> Server:
        made.append(Server(18, settings=settings))
        made[-1].start()
        made[-1].sql(ROLES)
        return made[-1]

    yield make
    for one in made:
        one.remove()


# --- the start-up packet --------------------------------------------------------------------------------------------


def test_an_accepting_server(server: Server) -> None:
    before = server.log
    for address in ((server.host, server.port), server.socket):
        answer = ask(address)
        assert (answer["outcome"], answer["sqlstate"]) == ("accepting", None)
    assert ask((server.host, server.port))["address"] == "127.0.0.1:%d" % server.port
    assert server.log == before  # it left no line


@pytest.mark.parametrize(
    ("rule", "sqlstate"),
    [
        ("host all all all trust", None),
        ("host all all all reject", "28000"),
        ("# nothing", "28000"),
        ("host all all all md5", None),
        ("host all all all password", None),
    ],
)
def test_a_server_that_refuses_us_is_accepting(server: Server, rule: str, sqlstate: "str | None") -> None:
    server.hba(rule)
    answer = ask((server.host, server.port))
    assert (answer["outcome"], answer["sqlstate"]) == ("accepting", sqlstate)


def test_nobody_there(server: Server) -> None:
    assert ask(("127.0.0.1", free_port()))["outcome"] == "refused"
    assert ask(str(server.directory / ".s.PGSQL.1"))["outcome"] == "missing"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(server.directory / "left"))
    left.close()
    assert ask(str(server.directory / "left"))["outcome"] == "refused"  # a socket that a dead server left


def test_a_frozen_server_is_silent(alone: Callable[..., Server]) -> None:
    server = alone()
    server.signal(signal.SIGSTOP)
    for address in ((server.host, server.port), server.socket):
        begin = time.monotonic()
        assert ask(address, 0.5)["outcome"] == "silent"
        assert 0.4 < time.monotonic() - begin < HANGS
    attempt = login((server.host, server.port), "app", PASSWORD, "postgres", "prefer", None, soon(0.5))
    assert (attempt["succeeded"], attempt["outcome"]) == (False, "timeout")
    server.signal(signal.SIGCONT)
    assert ask((server.host, server.port))["outcome"] == "accepting"


def test_a_full_queue_of_a_socket_is_silent(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as opened:
        listener.bind(path)
        listener.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = opened.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(path)
        assert ask(path, 0.5)["outcome"] == "silent"


def test_a_server_that_is_not_open_yet(alone: Callable[..., Server]) -> None:
    server = alone(lc_messages="C")
    server.stop()
    (server.data / "standby.signal").touch()
    server._own(server.data / "standby.signal")
    server.conf(hot_standby="off")
    server.start(wait=False)
    until = time.monotonic() + 10
    while ask((server.host, server.port))["outcome"] == "refused" and time.monotonic() < until:
        time.sleep(0.05)
    for _unused in range(2):
        answer = ask((server.host, server.port))
        assert (answer["outcome"], answer["severity"], answer["sqlstate"]) == ("rejecting", "FATAL", "57P03")
    attempt = log_in(server)
    assert (attempt["outcome"], attempt["sqlstate"]) == ("rejected", "57P03")


@contextlib.contextmanager
def listener(greet: "Callable[[socket.socket], None] | None") -> Iterator[int]:
    """A port where ``greet`` handles each connection; None: nobody ever accepts."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while greet is not None:
                    connection, _unused = server.accept()
                    with connection:
                        greet(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _hang_up_rudely(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _answer_as_ssh(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    connection.recv(1000)


def _answer_as_http(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_knock_is_answered_whatever_the_log_in_lines_say_and_logged_nowhere(server: Server, tls: Server) -> None:
    for each in (server, tls):
        each.conf(log_disconnections="off")
        each.hba("local all all peer", "hostssl all nobody_in all reject")
        before = each.log
        for address in ((each.host, each.port), each.socket):
            assert knock(address, soon(), "network")["outcome"] == "accepting"
        assert each.log == before
        assert ask((each.host, each.port))["sqlstate"] == "28000"
        assert "FATAL" in each.log[len(before) :]  # what the start-up packet leaves


def test_a_knock_at_a_frozen_server_is_not_answered(alone: Callable[..., Server]) -> None:
    server = alone()
    server.signal(signal.SIGSTOP)
    assert knock((server.host, server.port), soon(0.5), "network")["outcome"] == "silent"
    server.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("greet", "outcome", "login_outcome"),
    [
        (None, "silent", "timeout"),
        (lambda connection: None, "refused", "closed"),
        (_hang_up_rudely, "refused", "closed"),
        (_answer_as_ssh, "not_postgresql", "failed"),
        (_answer_as_http, "not_postgresql", "failed"),
    ],
)
def test_what_is_no_postgresql(greet: Any, outcome: str, login_outcome: str) -> None:
    with listener(greet) as port:
        assert ask(("127.0.0.1", port), 0.5)["outcome"] == outcome
        assert knock(("127.0.0.1", port), soon(0.5), "network")["outcome"] == outcome
        attempt = login(("127.0.0.1", port), "app", "x", "postgres", "disable", None, soon(0.5))
        assert (attempt["succeeded"], attempt["outcome"]) == (False, login_outcome)


def occupy(server: Server, user: str) -> "subprocess.Popen[str]":
    """A session that has its slot; one that is just being given up by somebody else is waited for."""

    def inside() -> "subprocess.Popen[str] | None":
        session = server.background("SELECT 'in';", user=user)
        assert session.stdout is not None
        if session.stdout.readline() == "in\n":
            return session
        session.communicate()
        return None

    session: "subprocess.Popen[str]" = wait_until(inside)
    return session


def test_no_slot_is_left(alone: Callable[..., Server]) -> None:
    server = alone(max_connections=4, superuser_reserved_connections=1, max_wal_senders=0)
    server.hba("local all all trust", "host all all all scram-sha-256")
    sessions = [occupy(server, "app") for _unused in range(3)]
    # No ordinary one: the client's own login says so, while the start-up packet is answered.
    assert ask((server.host, server.port))["outcome"] == "accepting"
    attempt = log_in(server)
    assert (attempt["outcome"], attempt["severity"], attempt["sqlstate"]) == ("rejected", "FATAL", "53300")
    # None at all: the start-up packet is refused as well.
    sessions.append(occupy(server, "postgres"))
    answer = ask((server.host, server.port))
    assert (answer["outcome"], answer["severity"], answer["sqlstate"]) == ("rejecting", "FATAL", "53300")
    for session in sessions:
        session.communicate()


def test_the_slot_of_a_probe_is_free_again_at_once(alone: Callable[..., Server]) -> None:
    server = alone(max_connections=4, superuser_reserved_connections=0, max_wal_senders=0)
    server.hba("local all all trust", "host all app all scram-sha-256", "host all postgres all trust")
    sessions = [occupy(server, "app") for _unused in range(3)]
    for _unused in range(20):  # one slot, and three that need it one after the other
        assert probe((server.host, server.port), soon(), "network")["outcome"] == "accepting"
        assert probe((server.host, server.port), soon(), "network", "app")["outcome"] == "accepting"
        assert log_in(server)["outcome"] == "ok"
    for session in sessions:
        session.communicate()


# --- logins ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "rule", "method"),
    [
        ("app", "scram-sha-256", "scram-sha-256"),
        ("app", "md5", "scram-sha-256"),
        ("app", "password", "password"),
        ("old", "md5", "md5"),
        ("old", "password", "password"),
        ("app", "trust", "trust"),
    ],
)
def test_every_method(server: Server, user: str, rule: str, method: str) -> None:
    server.hba("host all all all " + rule)
    attempt = log_in(server, user)
    assert (attempt["outcome"], attempt["succeeded"], attempt["method"]) == ("ok", True, method)
    assert (attempt["source_address"], attempt["tls"]) == ("127.0.0.1", False)
    if rule == "trust":
        return
    wrong = log_in(server, user, "wrong")
    assert (wrong["outcome"], wrong["severity"], wrong["sqlstate"]) == ("rejected", "FATAL", "28P01")
    assert "wrong" not in json.dumps(wrong)
    without = log_in(server, user, None)
    assert (without["outcome"], without["sqlstate"]) == ("failed", None)
    assert "the client's settings hold none" in (without["message"] or "")


@pytest.mark.parametrize(
    ("arguments", "sqlstate"),
    [
        ({"user": "app", "password": "wrong"}, "28P01"),
        ({"user": "no_such_role"}, "28P01"),
        ({"user": "locked"}, "28000"),
        ({"database": "no_such_db"}, "3D000"),
        ({"user": "nobody_in"}, "53300"),
        ({"database": "closed"}, "42501"),
        ({"user": "old"}, "28P01"),
    ],
)
def test_refusals(server: Server, arguments: Any, sqlstate: str) -> None:
    if arguments.get("database") == "closed":
        server.sql("CREATE DATABASE closed")
        server.sql("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    server.hba("host all all all scram-sha-256")
    attempt = log_in(server, **arguments)
    assert (attempt["outcome"], attempt["severity"], attempt["sqlstate"]) == ("rejected", "FATAL", sqlstate)
    assert attempt["message"]


def test_no_line_for_us(server: Server) -> None:
    server.hba("host all other all scram-sha-256", "local all all peer")
    assert log_in(server)["sqlstate"] == "28000"
    attempt = login(server.socket, "app", PASSWORD, "postgres", "require", None, soon())
    assert (attempt["outcome"], attempt["sqlstate"], attempt["source_address"]) == ("rejected", "28000", None)


def test_a_socket_needs_no_tls(server: Server) -> None:
    server.hba("local all all scram-sha-256")
    attempt = login(server.socket, "app", PASSWORD, "postgres", "verify-full", None, soon())
    assert (attempt["outcome"], attempt["method"], attempt["tls"]) == ("ok", "scram-sha-256", False)


def test_a_login_reports_its_name_and_leaves(server: Server) -> None:
    server.hba("host all all all scram-sha-256")
    server.conf(log_connections="on")
    server.reload()
    server.sql("SELECT 1")
    assert log_in(server, application_name="oncall")["succeeded"]
    assert "user=app database=postgres application_name=oncall" in server.log
    assert server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") == "0"
    server.conf(log_connections="off")
    server.reload()


def test_nobody_to_log_in_to() -> None:
    attempt = login(("127.0.0.1", free_port()), "app", "x", "postgres", "prefer", None, soon())
    assert (attempt["outcome"], attempt["message"]) == ("failed", "Connection refused")


# --- TLS ------------------------------------------------------------------------------------------------------------

ONLY_TLS, ONLY_PLAIN, BOTH = "hostssl all all all %s", "hostnossl all all all %s", "host all all all %s"
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [  # True: over TLS; False: in the clear; None: 28000
        (ONLY_TLS, (None, True, True, True, True, True)),
        (ONLY_PLAIN, (False, False, False, None, None, None)),
        (BOTH, (False, False, True, True, True, True)),
    ],
)
@pytest.mark.parametrize("method", ["scram-sha-256", "trust"])
def test_ssl_modes(tls: Server, rule: str, expected: "tuple[bool | None, ...]", method: str) -> None:
    assert tls.certificates
    tls.hba(rule % method)
    found = [log_in(tls, ssl_mode=mode, ca_cert=str(tls.certificates.authority), host="localhost") for mode in MODES]
    assert [one["tls"] if one["succeeded"] else None for one in found] == list(expected)
    assert {one["sqlstate"] for one in found if not one["succeeded"]} <= {"28000"}


@pytest.mark.parametrize(
    ("mode", "outcome", "message"),
    [
        ("disable", "ok", None),
        ("allow", "ok", None),
        ("prefer", "ok", None),
        ("require", "no_tls", "offers no TLS"),
        ("verify-full", "no_tls", "offers no TLS"),
    ],
)
def test_a_server_without_tls(server: Server, mode: str, outcome: str, message: "str | None") -> None:
    server.hba("host all all all scram-sha-256")
    attempt = log_in(server, ssl_mode=mode)
    assert (attempt["outcome"], attempt["tls"]) == (outcome, False)
    assert (message or "") in (attempt["message"] or "")


@pytest.mark.parametrize(
    ("mode", "authority", "host", "outcome"),
    [
        ("verify-full", True, "localhost", "ok"),
        ("verify-full", True, None, "ok"),  # 127.0.0.1 is in it
        ("verify-full", True, "db.example", "bad_certificate"),
        ("verify-ca", True, "db.example", "ok"),
        ("verify-ca", False, None, "bad_certificate"),
        ("require", False, None, "bad_certificate"),
        ("verify-full", None, None, "failed"),
        ("require", None, None, "ok"),
        ("prefer", False, None, "ok"),
    ],
)
def test_certificates(
    tls: Server, tmp_path: pathlib.Path, mode: str, authority: "bool | None", host: "str | None", outcome: str
) -> None:
    assert tls.certificates
    tls.hba("hostssl all all all scram-sha-256")
    other = tmp_path / "other.crt"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=other",
            "-keyout",
            os.devnull,
            "-out",
            str(other),
        ],
        check=True,
        capture_output=True,
    )
    ca_cert = None if authority is None else str(tls.certificates.authority if authority else other)
    assert log_in(tls, ssl_mode=mode, ca_cert=ca_cert, host=host)["outcome"] == outcome


def test_an_unusable_authority_is_named(tls: Server, tmp_path: pathlib.Path) -> None:
    empty = tmp_path / "empty.crt"
    empty.touch()
    for path in (tmp_path / "absent.crt", empty):
        attempt = log_in(tls, ssl_mode="verify-ca", ca_cert=str(path))
        assert (attempt["outcome"], str(path) in (attempt["message"] or "")) == ("failed", True)


@pytest.mark.parametrize(("mode", "failures"), [("disable", 1), ("require", 1), ("prefer", 2), ("allow", 2)])
def test_a_wrong_password_is_tried_as_often_as_libpq_does(tls: Server, mode: str, failures: int) -> None:
    tls.hba("host all all all scram-sha-256")
    before = tls.log.count("password authentication failed")
    attempt = log_in(tls, password="wrong", ssl_mode=mode)
    assert attempt["sqlstate"] == "28P01"
    assert tls.log.count("password authentication failed") - before == failures
    environment = {"PGPASSWORD": "wrong", "PGSSLMODE": mode, "HOME": str(tls.directory)}  # libpq looks for files there
    tls.run(
        "psql",
        "-XwqAt",
        "-h",
        tls.host,
        "-p",
        str(tls.port),
        "-U",
        "app",
        "-d",
        "postgres",
        "-c",
        "",
        check=False,
        environment=environment,
    )
    assert tls.log.count("password authentication failed") - before == 2 * failures


def test_the_refusal_that_says_more_is_reported(tls: Server) -> None:
    tls.hba("hostssl all all all scram-sha-256")
    for mode in ("prefer", "allow"):  # the plain attempt gets "no pg_hba.conf entry"
        attempt = log_in(tls, password="wrong", ssl_mode=mode)
        assert (attempt["sqlstate"], attempt["tls"]) == ("28P01", True)


# --- verifiers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encryption", ["scram-sha-256", "md5"])
@pytest.mark.parametrize("password", ["plain", PASSWORD, "\u2168 \u00aa\u00ad", "it''s"])
def test_what_the_server_stores(server: Server, encryption: str, password: str) -> None:
    server.sql("SET password_encryption = '%s'; ALTER ROLE old PASSWORD '%s'" % (encryption, password))
    verifier = server.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'old'")
    typed = password.replace("''", "'")
    assert _verifier.kind(verifier) == encryption
    assert _verifier.matches(typed, verifier, "old") is True
    assert _verifier.matches(typed + "x", verifier, "old") is False
    server.hba("host all all all md5")
    assert log_in(server, "old", typed)["outcome"] == "ok"
    server.sql("SET password_encryption = 'md5'; ALTER ROLE old PASSWORD '%s'" % PASSWORD)


# --- the network, from a namespace of its own -----------------------------------------------------------------------

_numbers = itertools.count(1)


class Namespace:
    """A network namespace with one cable to this host: ``near`` is our end's address. ``pid`` lives inside."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.name = "wire-%d-%d" % (os.getpid(), number)
        self.near, self.far = "10.213.%d.1" % number, "10.213.%d.2" % number
        here, there = "w%dn%d" % (os.getpid(), number), "w%df%d" % (os.getpid(), number)
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name)
        run("ip", "addr", "add", self.near + "/24", "dev", here)
        run("ip", "link", "set", here, "up")
        self.inside("ip", "addr", "add", self.far + "/24", "dev", there)
        self.inside("ip", "link", "set", there, "up")
        self.inside("ip", "link", "set", "lo", "up")
        self.process = subprocess.Popen(["ip", "netns", "exec", self.name, "sleep", "600"])
        self.pid = self.process.pid
        until = time.monotonic() + 5
        while os.readlink("/proc/%d/ns/net" % self.pid) == os.readlink("/proc/self/ns/net"):
            assert time.monotonic() < until
            time.sleep(0.01)

    def inside(self, *argv: str) -> None:
        run("ip", "netns", "exec", self.name, *argv)

    def remove(self) -> None:
        self.process.kill()
        self.process.wait()
        run("ip", "netns", "del", self.name)


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace()
    yield made
    made.remove()


@pytest.fixture
def far_server(namespace: Namespace) -> Iterator[Server]:
    """A server at the near end of the namespace's cable."""
    server = Server(18, listen="127.0.0.1,%s" % namespace.near)
    server.host = namespace.near
    with server:
        server.sql(ROLES)
        yield server


def test_a_thread_in_a_namespace(namespace: Namespace) -> None:
    assert place.can_enter(namespace.pid)
    assert not place.can_enter(2**22 + 1)

    def addresses() -> str:
        return subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True).stdout

    before = os.readlink("/proc/thread-self/ns/net")
    assert namespace.far in place.in_namespace(namespace.pid, addresses, soon())
    assert os.readlink("/proc/thread-self/ns/net") == before
    assert namespace.far not in addresses()
    with pytest.raises(TargetError, match="Cannot enter the network namespace"):
        place.in_namespace(2**22 + 1, addresses, soon())
    with pytest.raises(DeadlineError):
        place.in_namespace(namespace.pid, lambda: time.sleep(1), soon(0.1))
    with pytest.raises(ZeroDivisionError):
        place.in_namespace(namespace.pid, lambda: 1 / 0, soon())


def test_without_the_capability_there_is_no_way_in(namespace: Namespace) -> None:
    code = "from %s import can_enter; print(can_enter(%d))" % (place.__name__, namespace.pid)
    for drop, expected in (("-net_raw", "True"), ("-sys_admin", "False")):
        done = subprocess.run(
            ["setpriv", "--bounding-set=" + drop, sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected


def test_reach_a_healthy_port(namespace: Namespace, far_server: Server) -> None:
    before = far_server.log
    found = place.in_namespace(namespace.pid, lambda: reach(far_server.host, far_server.port, soon()), soon())
    assert (found["outcome"], found["probes"], found["answered"], found["loss_percent"]) == ("open", 10, 10, 0.0)
    assert found["latency_ms"] is not None and found["latency_ms"] > 0
    assert found["address"] == "%s:%d" % (far_server.host, far_server.port)
    assert far_server.log == before


@pytest.mark.parametrize(
    ("rule", "outcome", "loss"),
    [
        (("-j", "DROP"), "timeout", (100, 100)),
        (("-m", "statistic", "--mode", "random", "--probability", "0.6", "-j", "DROP"), "open", (15, 95)),
        (("-j", "REJECT", "--reject-with", "tcp-reset"), "refused", (0, 0)),
    ],
)
def test_reach_through_a_bad_network(
    namespace: Namespace, far_server: Server, rule: Any, outcome: str, loss: "tuple[float, float]"
) -> None:
    namespace.inside("iptables", "-A", "OUTPUT", "-p", "tcp", "--dport", str(far_server.port), *rule)
    found = place.in_namespace(namespace.pid, lambda: reach(far_server.host, far_server.port, soon()), soon())
    assert found["outcome"] == outcome
    assert loss[0] <= found["loss_percent"] <= loss[1]
    assert found["probes"] == (10 if outcome == "refused" else 20)


def test_reach_nowhere(namespace: Namespace) -> None:
    refused = place.in_namespace(namespace.pid, lambda: reach(namespace.near, free_port(), soon()), soon())
    assert (refused["outcome"], refused["answered"], refused["loss_percent"]) == ("refused", 10, 0.0)
    unreachable = place.in_namespace(namespace.pid, lambda: reach("203.0.113.7", 5432, soon()), soon())
    assert (unreachable["outcome"], unreachable["answered"], unreachable["latency_ms"]) == ("unreachable", 0, None)
    begin = time.monotonic()
    silent = place.in_namespace(
        namespace.pid, lambda: reach("10.213.%s.77" % namespace.near.split(".")[2], 1, soon(0.3)), soon()
    )
    assert silent["outcome"] == "timeout"  # nobody has that address
    assert time.monotonic() - begin < HANGS  # the deadline holds, not the kernel's own two minutes


# --- names ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def name_server(
    namespace: Namespace, address: str, records: "dict[str, list[str]]", code: int = 3, mute: bool = False
) -> Iterator[None]:
    """A tiny DNS server inside the namespace: ``records``, and ``code`` for every other name."""

    def open_port() -> socket.socket:
        port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        port.bind((address, 53))
        return port

    port = place.in_namespace(namespace.pid, open_port, soon())

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                query, client = port.recvfrom(512)
                if query == b"stop":
                    return
                question, labels, rest = query[12:], [], query[12:]
                while rest[0]:
                    labels.append(rest[1 : 1 + rest[0]].decode())
                    rest = rest[1 + rest[0] :]
                kind, name = rest[2], ".".join(labels)
                family = {1: socket.AF_INET, 28: socket.AF_INET6}[kind]
                fitting = [one for one in records.get(name, []) if (":" in one) == (kind == 28)]
                answers = [socket.inet_pton(family, one) for one in fitting]
                reply = query[:2] + bytes([0x81, 0x80 | (0 if name in records else code), 0, 1, 0, len(answers)])
                reply += b"\0\0\0\0" + question
                for data in answers:
                    reply += b"\xc0\x0c\0" + bytes([kind]) + b"\0\1\0\0\2\x58\0" + bytes([len(data)]) + data
                if not mute:
                    port.sendto(reply, client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    port.sendto(b"stop", port.getsockname())
    thread.join(5)
    port.close()


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "hosts").write_text("127.0.0.1 localhost\n172.18.0.9 this-container\n")
    (tmp_path / "etc" / "resolv.conf").write_text(
        "search lab.internal\nnameserver 127.0.0.11\nnameserver 127.0.0.12\noptions ndots:0\n"
    )
    return tmp_path


def resolve(namespace: Namespace, root: pathlib.Path, name: str) -> Any:
    return place.in_namespace(namespace.pid, lambda: dns.resolve(name, soon(), str(root)), soon(10))


def test_names_as_the_container_sees_them(namespace: Namespace, root: pathlib.Path) -> None:
    records = {
        "db": ["172.18.0.2", "fd00::2"],
        "db.lab.internal": ["10.9.9.9"],
        "only.lab.internal": ["10.1.1.1"],
        "empty": [],
    }
    with name_server(namespace, "127.0.0.11", records):
        found = resolve(namespace, root, "db")
        assert (found["addresses"], found["error"]) == (["172.18.0.2", "fd00::2"], None)
        assert found["nameserver"] == "127.0.0.11"
        assert resolve(namespace, root, "only")["addresses"] == ["10.1.1.1"]  # by the search list
        for name in ("nobody", "empty", "a..b"):
            missing = resolve(namespace, root, name)
            assert (missing["addresses"], missing["error"]) == ([], "not_found")
        hosts = resolve(namespace, root, "this-container")
        assert (hosts["addresses"], hosts["nameserver"]) == (["172.18.0.9"], None)
        literal = resolve(namespace, root, "192.0.2.1")
        assert (literal["addresses"], literal["nameserver"]) == (["192.0.2.1"], None)


def test_the_second_name_server_helps(namespace: Namespace, root: pathlib.Path) -> None:
    with name_server(namespace, "127.0.0.12", {"db": ["172.18.0.2"]}):
        assert resolve(namespace, root, "db")["nameserver"] == "127.0.0.12"  # the first is not there
        with name_server(namespace, "127.0.0.11", {}, code=2):
            assert resolve(namespace, root, "db")["nameserver"] == "127.0.0.12"  # the first has failed
        with name_server(namespace, "127.0.0.11", {}, mute=True):
            found = resolve(namespace, root, "db")
            assert (found["nameserver"], found["elapsed_ms"] > 1000) == ("127.0.0.12", True)


def test_name_servers_that_do_not_answer(namespace: Namespace, root: pathlib.Path) -> None:
    assert resolve(namespace, root, "db")["error"] == "no_nameserver"
    with name_server(namespace, "127.0.0.11", {}, mute=True):
        found = resolve(namespace, root, "db")
        assert (found["error"], found["addresses"]) == ("timeout", [])
    (root / "etc" / "resolv.conf").unlink()
    assert resolve(namespace, root, "db")["error"] == "no_nameserver"


def test_names_here() -> None:
    assert "127.0.0.1" in dns.resolve("localhost", soon())["addresses"]
    assert dns.resolve("no-such-host.invalid", soon())["addresses"] == []


# --- whole clients --------------------------------------------------------------------------------------------------


def settings(server: Server, **changes: Any) -> Login:
    return Login(
        **{
            "host": server.host,
            "port": server.port,
            "user": "app",
            "database": "postgres",
            "ssl_mode": "prefer",
            "password": PASSWORD,
            "source": "DATABASE_URL",
            **changes,
        }
    )


def toolbox(server: Server) -> Callable[..., Completed]:
    def run(argv: Any, stdin: str, deadline: Deadline) -> Completed:
        done = subprocess.run(
            argv,
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            env={"PATH": "%s:%s" % (server.bin, os.environ["PATH"])},
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    return run


Examine = Callable[[Server, Login], Any]


@pytest.fixture(params=["namespace", "here", "toolbox"])
def examine(request: pytest.FixtureRequest, namespace: Namespace) -> Examine:
    option = ClientOption("api", application_name="shop-api")

    def by(server: Server, wanted: Login) -> Any:
        if request.param == "namespace":
            return _client.examine_namespace(namespace.pid, option, wanted, soon())
        if request.param == "here":
            return _client.examine_here(option, wanted, soon())
        return _client.examine_toolbox(toolbox(server), option, wanted, soon())

    return by


def test_a_client_that_can(examine: Examine, far_server: Server) -> None:
    facts = examine(far_server, settings(far_server))
    assert facts["error"] is None
    assert facts["resolution"]["addresses"] == [far_server.host]
    assert (facts["reach"]["outcome"], facts["reach"]["loss_percent"]) == ("open", 0.0)
    assert (facts["startup"]["outcome"], facts["attempt"]["outcome"]) == ("accepting", "ok")
    assert facts["attempt"]["source_address"].startswith("10.213.")
    assert facts["login"] == {
        "host": far_server.host,
        "port": far_server.port,
        "user": "app",
        "database": "postgres",
        "ssl_mode": "prefer",
        "password_given": True,
        "source": "DATABASE_URL",
    }
    assert PASSWORD not in json.dumps(facts, ensure_ascii=False)


def test_a_client_that_cannot(examine: Examine, far_server: Server) -> None:
    wrong = examine(far_server, settings(far_server, password="wr0ng"))
    assert (wrong["startup"]["outcome"], wrong["attempt"]["outcome"]) == ("accepting", "rejected")
    assert wrong["attempt"]["sqlstate"] in ("28P01", None)  # psql tells none
    assert "wr0ng" not in json.dumps(wrong)
    closed = examine(far_server, settings(far_server, port=free_port()))
    assert (closed["reach"]["outcome"], closed["startup"]["outcome"]) == ("refused", "refused")
    assert closed["attempt"]["outcome"] == "failed"
    nowhere = examine(far_server, settings(far_server, host="no-such-host.invalid"))
    assert nowhere["resolution"]["error"] is not None
    assert (nowhere["reach"], nowhere["startup"], nowhere["attempt"]) == (None, None, None)


def test_a_client_of_a_frozen_server(examine: Examine, far_server: Server) -> None:
    far_server.signal(signal.SIGSTOP)
    begin = time.monotonic()
    facts = examine(far_server, settings(far_server))
    assert time.monotonic() - begin < HANGS
    assert (facts["reach"]["outcome"], facts["startup"]["outcome"]) == ("open", "silent")
    assert (facts["attempt"]["succeeded"], facts["attempt"]["outcome"]) == (False, "timeout")


def test_no_login_that_nobody_uses(examine: Examine, far_server: Server) -> None:
    facts = examine(far_server, settings(far_server, user="postgres", password=None, source="target"))
    assert (facts["startup"]["outcome"], facts["attempt"]) == ("accepting", None)


def test_a_socket_in_the_clients_place(server: Server) -> None:
    server.hba("local all all scram-sha-256", "host all all all scram-sha-256")
    facts: Any = _client.examine_here(ClientOption("api"), settings(server, host=str(server.directory)), soon())
    assert (facts["resolution"], facts["reach"]) == (None, None)
    assert (facts["startup"]["kind"], facts["attempt"]["outcome"]) == ("socket", "ok")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body, wait = {
            "/ok": (200, '{"status": "ok"}', 0),
            "/sick": (200, '{"database": "disconnected"}', 0),
            "/broken": (500, "oops postgresql://app:hunter2@db/shop", 0),
            "/moved": (302, "", 0),
            "/slow": (200, "", 3),
            "/host": (200, self.headers["Host"], 0),
        }[self.path]
        time.sleep(wait)
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Location", "/ok")
            self.end_headers()
            self.wfile.write(body.encode())

    def log_message(self, *_unused: Any) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "http://localhost:%d" % server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "status", "ok"),
    [
        ("/ok", 200, True),
        ("/sick", 200, False),
        ("/broken", 500, False),
        ("/moved", 302, False),
        ("/slow", None, False),
    ],
)
def test_health_pages(page: str, path: str, status: "int | None", ok: bool) -> None:
    health = _client.check_health(page + path, None, soon(1))
    assert (health["status"], health["ok"], health["error"] is None) == (status, ok, status is not None)
    assert "hunter2" not in json.dumps(health)


def test_health_keeps_the_name_it_was_asked_by(page: str) -> None:
    assert _client.check_health(page + "/host", None, soon())["body"] == page[len("http://") :]


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "nonsense", "http://[::1", "http://localhost:99999/"])
def test_health_urls_that_are_none(url: str) -> None:
    health = _client.check_health(url, None, soon())
    assert (health["ok"], bool(health["error"])) == (False, True)


def test_health_and_login_side_by_side(page: str, server: Server) -> None:
    server.hba("host all all all scram-sha-256")
    facts: Any = _client.examine_here(ClientOption("api", health_url=page + "/slow"), settings(server), soon(2.5))
    assert facts["attempt"]["outcome"] == "ok"  # the page that hangs has held up nothing
    assert (facts["health"]["ok"], facts["health"]["status"]) == (False, None)


def test_the_toolbox_without_bash(server: Server, tmp_path: pathlib.Path) -> None:
    server.hba("host all all all scram-sha-256")
    for program in ("sh", "getent", "timeout", "date", "tr", "head", "uniq"):
        found = subprocess.run(["which", program], capture_output=True, text=True, check=True).stdout.strip()
        (tmp_path / program).symlink_to(found)
    for program in ("psql", "pg_isready"):
        (tmp_path / program).symlink_to(binaries(18) / program)

    def run(argv: Any, stdin: str, deadline: Deadline) -> Completed:
        done = subprocess.run(
            ["/bin/sh", *argv[1:]],
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            env={"PATH": str(tmp_path)},
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    facts: Any = _client.examine_toolbox(run, ClientOption("api"), settings(server), soon())
    assert (facts["reach"]["outcome"], facts["reach"]["probes"], facts["attempt"]["outcome"]) == ("open", 1, "ok")
    assert facts["startup"]["outcome"] == "accepting"
    wrong = dataclasses.replace(settings(server), password="wrong")
    refused: Any = _client.examine_toolbox(run, ClientOption("api"), wrong, soon())
    assert (refused["attempt"]["outcome"], refused["startup"]) == ("rejected", None)


def test_a_toolbox_that_cannot_start(server: Server) -> None:
    facts = _client.examine_toolbox(
        lambda argv, stdin, deadline: Completed(127, "", "sh: not found"), ClientOption("api"), settings(server), soon()
    )
    assert facts["error"] == "the toolbox container exited with code 127 before it could check: sh: not found"
