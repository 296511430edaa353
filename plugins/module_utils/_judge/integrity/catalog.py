# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the catalogs say: indexes and constraints that are not what they seem, sequences near their end, and age."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from ..._core.text import count, duration, names, number, size
from ..._model.integrity import CAUTION, GO, NO_GO, Item
from ..checks.soundness import XID_EMERGENCY

if TYPE_CHECKING:
    from ..._model.answers import Thresholds
    from ..._model.integrity import IntegrityFacts, Sequence, Vacuum

_USED_UP = 100.0


def schema(facts: IntegrityFacts) -> Item:
    if not facts["databases"]:
        return Item("schema", None, "not read", (), ("schema: no database was looked into",))
    evidence: List[str] = []
    unread = [
        "%s: whether a table has lost its end" % one["name"] for one in facts["databases"] if one["short_files"] is None
    ]
    for one in facts["databases"]:
        evidence += [
            "%s: %s %s has %s, and had %s when VACUUM or ANALYZE counted: rows may be missing at its end"
            % (one["name"], each["kind"], each["name"], size(each["bytes"]), size(each["counted_bytes"]))
            for each in one["short_files"] or ()
        ]
        evidence += [
            "%s: index %s on %s is not %s (%s)"
            % (one["name"], each["name"], each["table"], "valid" if each["ready"] else "ready", size(each["bytes"]))
            for each in one["invalid_indexes"]
        ]
        evidence += [
            "%s: constraint %s of %s is not validated" % (one["name"], each["name"], each["table"])
            for each in one["unchecked_constraints"]
        ]
    unlogged = [
        "%s: table %s is unlogged: a crash empties it" % (one["name"], each)
        for one in facts["databases"]
        for each in one["unlogged_tables"]
    ]
    if evidence:
        return Item("schema", CAUTION, names(evidence, 2), tuple(evidence + unlogged), tuple(unread))
    return Item("schema", GO, "all indexes are valid, all constraints validated", tuple(unlogged), tuple(unread))


def sequences(facts: IntegrityFacts) -> Item:
    if not facts["databases"]:
        return Item("sequences", None, "not read", (), ("sequences: no database was looked into",))
    unseen = tuple(
        "%s: %s not read (locked, or no right)" % (one["name"], count(one["unseen_sequences"], "sequence"))
        for one in facts["databases"]
        if one["unseen_sequences"]
    )
    near = sorted(
        ((each["used_percent"], one["name"], each) for one in facts["databases"] for each in one["sequences"]),
        key=lambda row: (-row[0], row[1], row[2]["name"]),
    )
    if not near:
        return Item("sequences", GO, "none is near its end", (), unseen)
    evidence = tuple(
        "%s.%s: %s %% used, %s of %s%s"
        % (name, each["name"], percent, number(each["last"]), number(each["limit"]), _left(each))
        for percent, name, each in near
    )
    return Item("sequences", NO_GO if near[0][0] >= _USED_UP else CAUTION, evidence[0], evidence, unseen)


def _left(sequence: Sequence) -> str:
    days, seconds = sequence["days_left"], sequence["seconds_counted"]
    if days is None or seconds is None:
        return ""
    lasts = count(days, "more day") if days else "less than a day"
    return ": lasts %s at the average pace of inserts (over %s)" % (lasts, duration(seconds))


def age(facts: IntegrityFacts, thresholds: Thresholds) -> Item:
    """PostgreSQL's manual, "Preventing Transaction ID Wraparound Failures"."""
    if not facts["databases"]:
        return Item("age", None, "not read", (), ("age: no database was looked into",))
    ages = [(max(one["xid_age"], one["multixact_age"]), one) for one in facts["databases"]]
    oldest, worst = max(ages, key=lambda pair: pair[0])
    evidence = [
        "%s: %s transactions, %s multixacts" % (one["name"], number(one["xid_age"]), number(one["multixact_age"]))
        for _age, one in sorted(ages, key=lambda pair: -pair[0])
    ]
    vacuums = [_vacuum(one["name"], each) for one in facts["databases"] for each in one["vacuums"]]
    if oldest <= thresholds.xid_age:
        return Item("age", GO, "oldest: %s" % evidence[0], tuple(evidence + vacuums))
    evidence += [
        "%s.%s: %s transactions" % (worst["name"], each["name"], number(each["xid_age"]))
        for each in worst["oldest_tables"]
    ]
    held = [each for each in facts["horizon"] if each["age"]]
    evidence += [
        "held back by %s %s: %s transactions%s"
        % (
            each["kind"].replace("_", " "),
            each["name"],
            number(each["age"] or 0),
            " (%s)" % each["detail"] if each["detail"] else "",
        )
        for each in held[:5]
    ]
    why = "%s is %s transactions from the last freeze" % (worst["name"], number(oldest))
    by = (
        ", held back by %s %s" % (held[0]["kind"].replace("_", " "), held[0]["name"])
        if held and (held[0]["age"] or 0) > thresholds.xid_age / 2
        else ""
    )
    return Item("age", NO_GO if oldest >= XID_EMERGENCY else CAUTION, why + by, tuple(evidence + vacuums))


def _vacuum(database: str, each: Vacuum) -> str:
    who = "autovacuum" if each["automatic"] else "VACUUM"
    seen = "" if each["percent"] is None else ", %s %% scanned" % each["percent"]
    return "%s of %s.%s is running: %s%s (pid %d)" % (who, database, each["table"], each["phase"], seen, each["pid"])
