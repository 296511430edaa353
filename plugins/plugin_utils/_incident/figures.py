# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look keeps in numbers, to be compared with the looks after it. Pure.

connections   sessions of clients
usable        slots that ordinary roles may use; null where SQL did not get through
states        sessions by their state
blocked       sessions that wait for a lock
long_queries  null where SQL did not get through
prepared      prepared transactions; null like that
limits        {name, used, limit} of the roles and databases that are close to a limit of their own
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Mapping, Optional

from ...module_utils._judge.checks.readings import usable_slots
from ...module_utils._judge.titles import backends

_CLOSE_PERCENT, _MOST = 80, 5


def figures(facts: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Triage's facts -> the numbers; None where nothing tells of sessions."""
    snapshot: Mapping[str, Any] = facts.get("snapshot") or {}
    held, activity = snapshot.get("connections"), snapshot.get("activity")
    if not held or not activity:
        return _by_titles((facts.get("server") or {}).get("processes") or [])
    states: Dict[str, int] = {}
    for group in held["groups"]:
        state = group["state"] or "other"
        states[state] = states.get(state, 0) + group["sessions"]
    return {
        "connections": held["used"],
        "usable": usable_slots(held),
        "states": states,
        "blocked": len({each["blocked_pid"] for each in activity["blocking"]}),
        "long_queries": len(activity["long_queries"]),
        "prepared": len(activity["prepared"]),
        "limits": _limits(snapshot.get("limits") or {}),
    }


def _limits(limits: Mapping[str, Any]) -> List[Dict[str, Any]]:
    every = [*(limits.get("roles") or []), *(limits.get("databases") or [])]
    near = [each for each in every if each["limit"] > 0 and each["used"] * 100 >= each["limit"] * _CLOSE_PERCENT]
    near.sort(key=lambda each: -each["used"] / each["limit"])
    return [{key: each[key] for key in ("name", "used", "limit")} for each in near[:_MOST]]


def _by_titles(processes: List[Any]) -> Optional[Dict[str, Any]]:
    """Without a slot left for SQL, the titles of the server's processes still tell."""
    found = backends(processes)
    if not found:
        return None
    return {
        "connections": len(found),
        "usable": None,
        "states": dict(Counter(each.state or "other" for each in found)),
        "blocked": sum(each.waiting for each in found),
        "long_queries": None,
        "prepared": None,
        "limits": [],
    }
