#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: baseline
short_description: Keep what the server is like, and say what changed
version_added: 0.2.0
description:
  - Reads what the server is like - sizes of databases and tables, exact row counts of chosen tables, settings, roles,
    C(pg_hba.conf), extensions, and a fingerprint of what each object's definition is - and keeps it as a JSON file on
    the controller, to be compared with the next one and by M(oncall.postgresql.integrity_info).
  - Nothing is written where nothing has changed since the last one.
  - Rows are counted under one exported snapshot in each database. While they are counted, VACUUM there keeps the rows
    that have been deleted since. No lock but AccessShareLock is taken, and none is waited for - a table that is locked
    is not counted, and that is said. Nor is one with functions of another role, but for superusers, in its indexes,
    statistics or partition key, which would run as the login role, or with a foreign table among its parts.
  - Passwords are not read. Settings that hold secrets are masked, such as V(primary_conninfo).
  - A size counts as changed from 1 MiB on.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.target
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
options:
  directory:
    description:
      - Where baselines are kept, on the controller; each host has a directory there, made with mode V(0700). The files
        have mode V(0600).
    type: str
    required: true
  keep:
    description: How many are kept of each host. Older ones are removed when a new one is written.
    type: int
    default: 10
  tables:
    description:
      - Count the rows of these tables, V(table), V(schema.table) or V(database:schema.table), as SQL writes names.
        Without a schema or a database it is looked for in all of them, and every one that is found is counted.
      - Or dictionaries of the keys C(database), C(schema) and C(table), which are taken as they are.
      - Tables, partitioned tables and materialized views can be counted. What is not there is said in RV(not_covered).
    type: list
    elements: raw
    default: []
  estimate:
    description: Of the other tables, keep how many rows the planner believes there are (C(reltuples)).
    type: bool
    default: false
  databases:
    description: Only look into these databases. When empty, all that allow connections.
    type: list
    elements: str
    default: []
  jobs:
    description: How many tables are counted side by side. There are two more connections, which hold the snapshot.
    type: int
    default: 2
  count_seconds:
    description: How long one count may take.
    type: float
    default: 60
  check_seconds:
    description: How long it may take as a whole.
    type: float
    default: 300
seealso:
  - module: oncall.postgresql.integrity_info
"""

EXAMPLES = r"""
- name: Keep what the server is like
  oncall.postgresql.baseline:
    project: shop
    directory: /var/lib/oncall/baselines
    tables:
      - public.vendor_equipment
      - threat_intelligence
      - "shop:public.compliance_frameworks"
"""

RETURN = r"""
# Written by scripts/returns.py.
target:
  description: The server.
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
msg:
  description: What was written, in one line.
  returned: success
  type: str
  sample: 'Written: /tmp/tmppt0znu_0/baselines/shop-db/20261129T035854.297Z.json'
path:
  description: The file that holds this; in check mode, the one that would be written.
  returned: success
  type: str
  sample: /tmp/tmppt0znu_0/baselines/shop-db/20261129T035854.297Z.json
previous:
  description: The last file before; null where there was none that can be read.
  returned: success
  type: str
  sample: null
changes:
  description: What is different from that one.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(appeared), V(vanished), V(emptied), V(rows), V(uncounted), V(bytes), V(schema) or
        V(changed).
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
  sample: []
removed:
  description: Older files that were removed.
  returned: success
  type: list
  elements: str
  sample: []
baseline:
  description: What was read.
  returned: success
  type: dict
  contains:
    schema:
      description: Version of this document's shape.
      type: int
    host:
      description: The host's name.
      type: str
    version:
      description: The server's version.
      type: str
    system_identifier:
      description: Of the cluster; null without the right to read it.
      type: str
    in_recovery:
      description: Whether it is a standby.
      type: bool
    taken_at:
      description: When.
      type: str
    settings:
      description: The settings of its files and its command line; secrets masked.
      type: dict
    roles:
      description: The roles, but for those that PostgreSQL brings.
      type: list
      elements: dict
      contains:
        name:
          description: The role.
          type: str
        attributes:
          description: Such as V(superuser), V(login) or V(replication).
          type: list
          elements: str
        connection_limit:
          description: 'How many connections it may have; -1: any number.'
          type: int
        valid_until:
          description: When its password expires; null when never.
          type: str
        member_of:
          description: The roles that it is a member of.
          type: list
          elements: str
        settings:
          description: What was set for it, the database after it where it is for one; secrets masked.
          type: list
          elements: str
    hba:
      description: The rules of C(pg_hba.conf); null without the right to read them.
      type: list
      elements: str
    databases:
      description: The databases.
      type: list
      elements: dict
      contains:
        name:
          description: The database.
          type: str
        bytes:
          description: Its size; null where that may not be read.
          type: int
        extensions:
          description: Its extensions -> their versions.
          type: dict
        tables:
          description: Its tables, without those of the system.
          type: list
          elements: dict
          contains:
            name:
              description: Its name, with its schema.
              type: str
            bytes:
              description: Its size with indexes and TOAST; null while somebody has it locked.
              type: int
            rows:
              description: Exactly, where it was to be counted; with O(estimate=true) what the planner
                believes; else null.
              type: int
            exact:
              description: Whether V(rows) was counted.
              type: bool
        fingerprint:
          description: Sha256 of its schema's definition; null where a lock was in the way.
          type: str
        objects:
          description: What the schema consists of -> the start of a sha256 of its definition; null when
            unknown.
          type: dict
    not_covered:
      description: What was not read, and why.
      type: list
      elements: str
  sample:
    schema: 1
    host: shop-db
    version: 15.18 (Debian 15.18-0+deb12u1)
    system_identifier: '7713437946865902083'
    in_recovery: false
    taken_at: '2026-11-29T03:58:54.297Z'
    settings:
      DateStyle: ISO, MDY
      default_text_search_config: pg_catalog.english
      dynamic_shared_memory_type: posix
      fsync: 'off'
      lc_messages: C
      lc_monetary: C
      lc_numeric: C
      lc_time: C
      listen_addresses: 127.0.0.1
      log_line_prefix: '%m [%p] %e '
      log_timezone: Etc/UTC
      logging_collector: 'off'
      max_connections: '20'
      max_prepared_transactions: '2'
      max_wal_size: 1024MB
      min_wal_size: 80MB
      port: '26791'
      shared_buffers: 20488kB
      ssl: 'on'
      ssl_cert_file: /tmp/oncall-pg-93a6gp6i/server.crt
      ssl_key_file: /tmp/oncall-pg-93a6gp6i/server.key
      unix_socket_directories: /tmp/oncall-pg-93a6gp6i
    roles:
      - name: postgres
        attributes:
          - superuser
          - login
          - replication
        connection_limit: -1
        valid_until: null
        member_of: []
        settings: []
    hba:
      - local all postgres trust
      - host all all all scram-sha-256
      - local all all scram-sha-256
    databases:
      - name: postgres
        bytes: 7634279
        extensions:
          plpgsql: '1.0'
        tables: []
        fingerprint: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        objects: {}
    not_covered: []
not_covered:
  description: What was not read, and why.
  returned: success
  type: list
  elements: str
  sample: []
elapsed_ms:
  description: Milliseconds that it took.
  returned: success
  type: dict
  sample:
    total: 693.5
"""

from ..module_utils._entry.baseline import BaselineWork
from ..module_utils._entry.module import run
from ..module_utils._entry.options import BASELINE

WORK = BaselineWork(BASELINE)


def main() -> None:
    run(WORK, watched=True)


if __name__ == "__main__":
    main()
