# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings of which roles are changed, and whether we may. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import RefusedError
from ..._core.text import count, did_you_mean, names, nearest
from ..configuration import values
from ..procedure import Change


@dataclass(frozen=True)
class Step:
    """``before`` and ``after``: None for nothing. ``row``: of pg_settings. ``hidden_by``: the databases in which the
    role has another value."""

    role: str
    row: Mapping[str, Any]
    before: Optional[str]
    after: Optional[str]
    hidden_by: Tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.row["name"]).lower()

    @property
    def changed(self) -> bool:
        return not self.stands(self.before)

    def stands(self, value: Optional[str]) -> bool:
        """Whether ``value`` is what was asked for, in whatever unit."""
        if value is None or self.after is None:
            return value == self.after
        return values.same(self.row, value, self.after)


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
                "hidden_by": list(step.hidden_by),
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
    parameters = {row["name"].lower(): row for row in found["parameters"]}
    problems = [
        "there is no role %s (%s)" % (role, did_you_mean(nearest(role, found["known"]), "check roles"))
        for role in roles
        if role not in rows
    ]
    asked: Dict[str, Optional[str]] = {}
    for name, value in settings.items():
        try:
            if name.lower() in asked:
                raise ValueError("it is named twice")
            asked[name.lower()] = None
            asked[name.lower()] = _text(parameters.get(name.lower()), value)
        except ValueError as error:
            problems.append("%s: %s" % (name, error))
    steps: List[Step] = []
    for role in dict.fromkeys(role for role in roles if role in rows):
        stored = _stored(rows[role]["settings"])
        apart = {each["database"]: _stored(each["settings"]) for each in rows[role]["in_databases"]}
        for name, text in asked.items():
            if name in parameters:
                others = ["database %s: %s" % (each, has[name]) for each, has in apart.items() if name in has]
                steps.append(Step(role, parameters[name], stored.get(name), text, tuple(others)))
    plan = Plan(tuple(steps), bool(found["in_recovery"]))
    problems += ["%s may not change role %s" % (found["us"], role) for role in _not_ours(plan, rows)]
    denied = sorted({step.name for step in plan.due if step.row["of_roles"] and not step.row["may"]})
    problems += ["%s may not set %s" % (found["us"], each) for each in denied]
    if problems:
        raise RefusedError(
            "Settings of roles refused: %s" % "; ".join(problems),
            "Correct them, or set login_user to a superuser; nothing was touched.",
        )
    return plan


def _not_ours(plan: Plan, rows: Mapping[str, Any]) -> List[str]:
    return [role for role in dict.fromkeys(step.role for step in plan.due) if not rows[role]["ours"]]


def _stored(settings: Sequence[str]) -> Dict[str, str]:
    found = dict(text.partition("=")[::2] for text in settings)
    return {name.lower(): value for name, value in found.items()}


def _text(row: Optional[Mapping[str, Any]], value: Any) -> Optional[str]:
    """A value of YAML as the server takes it. Raises ValueError with the reason why it would not."""
    if row is None:
        raise ValueError("there is no such setting")
    if not row["of_roles"]:
        raise ValueError("it is the server's, and no role's: oncall.postgresql.settings sets it")
    if value is None:
        return None
    text = values.given(row, value)
    values.meaning(row, text)
    return text
