# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Question 7: are data, disk and replication healthy?

Damage first, then room, age, replication; what is not the verdict is a finding.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence, Tuple

from ..._core.text import count, duration, line, names, number, size
from ..._model.answers import CRITICAL, EMERGENCY, NO, WARNING, YES, Answer, Finding, Thresholds, Values
from .readings import WAL_SEGMENT_BYTES, down, log_lines, not_asked, this_run, without_snapshot

if TYPE_CHECKING:
    from ..._model.facts import ChecksumFailures, Disk, Facts, MovedCollation, Snapshot

QUESTION = "soundness"
MOVED = "collation_version_moved"
GIB = 1024**3
FULL_SHARE = 0.02
LOW_SHARE = 0.25  # a volume made small on purpose is not low for lacking five free gibibytes
FEWEST_INODES = 64
RETAINED_BYTES = GIB
XID_EMERGENCY = 2_000_000_000  # PostgreSQL stops assigning at about 2,144,000,000 (manual, 24.1.5)
# SQLSTATEs of class XX: the server itself read something broken. (Only where log_line_prefix has %e.)
DAMAGED = {"XX001": "damaged_page", "XX002": "damaged_index"}
LOST_PRIMARY = re.compile(r"primary|prim[aä]r|wal.stream", re.IGNORECASE)


class Fault(NamedTuple):
    code: str
    cause: str
    severity: str  # as a finding
    summary: str  # as a finding
    evidence: Tuple[str, ...]
    values: Values


def check(facts: Facts, thresholds: Thresholds) -> Answer:
    snapshot = facts["snapshot"]
    faults = _damage(facts) + _full(facts)
    findings = _low(facts, thresholds)
    if snapshot:
        faults += _age(snapshot, thresholds) + _replication(facts, snapshot, thresholds)
        findings += _slots(snapshot) + _receiver(facts, snapshot) + _collations(snapshot)
    findings += [Finding(fault.code, fault.severity, fault.summary, fault.evidence) for fault in faults[1:]]
    if faults:
        first = faults[0]
        severity = first.severity if (first.code, first.cause) == ("wraparound_risk", "transaction_age") else None
        return Answer(
            QUESTION,
            NO,
            first.evidence[0],
            first.code,
            first.cause,
            first.evidence,
            tuple(findings),
            first.values,
            severity,
        )
    if snapshot is None:
        return not_asked(QUESTION, without_snapshot(facts), tuple(findings))
    return Answer(QUESTION, YES, _sound(facts, snapshot), findings=tuple(findings))


def _sound(facts: Facts, snapshot: Snapshot) -> str:
    ages = [row["xid_age"] for row in snapshot["soundness"]["transaction_age"] if row.get("xid_age") is not None]
    disks = facts["server"]["disks"] if facts["server"] else []
    parts = ["no checksum failures"]
    if ages:
        parts.append("oldest transaction age %s" % number(max(ages)))
    if disks:
        parts.append("%s free" % size(min(disk["free_bytes"] for disk in disks)))
    return ", ".join(parts)


def checksum_failures(rows: Sequence[ChecksumFailures]) -> Tuple[str, Tuple[str, ...]]:
    """Where, and how many with the last one's time; empty without any."""
    failed = [(row.get("database") or "shared objects", row) for row in rows if row.get("count")]
    evidence = tuple(
        "%s: %s, the last at %s"
        % (name, count(row["count"], "checksum failure"), row.get("last_failure") or "an unknown time")
        for name, row in failed
    )
    return ", ".join(name for name, _row in failed), evidence


def _damage(facts: Facts) -> List[Fault]:
    faults = []
    rows = facts["snapshot"]["soundness"]["checksum_failures"] if facts["snapshot"] else []
    where, evidence = checksum_failures(rows)
    if evidence:
        faults.append(
            Fault(
                "data_corruption",
                "checksum_failure",
                EMERGENCY,
                "Data checksum failures in %s" % where,
                evidence,
                Values(database=where),
            )
        )
    server = facts["server"]
    if server and not down(facts):  # of a server that is down, question 1 reads the log
        entries = this_run(server)
        for sqlstate, cause in DAMAGED.items():
            told = [entry for entry in entries if entry["sqlstate"] == sqlstate]
            if told:
                evidence = tuple(log_lines(told))
                faults.append(
                    Fault(
                        "data_corruption",
                        cause,
                        CRITICAL,
                        "The log reports damage (SQLSTATE %s)" % sqlstate,
                        evidence,
                        Values(),
                    )
                )
    return faults


def _full(facts: Facts) -> List[Fault]:
    faults = []
    for disk in _disks(facts):
        values = Values(path=disk["path"], free=size(disk["free_bytes"]))
        if disk["total_bytes"] > 0 and disk["free_bytes"] < _full_below(disk):
            cause = "wal" if disk["role"] == "wal" else "data_directory"
            faults.append(Fault("storage_full", cause, CRITICAL, "%s is full" % disk["path"], (_space(disk),), values))
        elif (
            disk["total_inodes"]
            and disk["free_inodes"] is not None
            and disk["free_inodes"] < min(FEWEST_INODES, disk["total_inodes"] / 100)
        ):
            faults.append(
                Fault(
                    "storage_full", "inodes", CRITICAL, "%s has no inodes left" % disk["path"], (_inodes(disk),), values
                )
            )
    return faults


def _full_below(disk: Disk) -> float:
    """2 % of the file system, at most 1 GiB of it, but never less than the next WAL segment needs."""
    floor = min(WAL_SEGMENT_BYTES, disk["total_bytes"] / 10)
    return max(floor, min(disk["total_bytes"] * FULL_SHARE, GIB))


def _low(facts: Facts, thresholds: Thresholds) -> List[Finding]:
    found = []
    for disk in _disks(facts):
        least = min(thresholds.free_disk_gib * GIB, disk["total_bytes"] * LOW_SHARE)
        if disk["total_bytes"] > 0 and _full_below(disk) <= disk["free_bytes"] < least:
            text = "%s has %s left" % (disk["path"], size(disk["free_bytes"]))
            found.append(Finding("storage_low", WARNING, text, (_space(disk),)))
    return found


def _disks(facts: Facts) -> List[Disk]:
    return facts["server"]["disks"] if facts["server"] else []


def _space(disk: Disk) -> str:
    return "free space on %s: %s of %s" % (disk["path"], size(disk["free_bytes"]), size(disk["total_bytes"]))


def _inodes(disk: Disk) -> str:
    return "free inodes on %s: %d of %d" % (disk["path"], disk["free_inodes"] or 0, disk["total_inodes"] or 0)


def _age(snapshot: Snapshot, thresholds: Thresholds) -> List[Fault]:
    faults = []
    for cause, key, what in (
        ("transaction_age", "xid_age", "transaction age"),
        ("multixact_age", "multixact_age", "multixact age"),
    ):
        ages: List[Dict[str, Any]] = [dict(row) for row in snapshot["soundness"]["transaction_age"]]
        rows = [row for row in ages if (row[key] or 0) > thresholds.xid_age]
        rows.sort(key=lambda row: -row[key])
        if not rows:
            continue
        evidence = tuple(
            "%s of database %s: %s (threshold %s, autovacuum_freeze_max_age %s)"
            % (
                what,
                row["database"],
                number(row[key]),
                number(thresholds.xid_age),
                number(snapshot["soundness"]["autovacuum_freeze_max_age"]),
            )
            for row in rows[:5]
        )
        severity = EMERGENCY if rows[0][key] >= XID_EMERGENCY else CRITICAL
        text = "%s of %s: %s" % (what.capitalize(), rows[0]["database"], number(rows[0][key]))
        values = Values(database=str(rows[0]["database"]), age=number(rows[0][key]))
        faults.append(Fault("wraparound_risk", cause, severity, text, evidence, values))
    return faults


def _replication(facts: Facts, snapshot: Snapshot, thresholds: Thresholds) -> List[Fault]:
    faults = []
    sound, most = snapshot["soundness"], thresholds.replication_lag_seconds
    behind = [row for row in sound["standbys"] if row["state"] != "backup" and (row["replay_lag_seconds"] or 0) > most]
    behind.sort(key=lambda row: -(row["replay_lag_seconds"] or 0))
    evidence = [
        "standby %s (%s, %s) is %s behind%s"
        % (
            row["application"] or "unknown",
            row["client_address"] or "local socket",
            row["state"],
            duration(row["replay_lag_seconds"] or 0),
            ", %s of WAL" % size(row["replay_lag_bytes"]) if row["replay_lag_bytes"] is not None else "",
        )
        for row in behind
    ]
    who = (behind[0]["application"] or "a standby") if behind else "this standby"
    receiver = sound["receiver"]
    lag = receiver["replay_lag_seconds"] if receiver else None
    if snapshot["in_recovery"] and receiver and lag is not None and lag > most:
        evidence.append(
            "this standby is %s behind its primary (receiver %s)" % (duration(lag), receiver["status"] or "not running")
        )
    lost = _lost_primary(facts, snapshot)
    if lost:
        faults.append(
            Fault(
                "replication_lag",
                "receiver_down",
                WARNING,
                "This standby receives no WAL",
                tuple(lost),
                Values(standby="this standby"),
            )
        )
    if evidence:
        text = "A standby is more than %s behind" % duration(most)
        faults.append(Fault("replication_lag", "standby_behind", WARNING, text, tuple(evidence), Values(standby=who)))
    return faults


def _lost_primary(facts: Facts, snapshot: Snapshot) -> List[str]:
    """No receiver *and* a log that says it was wanted: a standby fed from an archive has none and needs none."""
    if not _no_receiver(snapshot) or facts["server"] is None:
        return []
    told = [
        entry
        for entry in this_run(facts["server"])
        if entry["severity"] in ("FATAL", "ERROR") and LOST_PRIMARY.search(entry["text"])
    ]
    return ["in recovery, but no WAL receiver is running", *log_lines(told)] if told else []


def _no_receiver(snapshot: Snapshot) -> bool:
    receiver = snapshot["soundness"]["receiver"]
    # A limited role sees a running receiver's row with nulls only.
    return snapshot["in_recovery"] and not snapshot["limited"] and not (receiver and receiver["status"])


def _receiver(facts: Facts, snapshot: Snapshot) -> List[Finding]:
    if not _no_receiver(snapshot) or _lost_primary(facts, snapshot):
        return []
    text = "This standby has no WAL receiver: fine if it is fed from an archive, otherwise it falls behind"
    return [Finding("no_wal_receiver", WARNING, text, ("in recovery, but no WAL receiver is running",))]


def _slots(snapshot: Snapshot) -> List[Finding]:
    found = []
    for slot in snapshot["soundness"]["slots"]:
        retained, status = slot["retained_bytes"], slot["wal_status"]
        if slot["active"] or not ((retained or 0) >= RETAINED_BYTES or status in ("unreserved", "lost")):
            continue
        held = "retains %s of WAL" % size(retained) if retained is not None else "retains WAL"
        evidence = "slot %s (%s) is inactive, %s, wal_status %s" % (
            slot["name"],
            slot["type"],
            held,
            status or "unknown",
        )
        text = "Inactive replication slot %s %s" % (slot["name"], "has lost its WAL" if status == "lost" else held)
        found.append(Finding("inactive_slot", WARNING, line(text), (evidence,)))
    return found


def _collations(snapshot: Snapshot) -> List[Finding]:
    """PostgreSQL's manual, "ALTER COLLATION": what was sorted by the old rules may be in the wrong order now."""
    moved = snapshot["soundness"]["collations"]
    if not moved:
        return []
    evidence = [
        "%s: collation %s was %s, is %s now%s"
        % (each["database"], each["name"], each["recorded_version"], each["actual_version"] or "gone", _sorted(each))
        for each in moved
    ]
    text = (
        "The operating system has another version of the collations of %s: indexes may be in the wrong order; "
        "run integrity_check, then reindex" % names([each["database"] for each in moved], 3)
    )
    return [Finding(MOVED, WARNING, text, tuple(evidence))]


def _sorted(moved: MovedCollation) -> str:
    if moved["indexes"] is None:  # another database
        return ""
    largest = ": %s" % names(moved["largest"] or []) if moved["largest"] else ""
    return "; %s (%s) sort by it%s" % (count(moved["indexes"], "index", "indexes"), size(moved["bytes"]), largest)
