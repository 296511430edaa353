# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go or no-go: the worst of the items; and never go where the data itself was not read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

from ..._core.text import names
from ..._model.integrity import CAUTION, GO, GRADES, NO_GO, Item
from .baseline import baseline
from .catalog import age, schema, sequences
from .data import amcheck, collations
from .files import checksums, control_file, damaged_files, leftovers
from .wal import archiving, backups, slots

if TYPE_CHECKING:
    from ..._model.answers import Thresholds
    from ..._model.integrity import IntegrityFacts


_UNREAD = ("snapshot", "databases", "database ", "horizon")  # steps without which something was not looked at


def grade(
    facts: IntegrityFacts,
    thresholds: Thresholds,
    remedies: Mapping[str, Mapping[str, Any]],
    backup_hours: float = 26,
) -> Dict[str, Any]:
    """``remedies``: by item. -> {grade, summary, checks, not_covered}, as the module returns them."""
    return graded(items_of(facts, thresholds, backup_hours), facts["errors"], remedies)


def items_of(facts: IntegrityFacts, thresholds: Thresholds, backup_hours: float) -> List[Item]:
    return [
        control_file(facts),
        checksums(facts),
        damaged_files(facts),
        leftovers(facts),
        collations(facts),
        amcheck(facts),
        schema(facts),
        sequences(facts),
        age(facts, thresholds),
        archiving(facts),
        slots(facts),
        backups(facts, backup_hours),
        baseline(facts),
    ]


def graded(
    items: Sequence[Item], errors: Mapping[str, str], remedies: Mapping[str, Mapping[str, Any]]
) -> Dict[str, Any]:
    unread = ["%s: %s" % each for each in errors.items() if each[0].startswith(_UNREAD)]
    found = max((GRADES.index(each.grade) for each in items if each.grade), default=0)
    if unread or not any(each.item == "amcheck" and each.grade for each in items):
        found = max(found, GRADES.index(CAUTION))
    not_covered = [why for each in items for why in each.not_covered] + unread
    return {
        "grade": GRADES[found],
        "summary": _summary(GRADES[found], items),
        "checks": [
            {
                "check": each.item,
                "grade": each.grade,
                "summary": each.summary,
                "evidence": list(each.evidence),
                "not_covered": list(each.not_covered),
                "remedy": remedies.get(each.item) if each.grade in (CAUTION, NO_GO) else None,
            }
            for each in items
        ],
        "not_covered": not_covered,
    }


def _summary(found: str, items: Sequence[Item]) -> str:
    word = {GO: "Go", CAUTION: "Caution", NO_GO: "No-go"}[found]
    telling = [each for each in items if each.grade == found and found != GO]
    telling = telling or [each for each in items if each.item == "amcheck"]
    told = "; ".join(each.summary for each in telling[:3])
    unread = names([each.item.replace("_", " ") for each in items if each.grade is None])
    more = ". Not looked at: %s" % unread if unread else ""
    return "%s: %s%s" % (word, told, more)
