# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the server differs from its baseline. Never a no-go: what is missing may have been removed on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from ..._core.text import count, names
from ..._model.integrity import CAUTION, GO, Item
from ..baseline import told

if TYPE_CHECKING:
    from ..._model.baseline import Change
    from ..._model.integrity import IntegrityFacts

_FIRST = ("vanished", "emptied", "rows", "bytes", "appeared", "schema", "changed")


def baseline(facts: IntegrityFacts) -> Item:
    """``tolerance_percent`` has been applied: each change is worth a line."""
    compared, name = facts["baseline"], "baseline"
    if compared["why_not"] is not None:
        return Item(name, None, "not compared", (), ("baseline: not compared: %s" % compared["why_not"],))
    not_covered = tuple("baseline: %s" % why for why in compared["not_covered"])
    when = "the baseline of %s" % compared["taken_at"]
    found = sorted(compared["changes"], key=lambda each: (_FIRST.index(each["kind"]), not each["counted"]))
    if not found:
        what = "%s, %s counted" % (count(compared["tables"], "table"), compared["counted"])
        return Item(name, GO, "as in %s: %s" % (when, what), (), not_covered)
    evidence: List[str] = [told(each) for each in found]
    return Item(
        name, CAUTION, "differs from %s: %s" % (when, names(map(_short, found), 3)), tuple(evidence), not_covered
    )


def _short(change: Change) -> str:
    words = {
        "vanished": "%s is gone",
        "emptied": "%s is empty",
        "appeared": "%s is new",
        "schema": "%s has another definition",
    }
    if change["kind"] in words:
        return words[change["kind"]] % change["what"]
    return told(change)[2:]
