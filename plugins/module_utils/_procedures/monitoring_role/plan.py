# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be changed of the monitoring role, or why it is left alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..._core.errors import RefusedError
from ..._core.text import names, quoted
from ..._gather.client.verifier import matches
from ..procedure import Change

MARK = "monitoring: made by oncall.postgresql"  # its comment: nobody else's role is taken over or dropped
CREATE, PLAIN, POWERLESS, PASSWORD, DROP = "create", "attributes", "powers", "password", "drop"


@dataclass(frozen=True)
class Plan:
    """``steps``: of CREATE, PLAIN, POWERLESS, PASSWORD, DROP, and the predefined roles that it becomes a member of."""

    role: str
    limit: int
    steps: Tuple[str, ...] = ()
    iterations: int = 4096
    standby: bool = False
    before: Mapping[str, Any] = field(default_factory=dict)  # of the role, without its password
    after: Mapping[str, Any] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not self.steps

    @property
    def memberships(self) -> List[str]:
        return [step for step in self.steps if step.startswith("pg_")]

    def foreseen(self) -> Change:
        details = {"msg": self._told(), "role": self.role, "steps": list(self.steps)}
        return Change(not self.empty, dict(self.before), dict(self.after), details)

    def _told(self) -> str:
        if self.standby:
            return "This server is a standby and has the roles of its primary: nothing was changed"
        if self.empty:
            return "Role %s is as asked" % self.role
        return "Role %s: %s" % (self.role, names(self.steps))


def decide(
    found: Mapping[str, Any], verifier: Optional[str], role: str, password: Optional[str], limit: int, absent: bool
) -> Plan:
    """``found``: the row of LOOK; ``verifier``: None where it may not be read. Raises RefusedError."""
    if found["in_recovery"]:
        return Plan(role, limit, standby=True)
    stands = found["role"]
    if stands is not None and stands["mark"] != MARK:
        raise RefusedError(
            "Role %s exists and is not marked as the monitoring's own" % role,
            "Choose another name; or, if it may be taken over: COMMENT ON ROLE %s IS '%s'." % (quoted(role), MARK),
        )
    same = matches(password, verifier, role) is True if password and found["reads_verifiers"] else True
    steps = ([] if stands is None else [DROP]) if absent else _missing(found, same, bool(password), limit)
    if steps and not found["may"]:
        raise RefusedError(
            "%s may not change roles: it is neither superuser nor has CREATEROLE" % found["us"],
            "Set login_user to a superuser.",
        )
    if not steps:
        return Plan(role, limit)
    before = (
        {}
        if stands is None
        else _shown(stands["plain"] and not stands["powerful"], stands["limit"], stands["member_of"], same)
    )
    member_of = [*(stands["member_of"] if stands else []), *(step for step in steps if step.startswith("pg_"))]
    after = {} if absent else _shown(True, limit, member_of, True)
    return Plan(role, limit, tuple(steps), found["iterations"], before=before, after=after)


def _missing(found: Mapping[str, Any], same: bool, password: bool, limit: int) -> List[str]:
    stands = found["role"]
    if stands is None:
        return [CREATE, PLAIN, *found["memberships"], *([PASSWORD] if password else [])]
    steps = [] if stands["plain"] and stands["limit"] == limit else [PLAIN]
    steps += [POWERLESS] if stands["powerful"] else []
    steps += [each for each in found["memberships"] if each not in stands["member_of"]]
    return steps if same else [*steps, PASSWORD]


def _shown(plain: bool, limit: int, member_of: List[str], same: bool) -> Dict[str, Any]:
    return {
        "login": "as asked" if plain else "with other attributes, or expired",
        "connection_limit": limit,
        "member_of": sorted(member_of),
        "password": "as asked" if same else "another",
    }
