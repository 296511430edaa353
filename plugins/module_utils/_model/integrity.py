# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells whether the data is whole: the facts of an integrity check, and its graded items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple, TypedDict

from .baseline import Compared
from .facts import ChecksumFailures, ControlData, Slot

GO, CAUTION, NO_GO = "go", "caution", "no_go"
GRADES = (GO, CAUTION, NO_GO)  # in rising order


class Collation(TypedDict):
    """One whose rules may have changed since its indexes were built."""

    name: str  # the collation, or `default` for the database's own
    recorded_version: str  # the version that the server wrote down
    actual_version: Optional[str]  # the version that the operating system has now; null when it has none


class StaleIndex(TypedDict):
    """An index that sorts by such a collation."""

    name: str  # the index, with its schema
    table: str  # its table, with its schema
    unique: bool  # whether it is unique
    bytes: Optional[int]  # its size; null while somebody has it locked
    collations: List[str]  # the collations that it sorts by


class InvalidIndex(TypedDict):
    """An index that is not used, or not kept up to date."""

    name: str  # the index, with its schema
    table: str  # its table, with its schema
    ready: bool  # whether it is kept up to date all the same: it costs, and serves nobody
    bytes: Optional[int]  # its size; null while somebody has it locked


class UncheckedConstraint(TypedDict):
    """A constraint that holds for new rows only (`NOT VALID`)."""

    name: str  # the constraint
    table: str  # its table, with its schema
    type: str  # as in pg_constraint: `c` check, `f` foreign key, `n` not null


class Sequence(TypedDict):
    """A sequence that comes to its end."""

    name: str  # the sequence, with its schema
    last: int  # the value that it gave last
    limit: int  # the last value that it can give, or that its column's type can hold
    used_percent: float  # how much of its range is used up
    days_left: Optional[int]  # until its end at the average pace of inserts into its tables; null when there were none
    seconds_counted: Optional[int]  # over how long that is the average: since the statistics were reset


class OldTable(TypedDict):
    """One of the oldest tables of a database."""

    name: str  # the table, with its schema
    xid_age: int  # how many transactions old its oldest row may be
    multixact_age: int  # the same for multixacts


class Vacuum(TypedDict):
    """A VACUUM that is running."""

    pid: int  # its process
    table: str  # the table, with its schema
    automatic: bool  # whether it is autovacuum's
    phase: str  # what it does now, in PostgreSQL's words (pg_stat_progress_vacuum)
    percent: Optional[float]  # how much of the table it has scanned; null without the right to see it


class Damage(TypedDict):
    """What amcheck found in one object."""

    name: str  # the index or table, with its schema
    kind: str  # `index` or `table`
    sqlstate: Optional[str]  # of the error; null for what a check of a table reports
    message: str  # what it said, in the server's language


class Share(TypedDict):
    """How much of one kind of object was read."""

    # `catalog_index`, `catalog_table`, `index`, `table`, or `toast`: the values out of line, followed from their rows
    kind: str
    objects: int  # how many there are; of `toast`, how many tables have any
    bytes: int  # their size
    checked_objects: int  # how many were read from one end to the other
    checked_bytes: int  # their size


class Amcheck(TypedDict):
    """What the extension amcheck has read in a database."""

    version: Optional[str]  # the extension's version; null where it is not installed
    damage: List[Damage]  # what it found
    coverage: List[Share]  # how much was read, catalogs first
    not_covered: List[str]  # what was not read, and why


class ShortFile(TypedDict):
    """A table or index that ends before what was last counted of it."""

    kind: str  # `table` or `index`
    name: str  # with its schema
    bytes: int  # how long it is
    counted_bytes: int  # how long it was when VACUUM, ANALYZE or a rebuild counted


class DatabaseFacts(TypedDict):
    """One database."""

    name: str  # the database
    bytes: Optional[int]  # its size; null where that may not be read
    collation: Optional[str]  # its own collation
    xid_age: int  # how many transactions old its oldest row may be
    multixact_age: int  # the same for multixacts
    collations: List[Collation]  # collations whose version has moved
    stale_indexes: List[StaleIndex]  # the indexes that sort by them
    invalid_indexes: List[InvalidIndex]  # indexes that are not valid, or not ready
    unchecked_constraints: List[UncheckedConstraint]  # constraints that are not validated
    sequences: List[Sequence]  # those of which at least `sequence_percent` is used up
    unseen_sequences: int  # how many may not be read
    unlogged_tables: List[str]  # tables that a crash empties
    short_files: Optional[List[ShortFile]]  # tables and indexes that have lost their end; null where that was not read
    user_tables: int  # how many tables there are beside the catalogs
    oldest_tables: List[OldTable]  # the oldest tables
    vacuums: List[Vacuum]  # what VACUUM does in it now
    amcheck: Optional[Amcheck]  # what amcheck has read; null where it was not asked


class Horizon(TypedDict):
    """What keeps VACUUM from removing dead rows, and old transaction numbers from being frozen."""

    kind: str  # `session`, `prepared_transaction`, `slot` or `standby`
    name: str  # the session's pid, or the name of the transaction, slot or standby
    age: Optional[int]  # how many transactions old what it holds is
    detail: Optional[str]  # the role, the slot's type, or the standby's address


class DamagedFile(TypedDict):
    """A file that the server could not read, by the last lines of its log."""

    path: str  # below the data directory
    database: Optional[str]  # its database; null for one that all share, or that is gone
    name: Optional[str]  # the table or index that it belongs to now, with its schema; null where that is not known
    message: str  # the last entry that names it
    sound: bool  # whether amcheck has read it since, and found nothing


class Leftover(TypedDict):
    """A file of nothing any more."""

    path: str  # below the data directory; of a temporary file its name
    database: Optional[str]  # the database whose table or index it was; null for a temporary file
    bytes: int  # its size


class DamagedAtRest(TypedDict):
    """A file of a stopped server with a page whose checksum is wrong."""

    path: str  # below the data directory
    blocks: int  # how many of its pages


class AtRest(TypedDict):
    """What `pg_checksums --check` says of a stopped server."""

    enabled: bool  # whether data checksums are on
    files: Optional[int]  # how many files it has read; null when it did not come to its end, or they are off
    blocks: Optional[int]  # how many pages; null like that
    damaged: List[DamagedAtRest]  # the files in which checksums were wrong
    message: Optional[str]  # why it did not come to its end, else null


class Archiver(TypedDict):
    """How WAL is archived (pg_stat_archiver)."""

    mode: str  # the setting `archive_mode`: `off`, `on` or `always`
    failing: bool  # whether the last attempt failed
    last_wal: Optional[str]  # the file that was archived last
    last_at: Optional[str]  # when
    failed_wal: Optional[str]  # the file that failed last
    failed_at: Optional[str]  # when
    failures: int  # how many attempts have failed since the statistics were reset


class Backup(TypedDict):
    """A backup, as its program or its file tells."""

    program: str  # `pgBackRest`, `Barman` or `WAL-G`; `file` for the newest of `backup_file`
    name: str  # the backup's own name, or the file's path
    finished_at: Optional[str]  # when it was finished; null when it was not
    age_seconds: Optional[float]  # how long ago, by the clock of the machine that was asked
    trouble: Optional[str]  # what is wrong with it; null when nothing is known to be


class IntegrityFacts(TypedDict):
    """All that was read."""

    control: Optional[ControlData]  # what `pg_controldata` says; null where the server's files are not seen
    checksums: Optional[bool]  # whether data checksums are on; null when SQL did not get through
    checksum_failures: List[ChecksumFailures]  # databases in which checksums were wrong
    at_rest: Optional[AtRest]  # what `pg_checksums` says; null unless the server was shut down cleanly
    damaged_files: List[DamagedFile]  # what the server's log says of files that it could not read
    leftovers: List[Leftover]  # files that a crash has left
    archiver: Optional[Archiver]  # how WAL is archived; null when that could not be read
    backups: List[Backup]  # the newest backup of each program, and its last attempt where that failed
    slots: List[Slot]  # the replication slots
    horizon: List[Horizon]  # what holds back the oldest transaction, the oldest first
    databases: List[DatabaseFacts]  # the databases that were looked into
    baseline: Compared  # how it differs from its baseline
    errors: Dict[str, str]  # what could not be read -> why


@dataclass(frozen=True)
class Item:
    """One line of the report. ``grade`` None: nothing of it was covered.

    ``summary`` is one line; ``evidence`` what proves it; ``not_covered`` what was not looked at, and why.
    """

    item: str
    grade: Optional[str]
    summary: str
    evidence: Tuple[str, ...] = ()
    not_covered: Tuple[str, ...] = ()
