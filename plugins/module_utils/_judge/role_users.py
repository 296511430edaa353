# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who could not log in any more once a role's password is another one. Pure; triage and credentials_reset both ask.

A session is not ended by it. Its next login is refused, unless the pg_hba.conf line that lets it in asks for no
password (``peer``, ``trust``, a certificate); where that line is not known for sure, it counts as locked out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .._core.text import count
from .hba import broken, first_match, refuses, uncertain

if TYPE_CHECKING:
    from .._model.facts import HbaRule, RoleSessions

BY_PASSWORD = ("password", "md5", "scram-sha-256")
_LOOPBACK = ("127.0.0.1", "::1")


class Named(NamedTuple):
    """A container whose environment names the role. ``harmed``: it has another password, and that may be in use."""

    name: str
    how: str
    service: Optional[str]
    harmed: bool


class Gate(NamedTuple):
    """Who is let in how. ``rules`` None: they may not be read; ``loaded``: pg_hba.conf is loaded as it is now."""

    role: str
    member_of: Sequence[str]
    rules: Optional[Sequence[HbaRule]]
    hba_file: Optional[str]
    loaded: Optional[bool]

    def asks_password(self, session: RoleSessions) -> bool:
        rules = self.rules
        if rules is None or not self.loaded:
            return True
        if any(broken(rule) or rule["file_name"] != self.hba_file for rule in rules):  # of an included file no time
            return True
        ways = [("local", False)] if session["client_address"] is None else [("host", True), ("host", False)]
        return any(self._asks(rules, session, connection, tls) for connection, tls in ways)

    def _asks(self, rules: Sequence[HbaRule], session: RoleSessions, connection: str, tls: bool) -> bool:
        login: Dict[str, Any] = {
            "connection": connection,
            "tls": tls,
            "database": session["database"] or "",
            "user": self.role,
            "member_of": self.member_of,
            "address": session["client_address"],
            "replication": session["database"] is None,
        }
        rule = first_match(rules, **login)
        return rule is None or refuses(rule) or rule["auth_method"] in BY_PASSWORD or bool(uncertain(rules, **login))


def locked_out(
    named: Sequence[Named],
    sessions: Sequence[RoleSessions],
    gate: Gate,
    known: Collection[str],
    here: bool,
    places: Mapping[str, Tuple[str, Optional[str]]],
) -> List[Named]:
    """``known``: addresses of the declared clients; ``here``: one of them runs where the server does.

    ``places``: address -> a container's name and service.
    """
    out = {one.name: one for one in named if one.harmed}
    unharmed = {one.name for one in named} - set(out)
    for row in sessions:
        address = row["client_address"]
        if address in known or (here and (address is None or address in _LOOPBACK)):
            continue
        name, service = places.get(address or "", (address or "a local session", None))
        if name not in out and name not in unharmed and gate.asks_password(row):
            of = " of application %s" % row["application"] if row["application"] else ""
            out[name] = Named(name, "%s%s" % (count(row["sessions"], "session"), of), service, True)
    return list(out.values())
