# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the WAL that a restore would need is kept, and no more of it than there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from ..._core.text import count, duration, size
from ..._model.integrity import CAUTION, GO, Item
from ..checks.soundness import RETAINED_BYTES

if TYPE_CHECKING:
    from ..._model.facts import Slot
    from ..._model.integrity import Backup, IntegrityFacts

_NOT_RESTORED = "backups: whether it can be restored was not tried"
_WHOSE = "backups: Barman does not tell which server %s is: it is taken for this one because it knows no other"
_UNKNOWN = "backups: nothing tells of one: neither pgBackRest, Barman nor WAL-G beside the server, nor backup_file"


def archiving(facts: IntegrityFacts) -> Item:
    """PostgreSQL's manual, "Continuous Archiving": the server keeps WAL until it is archived, or the disk is full."""
    archiver = facts["archiver"]
    if archiver is None:
        return Item("archiving", None, "not read", (), ("archiving: no SQL",))
    if archiver["mode"] == "off":
        off = "archiving: archive_mode is off, there is no WAL to restore to a point in time"
        return Item("archiving", GO, "WAL is not archived", (), (off,))
    if archiver["failing"]:
        summary = "archiving fails: %s at %s" % (archiver["failed_wal"], archiver["failed_at"])
        last = "the last that was archived: %s at %s" % (
            archiver["last_wal"] or "none",
            archiver["last_at"] or "no time",
        )
        failures = count(archiver["failures"], "failure")
        return Item("archiving", CAUTION, summary, (last, failures))
    if archiver["last_wal"] is None:
        return Item("archiving", GO, "nothing has been archived yet, nothing has failed")
    return Item("archiving", GO, "%s archived at %s" % (archiver["last_wal"], archiver["last_at"]))


def backups(facts: IntegrityFacts, hours: float) -> Item:
    """Proof that one can be restored is only a restore. Never a no-go: a backup's absence damages nothing."""
    name, found = "backups", facts["backups"]
    failed = tuple("%s: %s" % each for each in facts["errors"].items() if each[0].startswith(name))
    if not found:
        return Item(name, None, "no backup is known", (), failed or (_UNKNOWN,))
    evidence = tuple(map(_told, found))
    by_name = [each["name"].rpartition(" ")[2] for each in found if each["program"] == "Barman"]
    not_covered = (*failed, *(_WHOSE % each for each in by_name[:1]), _NOT_RESTORED)
    bad = [each for each in found if each["trouble"]]
    if bad:
        return Item(name, CAUTION, _told(bad[0]), evidence, not_covered)
    newest = min(found, key=lambda each: each["age_seconds"] or 0)
    late = (newest["age_seconds"] or 0) > hours * 3600
    summary = "the last backup is %s old: %s" % (duration(newest["age_seconds"]), newest["name"])
    if late:
        summary += " (backup_hours is %g)" % hours
    return Item(name, CAUTION if late else GO, summary, evidence, not_covered)


def _told(each: Backup) -> str:
    when = "finished at %s" % each["finished_at"] if each["finished_at"] else "not finished"
    return "%s %s: %s" % (each["program"], each["name"], each["trouble"] or when)


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
