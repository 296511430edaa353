# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a container or the wire says: no parser raises anything but an error of ours, and each comes to an end.

Inputs are put together from what the real thing is made of, from numbers that are none (``²``, five thousand digits),
from line ends that only some readers know, and from anything.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError, TargetError
from ansible_collections.oncall.postgresql.plugins.module_utils._core.mask import mask, mask_words
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client import health, toolbox, verifier
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.secret_files import password_for
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.settings import (
    named_user,
    parse_connection_string,
    resolve_login,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime import log, look, ready
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import Login
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose import api, containers
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.engine import connect
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.wire import dns, protocol, wire
from ansible_collections.oncall.postgresql.plugins.module_utils._judge import titles
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials import env_passwords
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.recreation import env_file
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.server import probe

fuzz = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBERS = ("0", "1", "-1", "5432", "65535", "65536", "99999", "²", "٣", "9" * 20, "9" * 5000, "1e999", "nan", "")
STRANGE = (
    "\n",
    "\r\n",
    "\r",
    "\x0b",
    "\x1c",
    "\x85",
    "\u2028",
    "\t",
    " ",
    "\0",
    "\ufeff",
    "\udc80",
    "é",
    "'",
    '"',
    "\\",
)


def made_of(*pieces: str, longest: int = 12) -> st.SearchStrategy[str]:
    """Texts of the given pieces, strange characters and anything else."""
    piece = st.one_of(st.sampled_from((*pieces, *NUMBERS, *STRANGE)), st.text(max_size=4))
    return st.lists(piece, max_size=longest).map("".join)


# --- from a container -------------------------------------------------------------------------------------------------

TITLE = made_of("postgres: ", "app ", "shop ", "[local] ", "10.0.0.7(", ") ", "idle", "SELECT waiting", "startup", ": ")


@fuzz
@given(st.lists(TITLE, max_size=4))
@example(["postgres: a b h(%s) idle" % ("9" * 5000)])
@example(["postgres: a b h(٣) idle"])
def test_process_titles(found: list[str]) -> None:
    processes: Any = [{"pid": 1, "state": "S", "title": title} for title in found]
    for backend in titles.backends(processes):
        assert backend.port is None or 0 <= backend.port < 65536
    titles.startup(processes)


@fuzz
@given(st.lists(st.lists(made_of("postgres", "/usr/bin/postgres", "PID", "S"), max_size=6), max_size=4))
@example([["²", "²", "0", "S", "postgres"]])
@example([["9" * 5000, "1", "0", "S", "postgres"]])
def test_the_engines_process_list(rows: list[list[str]]) -> None:
    found = containers.rows({"Titles": ["PID", "PPID", "UID", "STAT", "COMMAND"], "Processes": rows})
    containers.processes(found)
    containers.postmaster(found)


@fuzz
@given(made_of("{", "}", '"message"', ":", "[", '"x"', "null"), st.integers(100, 599))
@example("[" * 100000, 500)
@example('{"message":' * 50000, 500)
def test_what_an_engine_says_of_a_failure(text: str, status: int) -> None:
    assert api._message(text.encode("utf-8", "surrogateescape"), status)


class Engine(BaseHTTPRequestHandler):
    """Whatever it is that has the engine's socket."""

    said = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.said)))
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the screen."""


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "tcp://127.0.0.1:%d" % server.server_address[1]
    server.shutdown()
    server.server_close()


@fuzz
@given(made_of("{", "}", '"ApiVersion"', '"MinAPIVersion"', ":", ",", '"1.41"', '"1"', "[", "]", "1.41", "null"))
@example('{"ApiVersion": "1"}')
@example('{"ApiVersion": "1.²"}')
@example('{"ApiVersion": {"a": 1}, "MinAPIVersion": []}')
@example("[]")
@example("[" * 100000)
@example('{"ApiVersion": "%s.1"}' % ("9" * 5000))
def test_what_answers_at_the_engines_address(engine: str, text: str) -> None:
    Engine.said = text.encode("utf-8", "surrogateescape")
    with contextlib.suppress(TargetError):
        connect(engine, Deadline(5)).close()


@fuzz
@given(
    made_of("2026-11-24T05:58:35.123456789Z", "T", "-", ":", "2026", "99", "+01:00", "Z", "."),
    made_of("SIG", "TERM", "INT", "RTMIN+3", "15", "_DFL"),
    made_of("5432", "/", "tcp", "udp", "-"),
)
@example("2026-13-24T05:58:35Z", "", "")
@example("%s-01-01T00:00:00Z" % ("9" * 30), "", "")
@example("2026-٣-24T05:58:35Z", "", "")
def test_an_inspected_container(at: str, stop_signal: str, port: str) -> None:
    inspected = {
        "State": {"Status": "running", "StartedAt": at, "FinishedAt": at, "ExitCode": 0},
        "Config": {"StopSignal": stop_signal},
        "HostConfig": {"PortBindings": {port: [{"HostIp": at, "HostPort": port}]}, "Tmpfs": {at: port}},
        "Mounts": [{"Destination": at}],
    }
    json.dumps(containers.lifecycle(inspected, 0.0))
    containers.stop_signal(inspected)
    containers.published(inspected)
    containers.mounts(inspected)
    containers.mount_of(inspected, at)


@fuzz
@given(
    made_of("LOG:  ", "FATAL:  ", "WARNING:  ", "HINT:  ", "could not bind", "\n", "\t", "x", longest=30),
    made_of("1", "137"),
)
def test_what_a_probe_printed(text: str, code: str) -> None:
    probe._refusal(text, code)
    probe._warnings(text)


ENTRY = made_of(
    *("PGDATA", "PGPORT", "DATABASE_URL", "DB_HOST", "POSTGRES_PASSWORD", "_FILE", "=", "PGPASSFILE", "/run/secrets/x"),
    *("postgresql://", "app:", "@", "db", "[", "]", ":", "/", "?", "host=", "port=", "passfile=", "%", ",", "#"),
)


@fuzz
@given(
    st.lists(ENTRY, max_size=5), st.lists(made_of("postgres", "-c", "-p", "--port=", "port=", "-D"), max_size=5), ENTRY
)
@example(["PGPORT=²"], ["postgres", "-p", "²"], "")
@example(["DATABASE_URL=postgresql://a:b@[::1/x"], [], "")
@example(["DB_HOST=h", "DB_PORT=²"], [], "")
@example(["DB_HOST=h", "DB_PORT=" + "9" * 5000], ["postgres", "-p", "9" * 5000], "")
def test_an_environment_and_a_command_line(env: list[str], words: list[str], secret: str) -> None:
    inspected = {"Config": {"Env": env}, "Path": "postgres", "Args": words}
    assert 0 < containers.port(inspected) < 65536
    containers.data_directory(inspected)
    given_env = containers.environment(inspected)
    login = resolve_login({}, given_env, {"host": "db"}, lambda _path: secret)
    assert login is not None and 0 < login.port < 65536
    named_user({}, given_env, lambda _path: secret)


@fuzz
@given(made_of("postgresql://", "app", ":", "@", "[", "]", "/", "?", "port=", "host=", "&", "%", "%zz", "=", " ", "#"))
def test_a_connection_string(text: str) -> None:
    parse_connection_string(text)


@fuzz
@given(made_of(":", "*", "\\", "#", "db", "app"))
def test_a_password_file(text: str) -> None:
    password_for(text, "db", 5432, "shop", "app")


@fuzz
@given(
    made_of(
        *("2026-11-24 05:58:35.123 UTC ", "[1] ", "FATAL:  ", "DETAIL:  ", "{", "}", '"timestamp":', '"message":', ","),
        *('"0000-13-45 99:99:99 UTC",', "53100", "1795499491.5 ", "postgres: could not open", "+99:99", "\t"),
        longest=30,
    ),
    st.integers(1, 50),
)
@example("99999999999999999999.123 [1] FATAL:  x\n", 5)
@example('{"timestamp":1,"message":[],"error_severity":{},"state_code":7}\n', 5)
@example('{"timestamp":"x","pid":1,"error_severity":"FATAL","message":"m","detail":null}\n' + "[" * 100000, 5)
@example("2026-02-30 25:61:61 UTC [1] FATAL:  x\n", 5)
@example("٣٣٣٣-٣٣-٣٣ ٣٣:٣٣:٣٣ UTC [1] FATAL:  x\n", 5)
def test_a_log(text: str, limit: int) -> None:
    begin = time.monotonic()
    log.classify(text, limit)
    assert time.monotonic() - begin < 5


TOKEN = "oncall-0123456789abcdef"
SECTIONS = ("where", "stat", "directory", "space", "statfs", "lock", "alive", "control", "checkpoint", "sockets", "log")


@fuzz
@given(
    made_of(
        *("\n%s " % TOKEN, *SECTIONS, "configuration", "descriptors", "limits", "log_path", "= ", "directory=/d", "\n"),
        *(
            "700 1 2 3 /d\n",
            "socket:[1]",
            "Max open files",
            "  0: 0100007F:1538 00000000:0000 0A ",
            "1 2 3 4% /\n",
            "FFFF:",
        ),
        *("Database cluster state:", "Latest checkpoint location: ", "0/0", "unlimited", "4096 1 1 1 1 /d/.", ": "),
        longest=40,
    )
)
@example("\n%s sockets\n  0: XYZ:1538 00000000:0000 0A 0 0 0 0 0\n\n%s = 0\n" % (TOKEN, TOKEN))
@example("\n%s sockets\n  0: 0100007:1538 00000000:0000 0A 0 0 0 0 0\n\n%s = 0\n" % (TOKEN, TOKEN))
@example("\n%s sockets\n\n%s = ²\n" % (TOKEN, TOKEN))
@example("\n%s sockets\n\n%s = %s\n" % (TOKEN, TOKEN, "9" * 5000))
@example(
    "\n%s where\ndirectory=/d\n\n%s = 0\n\n%s stat\n7 %s 2 3 /d\n\n%s = 0" % (TOKEN, TOKEN, TOKEN, "9" * 5000, TOKEN)
)
def test_what_the_look_script_printed(text: str) -> None:
    json.dumps(look.parse("look %s 10\n%s" % (TOKEN, text)))
    look.parse(text)


@fuzz
@given(made_of("ready ", "socket ", "/tmp ", "1 ", "0 ", "0.1 ", "...", "text", longest=12))
@example("ready socket /tmp 1 0 1.1.1 2 1 x")
@example("ready socket /tmp ٣ 0 . . 1 x")
def test_what_pg_isready_printed(line: str) -> None:
    ready._parse(line)


@fuzz
@given(
    made_of(
        *(
            "begin\t",
            "resolved\t",
            "resolve\t",
            "resolve-done\t",
            "reach\t",
            "probe\t",
            "ready\t",
            "startup\t0 ",
            "login\t",
        ),
        *(
            "login-text\t",
            "asked\t",
            "answered\t",
            "psql: error: ",
            "FATAL:  x",
            "45000000",
            "\n",
            "0 1.0 x",
            "10.0.0.1",
        ),
        longest=40,
    )
)
@example("resolve-done\t\nreach\ta\nprobe\t0 x y\n")
@example("resolve-done\t\nreach\ta\nprobe\t0 1 2\nstartup\t0 zz\n")
@example("resolve-done\t\nreach\ta\nprobe\t0 1 2\nstartup\t0 450\n")
@example("begin\t%s\nresolved\t²²²²²²²²²²²²²²²²²\nresolve-done\t\n" % ("9" * 5000))
def test_what_the_toolbox_printed(text: str) -> None:
    toolbox.parse_toolbox(text, Login("db", 5432, "app", "shop", password="hunter2"))


@fuzz
@given(
    made_of("HTTP/1.1 ", "200", " OK", "\r\n\r\n", "{", "}", '"status"', ":", '"down"', "[" * 2000),
    made_of("sh: ", ": "),
)
@example("HTTP/1.1 ² OK\r\n\r\n", "")
@example("HTTP/1.1 %s OK\r\n\r\n" % ("9" * 5000), "")
@example("HTTP/1.1 200 OK\r\n\r\n" + "[" * 60000, "")
def test_a_health_page(answer: str, said: str) -> None:
    health.read_page("http://localhost/health", answer, said)


@fuzz
@given(made_of("http://", "https://", "[", "]", ":", "/", "@", "host", "?"))
@example("http://[::1/")
@example("http://h:²/")
@example("http://h:99999/")
@example("http://a\r\nHost: b/")
def test_a_health_pages_address(url: str) -> None:
    health.page_command(url, 1)
    found = health.check_health(url, "/nowhere", Deadline(0.05))
    assert found["ok"] is False


@fuzz
@given(made_of("services:", "\n", "  api:", "  - x", "include:", "<<:", "#", ":", "'", longest=20))
def test_a_compose_file(text: str) -> None:
    containers.services_of(text)


@fuzz
@given(
    made_of("DB_PASSWORD", "export ", "=", "#", "${", "$X", "postgres://app:", "@db", "host=h password=p", longest=20),
    made_of("p", "$", "#"),
)
def test_an_env_file(text: str, password: str) -> None:
    found = env_file.entries(text)
    for key, entry in found.items():
        assert text[entry.start : entry.end] == entry.written and entry.value is not None
        with contextlib.suppress(RefusedError):
            env_passwords.password_in(text, key, "app", ".env")
        try:
            new = env_passwords.with_password(text, [key], "app", password, ".env")
        except RefusedError:
            continue
        assert env_passwords.password_in(new, key, "app", ".env") == password
        others = {name: one.written for name, one in found.items() if name != key}
        assert {name: one.written for name, one in env_file.entries(new).items() if name != key} == others


@fuzz
@given(made_of("SCRAM-SHA-256$", "4096:", "$", "=", "md5", "a" * 32), made_of("p"))
@example("SCRAM-SHA-256$%s:AA==$AA==:AA==" % ("9" * 5000), "x")
@example("SCRAM-SHA-256$٣:AA==$AA==:AA==", "x")
@example("SCRAM-SHA-256$1:AA==$AA==:AA==", "\udc80")
@example("md5" + "a" * 32, "\udc80")
def test_a_verifier(text: str, password: str) -> None:
    verifier.kind(text)
    verifier.matches(password, text, "app")


@fuzz
@given(
    made_of("PASSWORD ", "'", "$$", "ALTER ROLE a ", "password=", "://a:", "@", "/*", "--", "E'", longest=40),
    made_of("x"),
)
@example("x", "xx\udc80")
def test_masking(text: str, secret: str) -> None:
    begin = time.monotonic()
    mask(text, [secret])
    mask_words({"a": [text]}, [secret] if secret else [])
    assert time.monotonic() - begin < 5


# --- the name service -------------------------------------------------------------------------------------------------


@fuzz
@given(
    made_of("nameserver ", "10.0.0.1", "::1%eth0", "search ", "options ", "ndots:", "#", ".", "a" * 70, longest=20),
    made_of("db", ".", "a" * 70, "xn--", "postgres"),
)
@example("options ndots:²", "db")
@example("options ndots:" + "9" * 5000, "db")
@example("nameserver not-an-address", "db")
@example("nameserver \udc80\nnameserver a\0b", "db")
@example("search \udc80.x ..", "é")
def test_resolv_conf_and_hosts(text: str, name: str) -> None:
    found = dns.parse_resolv_conf(text)
    assert len(found.nameservers) <= 3
    for candidate in dns.candidates(name, found):
        with contextlib.suppress(ValueError):  # no host name
            dns.build_query(1, candidate, dns.A)
    dns.in_hosts(text, name)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "etc").mkdir()
        yield Path(name)


@settings(fuzz, max_examples=25)
@given(
    st.sampled_from(
        ["nameserver 127.0.0.1\n", "nameserver x\n", "nameserver a\0b\n", "nameserver \udc80\n", "nameserver ²\n"]
    ),
    made_of("db", ".", "a" * 70, "postgres"),
)
def test_a_name_at_a_containers_place(root: Path, resolv: str, name: str) -> None:
    """With whatever stands in its files; at 127.0.0.1 nobody answers DNS, or says that there is no such name."""
    (root / "etc" / "resolv.conf").write_bytes(resolv.encode("utf-8", "surrogateescape"))
    found = dns.resolve(name, Deadline(0.05), str(root))
    assert found["error"] is None or not found["addresses"]


@settings(fuzz, max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=12),
            st.sampled_from(
                [b"\0\7\x81\x80\0\1\0\1\0\0\0\0", b"\xc0\x0c", b"\2db\0", b"\0\1\0\1\0\0\0\0\0\4", b"\xff" * 9]
            ),
        ),
        max_size=8,
    ).map(b"".join)
)
@example(struct.pack("!HHHHHH", 7, 0x8180, 65535, 65535, 0, 0) + b"\0" * 600)
def test_a_dns_packet(packet: bytes) -> None:
    with contextlib.suppress(ValueError):
        dns.parse_reply(packet)


# --- the wire ---------------------------------------------------------------------------------------------------------


def message(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    return kind + struct.pack("!I", len(body) + 4 if length is None else length) + body


BODIES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"\0\0\0\0",
            b"\0\0\0\3",
            b"\0\0\0\5salt",
            b"\0\0\0\x0aSCRAM-SHA-256\0\0",
            b"\0\0\0\x0bv=AAAA",
            b"\0\0\0\x0br=x,s=AA==,i=4096",
            b"\0\0\0\x0cv=AAAA",
            b"SFATAL\0C28P01\0Mno\0\0",
            b"I",
        ]
    ),
)
PACKETS = st.lists(
    st.one_of(
        st.builds(message, st.sampled_from([b"R", b"E", b"N", b"S", b"K", b"Z", b"v", b"X", b"\0"]), BODIES),
        st.builds(
            message, st.sampled_from([b"R", b"E"]), BODIES, st.sampled_from([0, 3, 4, 5, 1 << 20, (1 << 32) - 1])
        ),
        st.binary(max_size=20),
        st.sampled_from([b"S", b"N", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"E" + b"sorry\n\0"]),
    ),
    max_size=5,
).map(b"".join)


@settings(fuzz, max_examples=200)
@given(PACKETS)
def test_the_first_answer(data: bytes) -> None:
    wire.read_answer(data)
    protocol.error_fields(data)
    protocol.mechanisms(data)


@settings(fuzz, max_examples=100)
@given(st.binary(max_size=40), st.binary(max_size=40))
@example(b"r=nonceX,s=\xff,i=1", b"v=\xff")
@example(b"r=nonceX,s=AA==,i=" + b"9" * 5000, b"")
@example("r=nonceX,s=AA==,i=٣".encode(), b"")
def test_a_scram_exchange(first: bytes, final: bytes) -> None:
    exchange = protocol.Scram("p", nonce="nonce")
    with contextlib.suppress(protocol.ScramError):
        exchange.final(first)
    with contextlib.suppress(protocol.ScramError):
        exchange.check(final)


class Speaker:
    """A server that says something else to each caller."""

    def __init__(self, family: int) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.listening = socket.socket(family, socket.SOCK_STREAM)
        self.listening.bind(("127.0.0.1", 0) if family == socket.AF_INET else self.directory.name + "/s")
        self.listening.listen(64)
        self.address: Any = self.listening.getsockname()
        self.said = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _peer = self.listening.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(1)
                    connection.recv(4096)
                    connection.sendall(self.said)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass

    def close(self) -> None:
        self.listening.close()
        self.directory.cleanup()


@pytest.fixture(scope="module", params=[socket.AF_INET, socket.AF_UNIX], ids=["tcp", "socket"])
def speaker(request: pytest.FixtureRequest) -> Iterator[Speaker]:
    made = Speaker(request.param)
    yield made
    made.close()


@settings(fuzz, max_examples=100)
@given(PACKETS, st.sampled_from(["disable", "prefer", "require"]))
def test_a_probe_and_a_login(speaker: Speaker, said: bytes, ssl_mode: str) -> None:
    speaker.said = said
    begin = time.monotonic()
    wire.probe(speaker.address, Deadline(0.5), "network")
    found = wire.login(speaker.address, "app", "pass", "shop", ssl_mode, None, Deadline(0.5))
    assert time.monotonic() - begin < 3
    assert found["succeeded"] == (found["outcome"] == "ok")


@pytest.mark.parametrize("value", ["a\0b", "\udc80", "é" * 70000])
@pytest.mark.parametrize("where", ["user", "password", "database"])
def test_settings_that_no_packet_can_carry(speaker: Speaker, where: str, value: str) -> None:
    speaker.said = message(b"R", b"\0\0\0\3")
    words = {"user": "app", "password": "p", "database": "shop", where: value}
    found = wire.login(
        speaker.address, words["user"], words["password"], words["database"], "disable", None, Deadline(0.5)
    )
    assert found["succeeded"] is False
    assert wire.probe(speaker.address, Deadline(0.5), "network", words["user"], words["database"])["outcome"]
