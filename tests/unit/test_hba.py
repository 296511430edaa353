# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first match in pg_hba.conf, case by case of the manual's 20.1."""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.hba import (
    broken,
    describe,
    describe_connection,
    first_match,
    refuses,
    uncertain,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import HbaRule
from tests.unit.facts import hba

ASKED: Dict[str, Any] = {
    "connection": "host",
    "tls": False,
    "database": "shop",
    "user": "app",
    "member_of": ["staff"],
    "address": "10.0.0.7",
}


def fits(rule: HbaRule, **asked: Any) -> bool:
    return first_match([rule], **dict(ASKED, **asked)) is rule


@pytest.mark.parametrize(
    ("kind", "asked", "expected"),
    [
        ("local", {"connection": "local", "address": None}, True),
        ("local", {}, False),
        ("host", {"connection": "local", "address": None}, False),
        ("host", {"tls": False}, True),
        ("host", {"tls": True}, True),
        ("hostssl", {"tls": False}, False),
        ("hostssl", {"tls": True}, True),
        ("hostnossl", {"tls": False}, True),
        ("hostnossl", {"tls": True}, False),
        ("hostgssenc", {}, False),
        ("hostnogssenc", {}, True),
    ],
)
def test_type(kind: str, asked: Dict[str, Any], expected: bool) -> None:
    assert fits(hba(1, kind, "all", "all", None if kind == "local" else "all", "trust"), **asked) is expected


@pytest.mark.parametrize(
    ("database", "asked", "expected"),
    [
        ("all", {}, True),
        ("all", {"replication": True}, False),  # a physical walsender asks for no database
        ("replication", {"replication": True}, True),
        ("replication", {"database": "replication"}, False),
        ("shop", {}, True),
        ("other,shop", {}, True),
        ("other", {}, False),
        ("sameuser", {}, False),
        ("sameuser", {"database": "app"}, True),
        ("samerole", {"database": "staff"}, True),
        ("samerole", {"database": "app"}, True),  # a role is a member of itself
        ("samegroup", {"database": "boss"}, False),
        ("/^sh.p$", {}, True),
        ("/^sh$", {}, False),
        ("/(", {}, False),
    ],
)
def test_database(database: str, asked: Dict[str, Any], expected: bool) -> None:
    assert fits(hba(1, "host", database, "all", "all", "trust"), **asked) is expected


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("all", True),
        ("app", True),
        ("boss", False),
        ("+staff", True),
        ("+app", True),
        ("+boss", False),
        ("/^a", True),
        ("/^b", False),
        ("staff", False),
    ],
)
def test_user(user: str, expected: bool) -> None:
    assert fits(hba(1, "host", "all", user, "all", "trust")) is expected


def test_a_slash_is_a_name_before_16() -> None:
    assert not fits(hba(1, "host", "all", "/^a", "all", "trust", rule_number=None))
    assert fits(hba(1, "host", "all", "/^a", "all", "trust", rule_number=None), user="/^a")


@pytest.mark.parametrize(
    ("address", "netmask", "client", "expected"),
    [
        ("all", None, "10.0.0.7", True),
        ("all", None, "::1", True),
        ("0.0.0.0", "0.0.0.0", "10.0.0.7", True),
        ("0.0.0.0", "0.0.0.0", "2001:db8::7", False),
        ("::", "::", "10.0.0.7", False),
        ("10.0.0.0", "255.255.255.0", "10.0.0.7", True),
        ("10.0.0.0", "255.255.255.0", "10.0.1.7", False),
        ("10.0.0.0/8", None, "10.200.1.7", True),
        ("10.0.0.7", "255.255.255.255", "10.0.0.7", True),
        ("10.0.0.7", None, "10.0.0.8", False),
        ("2001:db8::", "ffff:ffff::", "2001:db8:1::7", True),
        ("fe80::", "ffc0::", "fe80::1%eth0", True),
        ("10.0.0.0", "255.255.255.0", "::ffff:10.0.0.7", True),
        ("samehost", None, "127.0.0.1", True),
        ("samehost", None, "10.0.0.2", True),
        ("samehost", None, "10.0.0.7", False),
        ("samenet", None, "127.0.0.1", True),
        ("samenet", None, "10.0.0.7", False),
        ("web.example.com", None, "10.0.0.7", False),
        ("10.0.0.0", "255.255.255.0", None, False),
    ],
)
def test_address(address: str, netmask: Optional[str], client: Optional[str], expected: bool) -> None:
    rule = hba(1, "host", "all", "all", address, "trust", netmask=netmask)
    assert fits(rule, address=client, own_addresses=["10.0.0.2"]) is expected


@pytest.mark.parametrize(
    ("address", "unsure"),
    [
        ("samenet", True),
        ("web.example.com", True),
        (".example.com", True),
        ("samehost", True),
        ("10.0.0.0/8", False),
        ("192.168.0.0/16", False),
    ],
)
def test_what_only_the_server_can_judge_is_said(address: str, unsure: bool) -> None:
    rule = hba(1, "host", "all", "all", address, "trust")
    assert (uncertain([rule], **ASKED) == [rule]) is unsure


def test_the_first_match_decides() -> None:
    rules = [
        hba(1, "local", "all", "all", None, "peer"),
        hba(2, "host", "all", "app", "10.0.0.7", "reject", netmask="255.255.255.255"),
        hba(3, "host", "all", "all", "all", "scram-sha-256"),
    ]
    assert first_match(rules, **ASKED) is rules[1]
    assert refuses(rules[1])
    assert first_match(rules, **{**ASKED, "address": "10.0.0.8"}) is rules[2]
    assert first_match(rules[:1], **ASKED) is None
    assert refuses(None)


def test_a_line_that_only_cannot_match_was_loaded() -> None:
    rule = hba(1, "hostssl", "all", "all", "all", "md5", error="hostssl record cannot match because SSL is disabled")
    assert not broken(rule)
    assert first_match([rule], **ASKED) is None
    assert first_match([rule], **{**ASKED, "tls": True}) is rule
    assert describe(rule) == "pg_hba.conf line 1: hostssl all all all md5"


def test_a_broken_line_was_never_loaded() -> None:
    rules = [
        hba(1, "host", "all", "all", "all", "trust", error="invalid", type=None),
        hba(2, "host", "all", "all", "all", "md5"),
    ]
    assert first_match(rules, **ASKED) is rules[1]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (
            hba(12, "hostssl", "all", "all", "0.0.0.0", "scram-sha-256", netmask="0.0.0.0"),
            "pg_hba.conf line 12: hostssl all all 0.0.0.0/0 scram-sha-256",
        ),
        (hba(3, "local", "shop,crm", "app", None, "peer"), "pg_hba.conf line 3: local shop,crm app peer"),
        (hba(4, "host", "all", "all", "samenet", "md5"), "pg_hba.conf line 4: host all all samenet md5"),
        (
            hba(
                5, "host", "all", "all", "all", "ldap", file_name="/etc/x/more.conf", options=["ldapbindpasswd=s3cret"]
            ),
            "more.conf line 5: host all all all ldap",
        ),
        (
            hba(
                6,
                "host",
                "all",
                "all",
                "::1",
                "trust",
                netmask="ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                file_name=None,
            ),
            "pg_hba.conf line 6: host all all ::1/128 trust",
        ),
        (
            hba(7, "host", "all", "all", "all", "x", error="invalid authentication method", type=None),
            "pg_hba.conf line 7: invalid authentication method",
        ),
    ],
)
def test_describe(rule: HbaRule, text: str) -> None:
    assert describe(rule) == text


def test_describe_connection() -> None:
    asked = {key: ASKED[key] for key in ("connection", "tls", "database", "user", "address")}
    assert describe_connection(**asked) == "host (no TLS) shop app 10.0.0.7"
    assert describe_connection(**dict(asked, connection="local")) == "local shop app"


words = st.sampled_from(["all", "app", "+staff", "/^a", "/(", "replication", "sameuser", "samerole", "shop", ""])
lists = st.none() | st.lists(words, max_size=3)
texts = st.none() | st.text(max_size=8)
rules = st.lists(
    st.fixed_dictionaries(
        {
            "rule_number": st.none() | st.integers(1, 9),
            "file_name": texts,
            "line_number": st.integers(1, 99),
            "type": st.sampled_from([None, "local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"]),
            "database": lists,
            "user_name": lists,
            "address": st.sampled_from(
                [None, "all", "samehost", "samenet", "10.0.0.0/8", "::", "x.example", "10.0.0.0/99"]
            ),
            "netmask": st.sampled_from([None, "255.0.0.0", "::", "nonsense"]),
            "auth_method": st.sampled_from([None, "reject", "trust", "md5"]),
            "options": lists,
            "error": texts,
        }
    ),
    max_size=4,
)


@given(rules, st.booleans(), st.booleans(), st.none() | st.ip_addresses().map(str) | st.text(max_size=6))
def test_any_rows(rows: List[HbaRule], tls: bool, replication: bool, address: Optional[str]) -> None:
    for connection in ("local", "host"):
        asked = {**ASKED, "connection": connection, "tls": tls, "replication": replication, "address": address}
        found = first_match(rows, **asked)
        assert found is None or (found in rows and not broken(found))
        for rule in rows:
            assert describe(rule)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_netmasks_as_ipaddress_has_them(
    base: ipaddress.IPv4Address, prefix: int, client: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network("%s/%d" % (base, prefix), strict=False)
    rule = hba(1, "host", "all", "all", str(base), "trust", netmask=str(network.netmask))
    assert fits(rule, address=str(client)) is (client in network)
