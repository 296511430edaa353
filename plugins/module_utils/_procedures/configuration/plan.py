# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the configuration files may be loaded, and what that changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..._core.errors import RefusedError
from ..._core.mask import mask
from ..._core.mask import setting as masked
from ..._judge.checks.restart import error_line
from ..procedure import Change
from . import values

_VISIBLE = ("default", "configuration file")


@dataclass(frozen=True)
class Plan:
    """``reload``: whether to; ``changes``: settings that take effect by it, {name, before, after}."""

    reload: bool
    changes: Tuple[Dict[str, Any], ...] = ()
    files: Tuple[str, ...] = ()
    waiting: Tuple[str, ...] = ()  # for a restart
    load_time: Optional[str] = None
    timeout_seconds: float = 10

    @property
    def empty(self) -> bool:
        return not self.reload

    def foreseen(self) -> Change:
        return Change(
            self.reload,
            {each["name"]: each["before"] for each in self.changes},
            {each["name"]: each["after"] for each in self.changes},
            {
                "load_time": self.load_time,
                "changed_files": list(self.files),
                "changed_settings": list(self.changes),
                "pending_restart": list(self.waiting),
                "not_applied": [],
            },
        )


def decide(found: Mapping[str, Any], force: bool, timeout_seconds: float = 10) -> Plan:
    """An error in any line means that the server would take nothing of that file, or half of it."""
    errors = [error_line(dict(each, error=mask(each["error"]))) for each in found["file_errors"] + found["hba_errors"]]
    if errors:
        raise RefusedError(
            "Reload refused: configuration files contain %d error%s: %s"
            % (len(errors), "" if len(errors) == 1 else "s", "; ".join(errors[:3])),
            "Correct them and reload; until then the server keeps running with the settings it has loaded.",
            details={"configuration_errors": errors},
        )
    changes = [each for each in map(_difference, found["settings"]) if each is not None]
    plan_files = tuple(found["changed_files"])
    waiting = sorted({*found["pending_restart"], *(str(each["name"]) for each in found["settings"] if _waits(each))})
    return Plan(
        bool(force or changes or plan_files),
        tuple(changes),
        plan_files,
        tuple(waiting),
        found["load_time"],
        timeout_seconds,
    )


def unapplied(found: Mapping[str, Any], plan: Plan) -> List[str]:
    """Settings of the plan that the server does not use, by what was read after the reload."""
    left = {each["name"] for each in map(_difference, found["settings"]) if each is not None}
    return [each["name"] for each in plan.changes if each["name"] in left]


def _difference(each: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """What a reload changes of a setting; None: nothing, or nothing that could be seen."""
    if each["source"] not in _VISIBLE or each["context"] in ("postmaster", "internal"):
        return None
    if each["name"].lower() in values.REWRITTEN:  # a changed file is loaded all the same
        return None
    value = each["value"] if each["value"] is not None else each["default"]
    if value is None or same(value, each["setting"], each["type"], each["unit"], each["name"]):
        return None
    unit = each["unit"] or ""
    unit = " x " + unit if unit[:1].isdigit() else unit
    return {
        "name": each["name"],
        "before": masked(each["name"], each["setting"] + unit),
        "after": masked(each["name"], value if each["value"] is not None else "%s%s (default)" % (value, unit)),
    }


def _waits(each: Mapping[str, Any]) -> bool:
    """A line for a setting that only a restart changes. What was removed from the files, PostgreSQL itself tells."""
    if each["source"] not in _VISIBLE or each["context"] != "postmaster" or each["value"] is None:
        return False
    return not same(each["value"], each["setting"], each["type"], each["unit"], each["name"])


def same(value: str, setting: str, kind: str, unit: Optional[str], name: str = "") -> bool:
    """Whether a file's ``value`` means what pg_settings shows as ``setting`` (in ``unit``, such as 8kB or ms)."""
    if kind == "string":
        return "".join(value.split()).casefold() == "".join(setting.split()).casefold()
    row = {"name": name, "type": kind, "unit": unit, "min": None, "max": None, "enum": None}
    return values.same(row, value, setting)
