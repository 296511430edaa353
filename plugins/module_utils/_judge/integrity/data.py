# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read of the data itself by amcheck, and which indexes sort by a collation that has moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Set, Tuple

from ..._core.text import count, line, names, size
from ..._model.integrity import CAUTION, GO, NO_GO, Item

if TYPE_CHECKING:
    from ..._model.integrity import DatabaseFacts, IntegrityFacts, Share

_NEVER = (
    "amcheck: it does not tell whether pages of a table were emptied or cut off, or entries of an index are missing; "
    "it reads no visibility map, free space map or transaction status",
)
KINDS = {
    "catalog_index": "catalog indexes",
    "catalog_table": "catalog tables",
    "index": "indexes",
    "table": "tables",
    "toast": "TOAST values",
}


def amcheck(facts: IntegrityFacts) -> Item:
    """PostgreSQL's manual, "amcheck": it has no false positives; that it finds nothing proves nothing of the unread."""
    read = [(one["name"], one["amcheck"]) for one in facts["databases"] if one["amcheck"] is not None]
    damage = [(name, each) for name, found in read for each in found["damage"]]
    not_covered = tuple("%s: %s" % (name, line(why, 300)) for name, found in read for why in found["not_covered"])
    not_covered += _NEVER * any(found["coverage"] for _name, found in read)
    coverage = [share for _name, found in read for share in found["coverage"]]
    told = covered(coverage)
    if damage:
        evidence = tuple(
            "%s %s.%s: %s" % (each["kind"], name, each["name"], line(each["message"], 300)) for name, each in damage
        )
        what = names(["%s.%s" % (name, each["name"]) for name, each in damage], 3)
        return Item(
            "amcheck", NO_GO, "%s damaged: %s" % (count(len(damage), "object"), what), evidence + told, not_covered
        )
    if not any(share["checked_objects"] for share in coverage):
        return Item(
            "amcheck", None, "the data was not read", (), not_covered or ("amcheck: no database was looked into",)
        )
    whole = all(map(_whole, facts["databases"]))
    counted = [share for share in coverage if share["kind"] != "toast"]
    done = sum(share["checked_objects"] for share in counted)
    left = sum(share["objects"] for share in counted) - done  # of one that is locked nobody knows the size
    without = "; %s not read" % count(left, "object") if left else ""
    partly = "no damage in what was read: %s%s" % (", ".join(told), without)
    summary = "%s read, no damage" % count(done, "object") if whole else partly
    return Item("amcheck", GO if whole else CAUTION, summary, told, not_covered)


def _whole(one: DatabaseFacts) -> bool:
    """One without tables has nothing but the catalogs that initdb made."""
    return not one["user_tables"] or (one["amcheck"] is not None and not one["amcheck"]["not_covered"])


def covered(coverage: List[Share]) -> Tuple[str, ...]:
    """In per cent of bytes, by kind: ``92 % of 1.2 GiB of indexes``."""
    found = []
    for kind, words in KINDS.items():
        some = [share for share in coverage if share["kind"] == kind and share["objects"]]
        all_of_it, done = sum(share["bytes"] for share in some), sum(share["checked_bytes"] for share in some)
        if some:
            percent = 100.0 * done / all_of_it if all_of_it else 100.0
            shown = "%d" % percent if percent in (0, 100) else "%.1f" % min(percent, 99.9)
            found.append("%s %% of %s of %s" % (shown, size(all_of_it), words))
    return tuple(found)


def collations(facts: IntegrityFacts) -> Item:
    """An operating system's new rules leave indexes in the old order: PostgreSQL's manual, "ALTER COLLATION".

    That the version moved is no proof. amcheck's is: it finds the entries in the wrong order, and values twice.
    """
    moved = [one for one in facts["databases"] if one["collations"]]
    if not facts["databases"]:
        return Item("collations", None, "not read", (), ("collations: no database was looked into",))
    if not moved:
        return Item("collations", GO, "all are of the version that was written down")
    evidence: List[str] = []
    proved: Set[str] = set()
    for one in moved:
        evidence += [
            "%s: collation %s was %s, is %s"
            % (one["name"], each["name"], each["recorded_version"], each["actual_version"] or "gone")
            for each in one["collations"]
        ]
        bad = {each["name"] for each in one["amcheck"]["damage"]} if one["amcheck"] else set()
        for index in one["stale_indexes"]:
            shown = "%s.%s" % (one["name"], index["name"])
            evidence.append(
                "%s on %s (%s)%s"
                % (shown, index["table"], size(index["bytes"]), ": damaged" if index["name"] in bad else "")
            )
            if index["name"] in bad:
                proved.add(shown)
    if proved:
        return Item(
            "collations",
            NO_GO,
            "a collation has moved, and amcheck proves %s damaged" % names(sorted(proved), 3),
            tuple(evidence),
        )
    return Item("collations", CAUTION, _stale(moved), tuple(evidence))


def _stale(moved: List[DatabaseFacts]) -> str:
    stale = [index for one in moved for index in one["stale_indexes"]]
    what = "%s may be in the wrong order (%s)" % (
        count(len(stale), "index", "indexes"),
        size(sum(each["bytes"] or 0 for each in stale)),
    )
    return "collations of %s have moved: %s" % (
        names(one["name"] for one in moved),
        what if stale else "no index sorts by them",
    )
