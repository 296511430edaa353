# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the toolbox printed, read as facts; and what a health page says."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.health import says_healthy
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.toolbox import (
    parse_toolbox,
    toolbox_command,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import Login

FAILED = 'psql: error: connection to server at "db" (172.18.0.2), port 5432 failed: '
LOGIN = Login("db", 5432, "app", "shop", password="s3cret")
RESOLVED = "begin\t1790000000000000000\nresolved\t1790000000012000000\nresolve\t172.18.0.2\nresolve-done\t\n"
OPEN = RESOLVED + "reach\t172.18.0.2\n" + "probe\t0 1790000000.100000 1790000000.100200\n" * 10


def test_the_password_is_in_no_argument() -> None:
    argv, stdin = toolbox_command(LOGIN, 9.0, True)
    assert "s3cret" not in " ".join(argv)
    assert stdin == "s3cret\n"


def test_verification_is_left_out_where_only_the_client_has_the_authority() -> None:
    argv, _unused = toolbox_command(Login("db", 5432, "app", "shop", "verify-full"), 9.0, False)
    assert argv[4:9] == ["db", "5432", "app", "shop", "require"]
    assert argv[11] == "no"


def test_nothing_is_made_up_when_the_script_did_not_run() -> None:
    assert parse_toolbox("exec: sh: not found", LOGIN) == {}
    assert parse_toolbox("begin\t1\n", LOGIN) == {}


@pytest.mark.parametrize(("end", "error"), [("1790000000012000000", "not_found"), ("1790000002012000000", "timeout")])
def test_no_address(end: str, error: str) -> None:
    found = parse_toolbox("begin\t1790000000000000000\nresolved\t%s\nresolve-done\t\n" % end, LOGIN)
    assert found["resolution"]["error"] == error
    assert (found["reach"], found["startup"], found["attempt"]) == (None, None, None)


@pytest.mark.parametrize(
    ("probes", "outcome", "answered", "loss"),
    [
        (["0 1.0 1.1"] * 10, "open", 10, 0.0),
        (["0 1,0 1,1"] * 4 + ["124 "] * 6, "open", 4, 60.0),
        (["124 "] * 10, "timeout", 0, 100.0),
        (
            ["1 bash: connect: Connection refused bash: line 1: /dev/tcp/10.0.0.1/1: Connection refused"] * 10,
            "refused",
            10,
            0.0,
        ),
        (["1 bash: connect: No route to host"] * 10, "unreachable", 0, 100.0),
        (["1 bash: connect: Network is unreachable"] * 10, "unreachable", 0, 100.0),
    ],
)
def test_reach(probes: "list[str]", outcome: str, answered: int, loss: float) -> None:
    text = RESOLVED + "reach\t172.18.0.2\n" + "".join("probe\t%s\n" % probe for probe in probes)
    reach = parse_toolbox(text, LOGIN)["reach"]
    assert (reach["outcome"], reach["answered"], reach["loss_percent"]) == (outcome, answered, loss)
    assert reach["address"] == "172.18.0.2:5432"


def test_the_address_that_is_open_counts() -> None:
    text = RESOLVED + "reach\tfd00::2\nprobe\t124 \nreach\t172.18.0.2\nprobe\t0 1.0 1.1\n"
    assert parse_toolbox(text, LOGIN)["reach"]["address"] == "172.18.0.2:5432"
    text = RESOLVED + "reach\tfd00::2\nprobe\t124 \nreach\t172.18.0.2\nprobe\t124 \n"
    assert parse_toolbox(text, LOGIN)["reach"]["address"] == "[fd00::2]:5432"


FULL = b"E\0\0\0\x23SFATAL\0VFATAL\0C53300\0Mfull up\0\0"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("startup\t0 520000000c0000000512345678", ("accepting", None)),
        ("startup\t0 " + FULL.hex(), ("rejecting", "53300")),
        ("startup\t0 ", ("refused", None)),
        ("startup\t124 ", ("silent", None)),
        ("startup\t1 ", ("timeout", None)),
    ],
)
def test_startup(line: str, expected: "tuple[str, str | None]") -> None:
    startup = parse_toolbox(OPEN + line + "\n", LOGIN)["startup"]
    assert (startup["outcome"], startup["sqlstate"]) == expected


def test_a_closed_port_needs_no_startup_packet() -> None:
    text = RESOLVED + "reach\t172.18.0.2\nprobe\t1 Connection refused\n"
    assert parse_toolbox(text, LOGIN)["startup"]["outcome"] == "refused"


def attempt(code: int, *said: str) -> Any:
    text = OPEN + "login\t%d\n" % code + "".join("login-text\t%s\n" % line for line in said)
    return parse_toolbox(text, LOGIN)["attempt"]


@pytest.mark.parametrize(
    ("code", "said", "outcome", "message"),
    [
        (0, "172.18.0.9 t", "ok", None),
        (
            2,
            FAILED + 'FATAL:  role "app" does not exist',
            "rejected",
            'role "app" does not exist',
        ),
        (
            2,
            FAILED + "SCHWERWIEGEND:  Rolle fehlt",
            "rejected",
            "Rolle fehlt",
        ),
        (
            2,
            "psql: error: FATAL:  sorry, too many clients already",
            "rejected",
            "sorry, too many clients already",
        ),  # 13
        (
            2,
            FAILED + "Connection refused",
            "failed",
            "Connection refused",
        ),
        (
            2,
            FAILED + "timeout expired",
            "timeout",
            "timeout expired",
        ),
        (
            2,
            FAILED + "server does not support SSL, but SSL was required",
            "no_tls",
            "server does not support SSL, but SSL was required",
        ),
        (
            2,
            FAILED + "server closed the connection unexpectedly",
            "closed",
            "server closed the connection unexpectedly",
        ),
        (
            2,
            FAILED + "fe_sendauth: no password supplied",
            "failed",
            "fe_sendauth: no password supplied",
        ),
        (124, "", "timeout", "no answer in time"),
    ],
)
def test_attempt(code: int, said: str, outcome: str, message: "str | None") -> None:
    result = attempt(code, said)
    assert (result["outcome"], result["message"], result["succeeded"]) == (outcome, message, code == 0)


REFUSED = b"SFATAL\0VFATAL\0C28000\0Mno entry\0\0"


@pytest.mark.parametrize(("message", "sqlstate"), [("no entry", "28000"), ("password authentication failed", None)])
def test_a_refusal_before_the_password_has_the_code_of_the_startup_packet(message: str, sqlstate: str | None) -> None:
    packet = b"E" + (len(REFUSED) + 4).to_bytes(4, "big") + REFUSED
    text = OPEN + "startup\t0 %s\nlogin\t2\nlogin-text\t%sFATAL:  %s\n" % (packet.hex(), FAILED, message)
    assert parse_toolbox(text, LOGIN)["attempt"]["sqlstate"] == sqlstate


def test_a_login_tells_where_it_came_from() -> None:
    assert (attempt(0, "172.18.0.9 t")["source_address"], attempt(0, "172.18.0.9 t")["tls"]) == ("172.18.0.9", True)
    assert attempt(0, "- f")["source_address"] is None


@pytest.mark.parametrize(
    ("body", "healthy"),
    [
        ("OK", True),
        ("", True),
        ("[1]", True),
        ("{}", True),
        ('{"status": "healthy"}', True),
        ('{"status": "unhealthy"}', False),
        ('{"database": false}', False),
        ('{"database": "Disconnected "}', False),
        ('{"db": {"status": "down"}}', False),
        ('{"status": "ok", "checks": {"database": "error"}}', False),
        ('{"error_rate": 0, "errors": false, "debug": false}', True),
        ('{"connected": true, "db": "shop"}', True),
    ],
)
def test_health_page(body: str, healthy: bool) -> None:
    assert says_healthy(body) is healthy
