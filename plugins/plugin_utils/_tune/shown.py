# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as a person reads it, line by line."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from ...module_utils._core.text import size
from .units import amount


def lines(plan: Mapping[str, Any]) -> List[str]:
    """``plan``: all of it but these lines."""
    width = max(len(row["name"]) for row in plan["table"])
    found = [_row(row, width) for row in plan["table"]]
    found += _sum("Memory", plan["memory"]) + _sum("/dev/shm", plan["shared_memory"])
    found += ["Note: " + note for note in plan["notes"]]
    return found + ["Refused: " + why for why in plan["refused"]]


def _row(row: Mapping[str, Any], width: int) -> str:
    name, before, after = row["name"], row["before"] or "?", row["after"] or "reset"
    change = after if amount(name, before) == amount(name, after) else "%s -> %s" % (before, after)
    return "%-*s  %s  (%s)" % (width, name, change, row["source"])


def _sum(what: str, found: Optional[Mapping[str, Any]]) -> List[str]:
    if found is None:
        return []
    parts = " + ".join("%s (%s)" % (part["how"], size(part["bytes"])) for part in found["parts"] if part["bytes"])
    has = "an unknown size" if found["has_bytes"] is None else size(found["has_bytes"])
    source = " (%s)" % found["from"] if "from" in found else ""
    return ["%s: worst case %s of %s%s: %s" % (what, size(found["worst_case_bytes"]), has, source, parts or "nothing")]
