# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings of which roles are changed, and whether we may. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import RefusedError
from ..._core.text import count, did_you_mean, names, nearest
from ..procedure import Change


@dataclass(frozen=True)
class Step:
    """``before`` and ``after``: as ALTER ROLE stores it, None for nothing."""

    role: str
    name: str
    before: Optional[str]
    after: Optional[str]

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class Plan:
    steps: Tuple[Step, ...]
    standby: bool = False

    @property
    def due(self) -> Tuple[Step, ...]:
        """A standby has the roles of its primary."""
        return () if self.standby else tuple(step for step in self.steps if step.changed)

    @property
    def empty(self) -> bool:
        return not self.due

    def foreseen(self) -> Change:
        due = self.due
        rows = [
            {
                "role": step.role,
                "name": step.name,
                "before": step.before,
                "after": step.after if step in due else step.before,
                "changed": step in due,
            }
            for step in self.steps
        ]
        return Change(bool(due), _shown(due, "before"), _shown(due, "after"), {"msg": self._told(), "settings": rows})

    def _told(self) -> str:
        if self.standby:
            return "This server is a standby and has the roles of its primary: nothing was changed"
        if not self.due:
            return "All roles are as asked"
        return "%s changed of %s; it counts from their next login on" % (
            count(len(self.due), "setting"),
            names([step.role for step in self.due]),
        )


def _shown(steps: Sequence[Step], side: str) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for step in steps:
        found.setdefault(step.role, {})[step.name] = getattr(step, side)
    return found


def decide(found: Mapping[str, Any], roles: Sequence[str], settings: Mapping[str, Any]) -> Plan:
    """``found``: the row of ``sql.ROLES``. Raises RefusedError with all that is wrong, before anything is touched."""
    rows = {row["role"]: row for row in found["roles"]}
    parameters = {row["name"].lower(): row["may"] for row in found["parameters"]}
    problems = [
        "there is no role %s (%s)" % (role, did_you_mean(nearest(role, found["known"]), "check roles"))
        for role in roles
        if role not in rows
    ]
    problems += ["there is no setting %s" % name for name in settings if name.lower() not in parameters]
    steps: List[Step] = []
    for role in dict.fromkeys(role for role in roles if role in rows):
        stored = dict(text.partition("=")[::2] for text in rows[role]["settings"])
        stored = {name.lower(): value for name, value in stored.items()}
        for name, value in settings.items():
            steps.append(Step(role, name.lower(), stored.get(name.lower()), _text(value)))
    plan = Plan(tuple(steps), bool(found["in_recovery"]))
    problems += ["%s may not change role %s" % (found["us"], role) for role in _not_ours(plan, rows)]
    due = {step.name for step in plan.due}
    problems += ["%s may not set %s" % (found["us"], each) for each in sorted(due) if parameters.get(each) is False]
    if problems:
        raise RefusedError(
            "Settings of roles refused: %s" % "; ".join(problems),
            "Correct them, or set login_user to a superuser; nothing was touched.",
        )
    return plan


def _not_ours(plan: Plan, rows: Mapping[str, Any]) -> List[str]:
    return [role for role in dict.fromkeys(step.role for step in plan.due) if not rows[role]["ours"]]


def _text(value: Any) -> Optional[str]:
    """A value of YAML as the server takes it."""
    if value is None:
        return None
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
