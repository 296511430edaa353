# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the WAL that a restore would need is kept, and no more of it than there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from ..._core.text import count, size
from ..._model.integrity import CAUTION, GO, Item
from ..checks.soundness import RETAINED_BYTES

if TYPE_CHECKING:
    from ..._model.facts import Slot
    from ..._model.integrity import IntegrityFacts

_NO_BACKUP = "backups: whether there is one, and whether it can be restored, is not known to the server"


def archiving(facts: IntegrityFacts) -> Item:
    """PostgreSQL's manual, "Continuous Archiving": the server keeps WAL until it is archived, or the disk is full."""
    archiver = facts["archiver"]
    if archiver is None:
        return Item("archiving", None, "not read", (), ("archiving: no SQL", _NO_BACKUP))
    if archiver["mode"] == "off":
        off = "archiving: archive_mode is off, there is no WAL to restore to a point in time"
        return Item("archiving", GO, "WAL is not archived", (), (off, _NO_BACKUP))
    if archiver["failing"]:
        summary = "archiving fails: %s at %s" % (archiver["failed_wal"], archiver["failed_at"])
        last = "the last that was archived: %s at %s" % (
            archiver["last_wal"] or "none",
            archiver["last_at"] or "no time",
        )
        failures = count(archiver["failures"], "failure")
        return Item("archiving", CAUTION, summary, (last, failures), (_NO_BACKUP,))
    if archiver["last_wal"] is None:
        return Item("archiving", GO, "nothing has been archived yet, nothing has failed", (), (_NO_BACKUP,))
    return Item("archiving", GO, "%s archived at %s" % (archiver["last_wal"], archiver["last_at"]), (), (_NO_BACKUP,))


def slots(facts: IntegrityFacts) -> Item:
    if facts["archiver"] is None:
        return Item("slots", None, "not read", (), ("slots: no SQL",))
    bad = [each for each in facts["slots"] if _why(each)]
    if not bad:
        return Item("slots", GO, "%s, none holds much WAL" % count(len(facts["slots"]), "replication slot"))
    evidence: List[str] = ["slot %s %s" % (each["name"], _why(each)) for each in bad]
    return Item("slots", CAUTION, evidence[0], tuple(evidence))


def _why(slot: Slot) -> str:
    if slot["wal_status"] == "lost":
        return "has lost WAL that its reader needs: it has to be made anew"
    if slot["wal_status"] == "unreserved":
        return "is about to lose WAL that its reader needs (max_slot_wal_keep_size)"
    if not slot["active"] and (slot["retained_bytes"] or 0) > RETAINED_BYTES:
        return "is used by nobody and holds %s of WAL" % size(slot["retained_bytes"])
    return ""
