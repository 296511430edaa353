# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a prepared transaction may be finished, and what is told of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

from ..._core.errors import RefusedError
from ..._core.text import count, duration
from ..._judge.prepared import NOT_OURS, STANDBY, TOO_YOUNG, refused
from ..procedure import Change


@dataclass(frozen=True)
class Plan:
    """``found`` None: there is no such transaction, so there is nothing to do."""

    gid: str
    state: str  # how it is to end
    found: Optional[Mapping[str, Any]] = None

    @property
    def empty(self) -> bool:
        return self.found is None

    def foreseen(self) -> Change:
        if self.found is None:
            return nothing(self.gid)
        details = told(self.found)
        verb = "committed" if self.state == "committed" else "rolled back"
        details["msg"] = "%s was %s; it blocked %s" % (
            named(self.found),
            verb,
            count(len(self.found["blocks"]), "session"),
        )
        return Change(True, {"prepared_transaction": named(self.found)}, {"prepared_transaction": None}, details)


def decide(found: Mapping[str, Any], gid: str, state: str, min_age_seconds: float) -> Plan:
    """``found``: the row of ``sql.PREPARED``. Raises RefusedError where it must not be finished now, or by us."""
    if found["gid"] is None:
        return Plan(gid, state)
    why = refused(found, found["in_recovery"], min_age_seconds)
    if why == STANDBY:
        _refuse(found, "This server is a standby, and cannot finish transactions", "Finish it on the primary.")
    if why == TOO_YOUNG:
        _refuse(
            found,
            "%s was prepared only %s ago: its transaction manager may be about to finish it"
            % (named(found), duration(found["age_seconds"])),
            "Wait until it is %s old, or lower min_age_seconds if its manager is known to be gone."
            % duration(min_age_seconds),
        )
    if why == NOT_OURS:
        _refuse(
            found,
            "%s does not belong to %s, and only its owner or a superuser can finish it" % (named(found), found["us"]),
            "Set login_user to its owner or a superuser.",
        )
    return Plan(gid, state, found)


def _refuse(found: Mapping[str, Any], why: str, hint: str) -> None:
    raise RefusedError(why, hint, details=told(found))


def nothing(gid: str) -> Change:
    msg = "There is no prepared transaction '%s'; if there was one, it is not known how it ended" % gid
    empty: Dict[str, Any] = dict.fromkeys(("owner", "database", "prepared", "age_seconds"))
    details = dict(empty, gid=gid, blocks=[], msg=msg)
    return Change(False, {"prepared_transaction": None}, {"prepared_transaction": None}, details)


def told(found: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: found[name] for name in ("gid", "owner", "database", "prepared", "age_seconds", "blocks")}


def named(found: Mapping[str, Any]) -> str:
    return "Prepared transaction '%s' of %s in database %s" % (found["gid"], found["owner"], found["database"])
