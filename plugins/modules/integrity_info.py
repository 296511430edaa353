#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: integrity_info
short_description: Is the data whole? Go, caution or no-go
version_added: 0.2.0
description:
  - Grades whether the data is whole, item by item, and says what was not looked at as plainly as what was.
  - Reads the control file, checksum failures, collations whose version has moved with the indexes that sort by them,
    invalid indexes, constraints that are not validated, sequences near their end, and transaction age with what holds
    it back, in every database that the login role may connect to.
  - Reads the data itself by the extension C(amcheck) in each database where it is installed - system catalogs first,
    then users' indexes and tables, those written most and the largest first - as far as O(check_seconds) allow. It says
    how much was read, in per cent of bytes.
  - Of a server that was shut down cleanly it reads every page's checksum, by C(pg_checksums --check), as its OS user or
    in a container of its own image that cannot write to the volumes.
  - Takes no lock but AccessShareLock, never waits behind one, and changes nothing. While other sessions are at work it
    pauses between objects, as long as all can still be read within O(check_seconds).
  - RV(grade) is V(go) only where nothing was found and the data of every database with tables was read to its end.
    Where C(amcheck) is missing it is V(caution) at best. V(no_go) takes proof, such as an index that C(amcheck) finds
    damaged, or a page whose checksum was wrong.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
options:
  backup_file:
    description:
      - The file or directory of the last backup, or a pattern, of which the newest counts; an absolute path on the
        machine that the module runs on. How old it is, and whether it is empty, is all that is asked.
    type: str
  backup_hours:
    description: How old the last backup may be, in hours, before RV(grade) is V(caution).
    type: float
    default: 26
  check_seconds:
    description:
      - How long the whole check may take. O(deadline_seconds) is for what M(oncall.postgresql.triage) reads, too.
    type: float
    default: 300
  databases:
    description: Only look into these databases. When empty, all that allow connections.
    type: list
    elements: str
    default: []
  jobs:
    description: In how many databases catalogs are read side by side. Data is read by one session at a time.
    type: int
    default: 2
  sequence_percent:
    description: Name sequences of which this share of the range is used up.
    type: float
    default: 80
  baseline:
    description:
      - What M(oncall.postgresql.baseline) has read earlier - its RV(oncall.postgresql.baseline#module:baseline). The
        tables counted then are counted again, in at most 40 % of O(check_seconds), and what differs is named.
    type: dict
    version_added: 0.2.0
  tolerance_percent:
    description: Name what has grown or shrunk by more than this since the baseline.
    type: float
    default: 20
    version_added: 0.2.0
seealso:
  - module: oncall.postgresql.triage
  - module: oncall.postgresql.baseline
  - name: amcheck
    description: What the extension verifies.
    link: https://www.postgresql.org/docs/current/amcheck.html
"""

EXAMPLES = r"""
- name: Is the data whole?
  oncall.postgresql.integrity_info:
    project: shop
  register: integrity

- name: Do not go on without a go
  ansible.builtin.assert:
    that: integrity.grade == 'go'
    fail_msg: "{{ integrity.summary }}"
"""

RETURN = r"""
# Written by scripts/returns.py.
target:
  description: The server that was checked.
  returned: success
  type: dict
  contains:
    host:
      description: Name of the host.
      type: str
    runtime:
      description: The value of the option O(runtime).
      type: str
    version:
      description: The server's version, such as "17.5"; null when SQL did not get through.
      type: str
    in_recovery:
      description: Whether it is a standby (or still recovering); null when SQL did not get through.
      type: bool
  sample:
    host: shop-db
    runtime: pg_ctl
    version: '15.18'
    in_recovery: false
grade:
  description: 'The worst grade of all checks: V(go), V(caution) or V(no_go).'
  returned: success
  type: str
  sample: caution
summary:
  description: The answer in one line.
  returned: success
  type: str
  sample: 'Caution: shop.public.invoice: 95.0 % used, 950 of 1,000. Not looked at: backups, baseline'
checks:
  description: What was checked.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description: V(control_file), V(checksums), V(log), V(leftovers), V(collations), V(amcheck), V(schema),
        V(sequences), V(age), V(archiving), V(slots), V(backups) or O(baseline).
      type: str
    grade:
      description: V(go), V(caution) or V(no_go); null when nothing of it could be looked at.
      type: str
    summary:
      description: The same in one line.
      type: str
    evidence:
      description: The readings that prove it.
      type: list
      elements: str
    not_covered:
      description: What of it was not looked at, and why.
      type: list
      elements: str
    remedy:
      description: What rebuilds the indexes, as in a verdict; null where that is not the answer.
      type: dict
      contains:
        playbook:
          description: Its fully qualified name.
          type: str
        extra_vars:
          description: Its variables.
          type: dict
        command:
          description: The command to paste.
          type: str
  sample:
    - check: control_file
      grade: go
      summary: cluster state "in production"
      evidence: []
      not_covered: []
      remedy: null
not_covered:
  description: All that was not looked at, and why.
  returned: success
  type: list
  elements: str
  sample:
    - 'data checksums are off: a page that the disk has changed is noticed only where it makes no sense'
    - 'postgres: amcheck: it is not installed: CREATE EXTENSION amcheck, as a superuser'
    - 'template1: amcheck: it is not installed: CREATE EXTENSION amcheck, as a superuser'
integrity:
  description: What was read.
  returned: success
  type: dict
  contains:
    control:
      description: What C(pg_controldata) says; null where the server's files are not seen.
      type: dict
      contains:
        readable:
          description: Whether C(pg_controldata) could read the control file.
          type: bool
        crc_ok:
          description: Whether its checksum is right; null when unknown.
          type: bool
        system_identifier:
          description: Of the cluster; a standby and a copy have that of their primary; null when unknown.
          type: str
        state:
          description: The cluster's state, such as "in production", "shut down" or "in crash recovery";
            null when unknown.
          type: str
        written_at:
          description: When the control file was last written; null when unknown.
          type: str
        checkpoint_lsn:
          description: Where the last checkpoint's record starts; null when unknown.
          type: str
        checkpoint_wal_file:
          description: The WAL file that recovery would need first; null when unknown.
          type: str
        checkpoint_readable:
          description: Whether C(pg_waldump) can read that record; null unless the server is stopped.
          type: bool
        message:
          description: Its error message when it failed, else null.
          type: str
    checksums:
      description: Whether data checksums are on; null when SQL did not get through.
      type: bool
    checksum_failures:
      description: Databases in which checksums were wrong.
      type: list
      elements: dict
      contains:
        database:
          description: The database; null for shared objects.
          type: str
        count:
          description: How many since the statistics were last reset.
          type: int
        last_failure:
          description: When one was last seen; null when unknown.
          type: str
    at_rest:
      description: What C(pg_checksums) says; null unless the server was shut down cleanly.
      type: dict
      contains:
        enabled:
          description: Whether data checksums are on.
          type: bool
        files:
          description: How many files it has read; null when it did not come to its end, or they are off.
          type: int
        blocks:
          description: How many pages; null like that.
          type: int
        damaged:
          description: The files in which checksums were wrong.
          type: list
          elements: dict
          contains:
            path:
              description: Below the data directory.
              type: str
            blocks:
              description: How many of its pages.
              type: int
        message:
          description: Why it did not come to its end, else null.
          type: str
    damaged_files:
      description: What the server's log says of files that it could not read.
      type: list
      elements: dict
      contains:
        path:
          description: Below the data directory.
          type: str
        database:
          description: Its database; null for one that all share, or that is gone.
          type: str
        name:
          description: The table or index that it belongs to now, with its schema; null where that is
            not known.
          type: str
        message:
          description: The last entry that names it.
          type: str
        sound:
          description: Whether amcheck has read it since, and found nothing.
          type: bool
    leftovers:
      description: Files that a crash has left.
      type: list
      elements: dict
      contains:
        path:
          description: Below the data directory; of a temporary file its name.
          type: str
        database:
          description: The database whose table or index it was; null for a temporary file.
          type: str
        bytes:
          description: Its size.
          type: int
    archiver:
      description: How WAL is archived; null when that could not be read.
      type: dict
      contains:
        mode:
          description: 'The setting V(archive_mode): V(off), V(on) or V(always).'
          type: str
        failing:
          description: Whether the last attempt failed.
          type: bool
        last_wal:
          description: The file that was archived last; null when unknown.
          type: str
        last_at:
          description: When; null when unknown.
          type: str
        failed_wal:
          description: The file that failed last; null when unknown.
          type: str
        failed_at:
          description: When; null when unknown.
          type: str
        failures:
          description: How many attempts have failed since the statistics were reset.
          type: int
    backups:
      description: The newest backup of each program, and its last attempt where that failed.
      type: list
      elements: dict
      contains:
        program:
          description: V(pgBackRest), V(Barman) or V(WAL-G); V(file) for the newest of O(backup_file).
          type: str
        name:
          description: The backup's own name, or the file's path.
          type: str
        finished_at:
          description: When it was finished; null when it was not.
          type: str
        age_seconds:
          description: How long ago, by the clock of the machine that was asked; null when unknown.
          type: float
        trouble:
          description: What is wrong with it; null when nothing is known to be.
          type: str
    slots:
      description: The replication slots.
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
        type:
          description: V(physical) or V(logical).
          type: str
        active:
          description: Whether it is in use.
          type: bool
        retained_bytes:
          description: WAL that is kept for it; null when it holds none.
          type: int
        wal_status:
          description: V(reserved), V(extended), V(unreserved) or V(lost); null when it holds no WAL.
          type: str
    horizon:
      description: What holds back the oldest transaction, the oldest first.
      type: list
      elements: dict
      contains:
        kind:
          description: V(session), V(prepared_transaction), V(slot) or V(standby).
          type: str
        name:
          description: The session's pid, or the name of the transaction, slot or standby.
          type: str
        age:
          description: How many transactions old what it holds is; null when unknown.
          type: int
        detail:
          description: The role, the slot's type, or the standby's address; null when unknown.
          type: str
    databases:
      description: The databases that were looked into.
      type: list
      elements: dict
      contains:
        name:
          description: The database.
          type: str
        bytes:
          description: Its size; null where that may not be read.
          type: int
        collation:
          description: Its own collation; null when unknown.
          type: str
        xid_age:
          description: How many transactions old its oldest row may be.
          type: int
        multixact_age:
          description: The same for multixacts.
          type: int
        collations:
          description: Collations whose version has moved.
          type: list
          elements: dict
          contains:
            name:
              description: The collation, or V(default) for the database's own.
              type: str
            recorded_version:
              description: The version that the server wrote down.
              type: str
            actual_version:
              description: The version that the operating system has now; null when it has none.
              type: str
        stale_indexes:
          description: The indexes that sort by them.
          type: list
          elements: dict
          contains:
            name:
              description: The index, with its schema.
              type: str
            table:
              description: Its table, with its schema.
              type: str
            unique:
              description: Whether it is unique.
              type: bool
            bytes:
              description: Its size; null while somebody has it locked.
              type: int
            collations:
              description: The collations that it sorts by.
              type: list
              elements: str
        invalid_indexes:
          description: Indexes that are not valid, or not ready.
          type: list
          elements: dict
          contains:
            name:
              description: The index, with its schema.
              type: str
            table:
              description: Its table, with its schema.
              type: str
            ready:
              description: 'Whether it is kept up to date all the same: it costs, and serves nobody.'
              type: bool
            bytes:
              description: Its size; null while somebody has it locked.
              type: int
        unchecked_constraints:
          description: Constraints that are not validated.
          type: list
          elements: dict
          contains:
            name:
              description: The constraint.
              type: str
            table:
              description: Its table, with its schema.
              type: str
            type:
              description: 'As in pg_constraint: V(c) check, V(f) foreign key, V(n) not null.'
              type: str
        sequences:
          description: Those of which at least O(sequence_percent) is used up.
          type: list
          elements: dict
          contains:
            name:
              description: The sequence, with its schema.
              type: str
            last:
              description: The value that it gave last.
              type: int
            limit:
              description: The last value that it can give, or that its column's type can hold.
              type: int
            used_percent:
              description: How much of its range is used up.
              type: float
            days_left:
              description: Until its end at the average pace of inserts into its tables; null when there
                were none.
              type: int
            seconds_counted:
              description: 'Over how long that is the average: since the statistics were reset; null when
                unknown.'
              type: int
        unseen_sequences:
          description: How many may not be read.
          type: int
        unlogged_tables:
          description: Tables that a crash empties.
          type: list
          elements: str
        short_files:
          description: Tables and indexes that have lost their end; null where that was not read.
          type: list
          elements: dict
          contains:
            kind:
              description: V(table) or V(index).
              type: str
            name:
              description: With its schema.
              type: str
            bytes:
              description: How long it is.
              type: int
            counted_bytes:
              description: How long it was when VACUUM, ANALYZE or a rebuild counted.
              type: int
        user_tables:
          description: How many tables there are beside the catalogs.
          type: int
        oldest_tables:
          description: The oldest tables.
          type: list
          elements: dict
          contains:
            name:
              description: The table, with its schema.
              type: str
            xid_age:
              description: How many transactions old its oldest row may be.
              type: int
            multixact_age:
              description: The same for multixacts.
              type: int
        vacuums:
          description: What VACUUM does in it now.
          type: list
          elements: dict
          contains:
            pid:
              description: Its process.
              type: int
            table:
              description: The table, with its schema.
              type: str
            automatic:
              description: Whether it is autovacuum's.
              type: bool
            phase:
              description: What it does now, in PostgreSQL's words (pg_stat_progress_vacuum).
              type: str
            percent:
              description: How much of the table it has scanned; null without the right to see it.
              type: float
        amcheck:
          description: What amcheck has read; null where it was not asked.
          type: dict
          contains:
            version:
              description: The extension's version; null where it is not installed.
              type: str
            damage:
              description: What it found.
              type: list
              elements: dict
              contains:
                name:
                  description: The index or table, with its schema.
                  type: str
                kind:
                  description: V(index) or V(table).
                  type: str
                sqlstate:
                  description: Of the error; null for what a check of a table reports.
                  type: str
                message:
                  description: What it said, in the server's language.
                  type: str
            coverage:
              description: How much was read, catalogs first.
              type: list
              elements: dict
              contains:
                kind:
                  description: 'V(catalog_index), V(catalog_table), V(index), V(table), or V(toast): the
                    values out of line, followed from their rows.'
                  type: str
                objects:
                  description: How many there are; of V(toast), how many tables have any.
                  type: int
                bytes:
                  description: Their size.
                  type: int
                checked_objects:
                  description: How many were read from one end to the other.
                  type: int
                checked_bytes:
                  description: Their size.
                  type: int
            not_covered:
              description: What was not read, and why.
              type: list
              elements: str
    baseline:
      description: How it differs from its baseline.
      type: dict
      contains:
        taken_at:
          description: When the baseline was taken; null where there is none.
          type: str
        why_not:
          description: Why there was nothing to compare with; null where there was.
          type: str
        tables:
          description: How many tables were compared.
          type: int
        counted:
          description: How many of them by their rows.
          type: int
        changes:
          description: What is different.
          type: list
          elements: dict
          contains:
            kind:
              description: V(appeared), V(vanished), V(emptied), V(rows), V(uncounted), V(bytes), V(schema)
                or V(changed).
              type: str
            what:
              description: What has changed.
              type: str
            counted:
              description: Whether it is a table whose rows were counted.
              type: bool
            before:
              description: What it was, in words; null where it was not there.
              type: str
            after:
              description: What it is, in words; null where it is not there.
              type: str
            percent:
              description: How much more or less; null where that is no number.
              type: float
        sizes:
          description: The databases, and of their tables those that were counted and the largest, 20
            of each at most.
          type: list
          elements: dict
          contains:
            kind:
              description: V(kept), V(appeared) or V(vanished).
              type: str
            database:
              description: The database.
              type: str
            table:
              description: The table, with its schema; null for the whole database.
              type: str
            bytes_before:
              description: Its size in the baseline; null where it was not there, or not known.
              type: int
            bytes:
              description: Its size now; null where it is not there, or not known.
              type: int
            rows_before:
              description: Its rows in the baseline, where they were counted; null when unknown.
              type: int
            rows:
              description: Its rows now, where they were counted; null when unknown.
              type: int
        not_covered:
          description: What could not be compared, and why.
          type: list
          elements: str
    errors:
      description: What could not be read -> why.
      type: dict
  sample:
    control:
      readable: true
      crc_ok: true
      system_identifier: '7577000000000000001'
      state: in production
      written_at: '2026-11-29T04:28:27.000Z'
      checkpoint_lsn: 0/1500708
      checkpoint_wal_file: '000000010000000000000001'
      checkpoint_readable: null
      message: null
    checksums: false
    checksum_failures: []
    at_rest: null
    damaged_files: []
    leftovers: []
    archiver:
      mode: 'off'
      failing: false
      last_wal: null
      last_at: null
      failed_wal: null
      failed_at: null
      failures: 0
    backups: []
    slots: []
    horizon: []
    databases:
      - name: postgres
        bytes: 7634279
        collation: C
        xid_age: 15
        multixact_age: 0
        collations: []
        stale_indexes: []
        invalid_indexes: []
        unchecked_constraints: []
        sequences: []
        unseen_sequences: 0
        short_files: []
        unlogged_tables: []
        user_tables: 0
        oldest_tables:
          - name: information_schema.sql_features
            xid_age: 15
            multixact_age: 0
        vacuums: []
        amcheck:
          version: null
          damage: []
          coverage: []
          not_covered:
            - 'amcheck: it is not installed: CREATE EXTENSION amcheck, as a superuser'
    baseline:
      taken_at: null
      why_not: 'no baseline was given: set oncall_baseline_dir, and make one with oncall.postgresql.baseline'
      tables: 0
      counted: 0
      changes: []
      sizes: []
      not_covered: []
    errors:
      backups by pgBackRest: 'ERROR: [041]: unable to open file ''/etc/pgbackrest.conf'' for read: [13]
        Permission denied.'
elapsed_ms:
  description: Milliseconds that each step took, and the total.
  returned: success
  type: dict
  sample:
    snapshot: 46.4
    server: 59.3
    catalogs: 295.7
    amcheck: 172.9
    baseline: 10.9
    total: 540.0
"""

from ..module_utils._entry.integrity import Integrity
from ..module_utils._entry.module import run
from ..module_utils._entry.options import INTEGRITY

WORK = Integrity(INTEGRITY)


def main() -> None:
    run(WORK, watched=True)


if __name__ == "__main__":
    main()
