# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a role may be given the password that its client has: what credentials_reset would refuse is not printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

from ..._core.text import names
from ..role_users import Gate, Named, locked_out

if TYPE_CHECKING:
    from ..._model.facts import ClientFacts, ClientLogin, Facts, Role, Snapshot


def instead(client: ClientFacts, login: ClientLogin, role: Optional[Role], facts: Facts) -> Optional[str]:
    """What a person has to do; None: the command runs as printed."""
    snapshot = facts["snapshot"]
    if not login["password_given"]:
        return "it sends none; give it the role's"
    if role is None or snapshot is None or role["settable"] is None:
        return "correct the client's setting"
    if snapshot["in_recovery"]:
        return "this server is a standby; change it on the primary"
    if not role["settable"]:
        return "ask a superuser to reset it, our login role may not"
    if snapshot["pooled"]:  # in statement mode it is refused, and a pooler may hold the client's password itself
        return "to reset it, log in to the server itself (login_host, login_port), not to its pooler; then check again"
    if "role_users" in facts["errors"]:
        return "who else uses that role could not be read; ask before it is changed"
    others = [user["name"] for user in facts["role_users"] if user["role"] == role["name"] and user["declared"]]
    if others:
        return "%s has another one; find out which is right, and correct the other" % names(others)
    gate = _gate(role, snapshot)
    if role["own"] and gate.asks_password(role["own"]):
        return "oncall logs in as that role with the right one; correct the client's setting"
    out = _locked_out(client, role, gate, facts)
    if out:
        who = names("%s (%s)" % (one.name, one.how) for one in out)
        return "a new one would lock out %s; ask them, or correct the client's setting" % who
    return None


def _gate(role: Role, snapshot: Snapshot) -> Gate:
    read = snapshot["configured"]
    return Gate(role["name"], role["member_of"], read["hba_rules"], read["hba_file"], read["hba_loaded"])


def _locked_out(client: ClientFacts, role: Role, gate: Gate, facts: Facts) -> List[Named]:
    users = [user for user in facts["role_users"] if user["role"] == role["name"]]
    named = [
        Named(
            user["name"],
            user["how"],
            user["service"],
            user["same_password"] is not True and user["password_matches"] is not False,
        )
        for user in users
        if user["how"] is not None
    ]
    ours = [one for one in facts["clients"] if one["login"] and one["login"]["user"] == role["name"]]
    known = [network["address"] for one in ours for network in one["networks"] if network["address"]]
    places = {address: (user["name"], user["service"]) for user in users for address in user["addresses"]}
    return locked_out(named, role["sessions"], gate, known, client["place"] == "here", places)
