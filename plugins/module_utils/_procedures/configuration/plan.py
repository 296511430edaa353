# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the configuration files may be loaded, and what that changes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..._core.errors import RefusedError
from ..._core.mask import MASK, mask
from ..._judge.checks.restart import error_line
from ..procedure import Change

_VISIBLE = ("default", "configuration file")
_SECRET = re.compile(r"passphrase|password_command|secret")
_UNITS = {
    "B": 1,
    "kB": 1024,
    "MB": 1024**2,
    "GB": 1024**3,
    "TB": 1024**4,
    "us": 0.001,
    "ms": 1,
    "s": 1000,
    "min": 60000,
    "h": 3600000,
    "d": 86400000,
}
_TRUE, _FALSE = ("on", "true", "yes", "1", "t", "y", "tr", "tru", "ye"), ("off", "false", "no", "0", "f", "n", "of")


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
    value = each["value"] if each["value"] is not None else each["default"]
    if value is None or same(value, each["setting"], each["type"], each["unit"] if each["value"] is not None else None):
        return None
    unit = each["unit"] or ""
    unit = " x " + unit if unit[:1].isdigit() else unit
    return {
        "name": each["name"],
        "before": _shown(each["name"], each["setting"] + unit),
        "after": _shown(each["name"], value if each["value"] is not None else "%s%s (default)" % (value, unit)),
    }


def _waits(each: Mapping[str, Any]) -> bool:
    """A line for a setting that only a restart changes. What was removed from the files, PostgreSQL itself tells."""
    if each["source"] not in _VISIBLE or each["context"] != "postmaster" or each["value"] is None:
        return False
    return not same(each["value"], each["setting"], each["type"], each["unit"])


def same(value: str, setting: str, kind: str, unit: Optional[str]) -> bool:
    """Whether a file's ``value`` means what pg_settings shows as ``setting`` (in ``unit``, such as 8kB or ms)."""
    value, setting = value.strip(), setting.strip()
    if kind in ("integer", "real"):
        ours, loaded = _number(value, unit), _number(setting, None)
        if ours is not None and loaded is not None:
            # The server rounds to whole units; a real one is shown with fifteen digits.
            return abs(ours - loaded) <= (0.5 if kind == "integer" else 1e-9 * max(abs(ours), abs(loaded)))
    if kind in ("bool", "enum") and (value.lower() in _TRUE + _FALSE):
        return setting.lower() in (_TRUE if value.lower() in _TRUE else _FALSE)
    return "".join(value.split()).casefold() == "".join(setting.split()).casefold()


def _number(text: str, unit: Optional[str]) -> Optional[float]:
    match = re.match(r"^([-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))\s*([a-zA-Z]*)$", text)
    if match is None:
        return None
    digits, given = match.groups()
    if re.match(r"^[-+]?0[xX]", digits):
        number = float(int(digits, 16))
    elif re.match(r"^[-+]?0[0-7]+$", digits):
        number = float(int(digits, 8))
    else:
        number = float(digits)
    if not given:
        return number
    base = re.match(r"^(\d*)([a-zA-Z]+)$", unit or "")
    if base is None or given not in _UNITS or base.group(2) not in _UNITS:
        return None
    return number * _UNITS[given] / (_UNITS[base.group(2)] * int(base.group(1) or 1))


def _shown(name: str, value: str) -> str:
    return MASK if _SECRET.search(name) else mask(value)
