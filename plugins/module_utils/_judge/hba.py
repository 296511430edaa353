# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_hba.conf as the server reads it: the first line that fits decides (PostgreSQL manual, 20.1).

Works on rows of ``pg_hba_file_rules``, which has expanded ``@file`` and dropped the quotes: a database that is really
named ``all`` cannot be told from the keyword.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, List, Optional, Sequence, Union

if TYPE_CHECKING:
    from .._model.facts import HbaRule

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

_SSL = {"hostssl": True, "hostnossl": False}
_HOST_TYPES = (
    "host",
    "hostssl",
    "hostnossl",
    "hostnogssenc",
)  # hostgssenc needs GSSAPI encryption, which no probe uses
REFUSING = ("reject",)


def first_match(
    rules: Sequence[HbaRule],
    *,
    connection: str,
    tls: bool,
    database: str,
    user: str,
    member_of: Sequence[str],
    address: Optional[str],
    replication: bool = False,
    own_addresses: Sequence[str] = (),
) -> Optional[HbaRule]:
    """The line that decides, or None: then the server refuses (SQLSTATE 28000).

    ``connection`` is ``local`` or ``host``; ``replication`` means a physical walsender. A line whose address cannot be
    computed from here (see ``uncertain``) is passed over.
    """
    for rule in rules:
        if broken(rule):
            continue
        if (
            _type_fits(rule, connection, tls)
            and _database_fits(rule, database, user, member_of, replication)
            and _user_fits(rule, user, member_of)
            and (connection == "local" or _address_fits(rule, address, own_addresses))
        ):
            return rule
    return None


def uncertain(
    rules: Sequence[HbaRule],
    *,
    connection: str,
    tls: bool,
    database: str,
    user: str,
    member_of: Sequence[str],
    address: Optional[str],
    replication: bool = False,
    own_addresses: Sequence[str] = (),
) -> List[HbaRule]:
    """The lines that fit but for an address that only the server can judge: a host name, samenet, samehost."""
    if connection == "local":
        return []
    return [
        rule
        for rule in rules
        if not broken(rule)
        and _type_fits(rule, connection, tls)
        and _database_fits(rule, database, user, member_of, replication)
        and _user_fits(rule, user, member_of)
        and _address_fits(rule, address, own_addresses) is None
    ]


def broken(rule: HbaRule) -> bool:
    """Never loaded. A line with its columns *and* an error (hostssl while ssl is off) was: it only cannot match now."""
    return bool(rule["error"]) and rule["type"] is None


def refuses(rule: Optional[HbaRule]) -> bool:
    """No line, or one that says reject."""
    return rule is None or rule["auth_method"] in REFUSING


def describe(rule: HbaRule) -> str:
    """``pg_hba.conf line 12: hostssl all all 0.0.0.0/0 scram-sha-256``; no options, they can hold a secret."""
    name = (rule["file_name"] or "pg_hba.conf").rpartition("/")[2]
    words = [
        rule["type"],
        ",".join(rule["database"] or []),
        ",".join(rule["user_name"] or []),
        _address_text(rule),
        rule["auth_method"],
    ]
    text = " ".join(word for word in words if word)
    return "%s line %d: %s" % (name, rule["line_number"], rule["error"] if rule["error"] and broken(rule) else text)


def describe_connection(*, connection: str, tls: bool, database: str, user: str, address: Optional[str]) -> str:
    """The connection in pg_hba.conf's own order of words, for "no line matches ..."."""
    if connection == "local":
        return "local %s %s" % (database, user)
    return "%s %s %s %s" % ("host (TLS)" if tls else "host (no TLS)", database, user, address or "unknown address")


def _type_fits(rule: HbaRule, connection: str, tls: bool) -> bool:
    if connection == "local":
        return rule["type"] == "local"
    return rule["type"] in _HOST_TYPES and _SSL.get(rule["type"] or "", tls) == tls


def _database_fits(rule: HbaRule, database: str, user: str, member_of: Sequence[str], replication: bool) -> bool:
    for word in rule["database"] or []:
        if replication:  # a physical walsender asks for no database: "all" does not mean it
            fits = word == "replication"
        elif word == "replication":
            fits = False
        elif word == "all":
            fits = True
        elif word == "sameuser":
            fits = database == user
        elif word in ("samerole", "samegroup"):
            fits = database == user or database in member_of
        else:
            fits = _name_fits(rule, word, database)
        if fits:
            return True
    return False


def _user_fits(rule: HbaRule, user: str, member_of: Sequence[str]) -> bool:
    for word in rule["user_name"] or []:
        if word.startswith("+"):
            fits = word[1:] == user or word[1:] in member_of
        else:
            fits = word == "all" or _name_fits(rule, word, user)
        if fits:
            return True
    return False


def _name_fits(rule: HbaRule, word: str, name: str) -> bool:
    # rule_number came with PostgreSQL 16, and so did regular expressions; before, a slash was part of the name.
    if word.startswith("/") and rule["rule_number"] is not None:
        try:
            return re.search(word[1:], name) is not None
        except re.error:
            return False
    return word == name


def _address_fits(rule: HbaRule, address: Optional[str], own_addresses: Sequence[str]) -> Optional[bool]:
    """True, False, or None where only the server can tell."""
    where = rule["address"]
    if where == "all":
        return True
    if where is None:
        return False
    client = _parse(address)
    if where == "samehost":
        if client is None:
            return None
        if client.is_loopback or client in [_parse(own) for own in own_addresses]:
            return True
        return False if own_addresses else None
    if where == "samenet":
        return True if client is not None and client.is_loopback else None
    network = _network(where, rule["netmask"])
    if network is None:
        return None  # a host name
    if client is None:
        return network.prefixlen == 0 or None
    return client.version == network.version and client in network


def _network(address: str, netmask: Optional[str]) -> Union[ipaddress.IPv4Network, ipaddress.IPv6Network, None]:
    base, slash, length = address.partition("/")
    parsed = _parse(base)
    if parsed is None:
        return None
    prefix = length if slash else _prefix(netmask) if netmask else str(parsed.max_prefixlen)
    try:
        return ipaddress.ip_network("%s/%s" % (parsed, prefix), strict=False)
    except ValueError:
        return None


def _prefix(netmask: Optional[str]) -> str:
    mask = _parse(netmask)
    return str(bin(int(mask)).count("1")) if mask is not None else ""


def _parse(address: Optional[str]) -> Optional[Address]:
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _address_text(rule: HbaRule) -> str:
    if not rule["address"]:
        return ""
    network = _network(rule["address"], rule["netmask"]) if rule["netmask"] else None
    return str(network) if network is not None else rule["address"]
