#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: restore_proof
short_description: Restore a backup of PostgreSQL into a throw-away container, and check it there
version_added: 0.2.0
description:
  - Restores a dump or a base backup into a container of the server's own image, reads all of it there, and grades it
    as M(oncall.postgresql.integrity_info) grades a server.
  - Knows by itself what the backup is - a plain SQL dump, a dump in the custom, directory or tar format, the directory
    of a base backup, or C(base.tar) with C(pg_wal.tar); plain, custom and tar files packed by C(gzip), too.
  - The container has no network, no port, a limit of memory and the least share of the processor. The backup is
    mounted read-only, the copy is in a volume of the container's own. It lives as long as the task holds it - whatever
    ends the task, the copy is shut down cleanly and the engine removes container and volume.
  - A base backup starts as a server of its own, with settings of ours - it archives nothing, follows nobody, runs no
    job and no subscription. C(amcheck) is installed in the copy, so all of the data is read even where the server
    has no such extension.
  - The server is only inspected, and needs not run. It is sent no query.
  - Refused before any container is made, where there is no room on the engine's disk, where the file is no backup, and
    where the backup is of another version than the image.
  - Errors that name a role that is not there are expected, since a dump of one database holds no roles. They are
    returned as evidence and make no difference to RV(grade).
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.target
attributes:
  check_mode:
    support: full
    details: The backup is examined, and whatever would be refused is. It is not restored.
  diff_mode:
    support: none
  platform:
    support: full
options:
  backup:
    description:
      - The file or directory, an absolute path on the engine's host. Of C(base.tar) its directory is used.
    type: str
    required: true
  restore_seconds:
    description: How long the restore may take.
    type: float
    default: 3600
  memory_mib:
    description: How much memory the container may have, in MiB; at least 256.
    type: int
    default: 1024
  check_seconds:
    description: How long the check of what was restored may take.
    type: float
    default: 300
  databases:
    description:
      - Only check these databases. When empty, all that are in the backup.
      - A plain dump of one database, made without C(--create), does not say which one it is of. Give its name here.
    type: list
    elements: str
    default: []
  jobs:
    description: In how many databases catalogs are read side by side.
    type: int
    default: 2
  baseline:
    description:
      - What M(oncall.postgresql.baseline) has read earlier of the server - its
        RV(oncall.postgresql.baseline#module:baseline). What differs is named; the tables counted then are counted.
      - Of a dump sizes are not compared. A restored table takes less room.
    type: dict
  tolerance_percent:
    description: Name what has more or fewer rows by more than this.
    type: float
    default: 20
seealso:
  - module: oncall.postgresql.integrity_info
  - module: oncall.postgresql.baseline
"""

EXAMPLES = r"""
- name: Can last night's dump be restored?
  oncall.postgresql.restore_proof:
    project: shop
    backup: /srv/backup/shop.dump
  register: proof

- name: Say so when it cannot
  ansible.builtin.assert:
    that: proof.grade == 'go'
    fail_msg: "{{ proof.summary }}"
"""

RETURN = r"""
# Written by scripts/returns.py.
target:
  description: The restored server; the host is that of the server whose backup it is.
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
    runtime: compose
    version: '17.12'
    in_recovery: false
grade:
  description: 'The worst grade of all checks: V(go), V(caution) or V(no_go).'
  returned: success
  type: str
  sample: go
summary:
  description: The answer in one line.
  returned: success
  type: str
  sample: 'Go: 276 objects read, no damage'
checks:
  description: What was checked, the restore first.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description: V(restore), V(control_file), V(checksums), V(leftovers), V(collations), V(amcheck),
        V(schema), V(sequences), V(age) or O(baseline).
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
      description: 'Always null: a backup is not repaired.'
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
    - check: restore
      grade: go
      summary: restored in 4.7 s, without the roles app
      evidence:
        - 'custom-format dump /tmp/backup-yi58uheb/shop.dump: 8 KiB, 6.3 s old'
        - made of PostgreSQL 17.12
        - database shop
      not_covered: []
      remedy: null
not_covered:
  description: All that was not looked at, and why.
  returned: success
  type: list
  elements: str
  sample: []
backup:
  description: What was restored.
  returned: success
  type: dict
  contains:
    path:
      description: As it was given.
      type: str
    kind:
      description: V(plain), V(custom), V(tar) or V(directory) for a dump, V(base_directory) or V(base_tar)
        for a base backup.
      type: str
    compressed:
      description: Whether it is packed by gzip.
      type: bool
    bytes:
      description: How much room it takes.
      type: int
    modified_at:
      description: When it was last written to; null when unknown.
      type: str
    age_seconds:
      description: How long ago that was, by the clock of the engine's host; null when unknown.
      type: float
    version:
      description: The version of the server that it was made of; null where it does not say.
      type: str
    database:
      description: The database that a dump is of; null where it is of a whole cluster.
      type: str
  sample:
    path: /tmp/backup-yi58uheb/shop.dump
    kind: custom
    compressed: false
    bytes: 8192
    modified_at: '2026-11-29T06:53:42.000Z'
    age_seconds: 6.3
    version: '17.12'
    database: shop
container:
  description: The throw-away container's name, which is removed; null in check mode.
  returned: success
  type: str
  sample: oncall-restore-proof-6bfb60ca2698
leftovers:
  description: Containers of earlier runs that were killed, removed by this one.
  returned: success
  type: list
  elements: str
  sample: []
integrity:
  description: What was read in the restored server.
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
          description: V(pgBackRest), V(Barman) or V(WAL-G); V(file) for the newest of V(backup_file).
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
          description: Those of which at least V(sequence_percent) is used up.
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
      written_at: '2026-11-29T06:53:52.000Z'
      checkpoint_lsn: 0/1500FD0
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
      - name: shop
        bytes: 7878323
        collation: en_US.UTF-8
        xid_age: 16
        multixact_age: 0
        collations: []
        stale_indexes: []
        invalid_indexes: []
        unchecked_constraints: []
        sequences: []
        unseen_sequences: 0
        short_files: []
        unlogged_tables: []
        user_tables: 1
        oldest_tables:
          - name: information_schema.sql_features
            xid_age: 16
            multixact_age: 0
        vacuums: []
        amcheck:
          version: '1.4'
          damage: []
          coverage:
            - kind: catalog_index
              objects: 160
              bytes: 3137536
              checked_objects: 160
              checked_bytes: 3137536
          not_covered: []
    baseline:
      taken_at: '2026-11-29T06:53:47.554Z'
      why_not: null
      tables: 1
      counted: 1
      changes: []
      sizes: []
      not_covered: []
    errors: {}
elapsed_ms:
  description: Milliseconds that each step took, the restore first, and the total.
  returned: success
  type: dict
  sample:
    restore: 4700.0
    baseline: 1926.7
    snapshot: 362.8
    server: 391.8
    catalogs: 1739.2
    amcheck: 1575.1
    total: 11841.0
refused:
  description: Whether the task was refused before anything was changed.
  returned: failure
  type: bool
  sample: true
sqlstate:
  description: PostgreSQL's SQLSTATE; null when the failure has none.
  returned: failure
  type: str
  sample: null
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import RESTORE_PROOF
from ..module_utils._entry.restore_proof import RestoreProof

WORK = RestoreProof(RESTORE_PROOF)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
