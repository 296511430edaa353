# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else knows a role whose password a client gets wrong: a step that nothing else calls for."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Mapping, Sequence, Tuple

from .._model.user import User
from .client.verifier import matches

if TYPE_CHECKING:
    from .._core.deadline import Deadline
    from .._model.facts import ClientFacts, RoleUser, Snapshot
    from .runtime.base import Client, Login, Runtime

    Seen = Tuple[Client, ClientFacts]


def role_users(
    runtime: Runtime, seen: Sequence[Seen], snapshot: Snapshot, verifiers: Mapping[str, str], deadline: Deadline
) -> List[RoleUser]:
    """``verifiers`` by role. Raises what the runtime raises where containers cannot be read."""
    found: List[RoleUser] = []
    for role in snapshot["roles"]:
        ours = [(client.login, facts) for client, facts in seen if client.login and client.login.user == role["name"]]
        wrong = next((login for login, facts in ours if _wrong(facts)), None)
        if wrong is not None:
            at = {row["client_address"] for row in role["sessions"]}
            declared = [_declared(login, facts) for login, facts in ours if login.password != wrong.password]
            beside = runtime.neighbours(
                wrong.user,
                {login.password for login, _facts in ours if login.password},
                {facts["name"] for _login, facts in ours},
                deadline,
            )
            named = [user for user in beside if user.how is not None or at.intersection(user.addresses)]
            found += [_fact(user, True, wrong, verifiers) for user in declared]
            found += [_fact(user, False, wrong, verifiers) for user in named]
    return found


def _wrong(client: ClientFacts) -> bool:
    attempt = client["attempt"]
    if attempt is None or attempt["succeeded"]:
        return False
    return client["password_matches"] is False or attempt["sqlstate"] == "28P01"


def _declared(login: Login, facts: ClientFacts) -> User:
    addresses = [network["address"] or "" for network in facts["networks"]]
    return User(facts["name"], "a declared client", login.password, facts["service"], addresses)


def _fact(user: User, declared: bool, wrong: Login, verifiers: Mapping[str, str]) -> RoleUser:
    return {
        "role": wrong.user,
        "name": user.name,
        "how": user.how,
        "service": user.service,
        "addresses": [address for address in user.addresses if address],
        "declared": declared,
        "same_password": None if user.password is None else user.password == wrong.password,
        "password_matches": matches(user.password, verifiers.get(wrong.user), wrong.user),
    }
