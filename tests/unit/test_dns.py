# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names resolved the way a container would: files and packets."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.wire import dns
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.wire.dns import ResolvConf, candidates, in_hosts

HOSTS = """
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost
# 10.0.0.9 gone
172.18.0.5 api-1 DB.internal   # two names
nonsense db.internal
172.18.0.5 db.internal
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("localhost", ["127.0.0.1", "::1"]),
        ("db.internal", ["172.18.0.5"]),
        ("API-1.", ["172.18.0.5"]),
        ("gone", []),
        ("172.18.0.5", []),
        ("two", []),
    ],
)
def test_hosts_file(name: str, expected: "list[str]") -> None:
    assert in_hosts(HOSTS, name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ResolvConf([], [], 1)),
        # a name would be looked up by this host, outside of the client's network
        ("nameserver dns.example.com\nnameserver 1.1.1.1\n", ResolvConf(["1.1.1.1"], [], 1)),
        ("nameserver 127.0.0.11\noptions ndots:0\n", ResolvConf(["127.0.0.11"], [], 0)),
        (
            "search a.b c.d\nnameserver 1.1.1.1 # us\nnameserver ::1\n; x\noptions edns0 ndots:5 trust-ad\n",
            ResolvConf(["1.1.1.1", "::1"], ["a.b", "c.d"], 5),
        ),
        (
            "domain old\nsearch .\n" + "".join("nameserver ::%s\n" % name for name in "abcd"),
            ResolvConf(["::a", "::b", "::c"], [], 1),
        ),
    ],
)
def test_resolv_conf(text: str, expected: ResolvConf) -> None:
    assert dns.parse_resolv_conf(text) == expected


@pytest.mark.parametrize(
    ("name", "search", "ndots", "expected"),
    [
        ("db", [], 1, ["db"]),
        ("db", ["a.b", "c"], 1, ["db.a.b", "db.c", "db"]),
        ("db", ["a.b"], 0, ["db", "db.a.b"]),
        ("db.x", ["a.b"], 1, ["db.x", "db.x.a.b"]),
        ("db.x", ["a.b"], 5, ["db.x.a.b", "db.x"]),
        ("db.", ["a.b"], 5, ["db"]),
    ],
)
def test_search_list(name: str, search: "list[str]", ndots: int, expected: "list[str]") -> None:
    assert candidates(name, ResolvConf([], search, ndots)) == expected


def test_query() -> None:
    assert dns.build_query(0x1234, "my_db.x", dns.AAAA) == (
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + b"\x05my_db\x01x\x00" + b"\x00\x1c\x00\x01"
    )


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, "\udcff"])
def test_what_cannot_be_a_name_is_not_asked(name: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        dns.build_query(1, name, dns.A)


def record(kind: int, data: bytes, owner: bytes = b"\xc0\x0c") -> bytes:
    return owner + struct.pack("!HHIH", kind, 1, 600, len(data)) + data


def reply(answers: "list[bytes]", code: int = 0, flags: int = 0x8180) -> bytes:
    question = dns.build_query(7, "db.x", dns.A)[12:]
    return struct.pack("!HHHHHH", 7, flags | code, 1, len(answers), 0, 0) + question + b"".join(answers)


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (reply([]), (7, 0, [])),
        (reply([], code=3), (7, 3, [])),
        (reply([record(1, bytes([172, 18, 0, 2]))]), (7, 0, ["172.18.0.2"])),
        (reply([record(28, b"\xfd" + b"\0" * 14 + b"\x02")]), (7, 0, ["fd00::2"])),
        # an alias, then the address of what it stands for, its name in full
        (
            reply([record(5, b"\x04real\xc0\x0f"), record(1, bytes([10, 0, 0, 1]), b"\x04real\x01x\x00")]),
            (7, 0, ["10.0.0.1"]),
        ),
    ],
)
def test_reply(packet: bytes, expected: "tuple[object, ...]") -> None:
    assert dns.parse_reply(packet) == expected


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\0" * 11,
        reply([], flags=0x0100),
        reply([record(1, b"\1\2\3\4")])[:30],
        struct.pack("!HHHHHH", 7, 0x8180, 1, 0, 0, 0) + b"\x3fshort",
    ],
)
def test_no_reply(packet: bytes) -> None:
    with pytest.raises(ValueError, match=r"truncated|not a reply"):
        dns.parse_reply(packet)
