#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: load_info
short_description: Where does a busy PostgreSQL spend its time?
version_added: 0.2.0
description:
  - Counts active sessions by what they wait for (CPU, I/O, LWLocks, locks, clients), at one moment.
  - Reads for how much of the time the server's container or service waited for CPU, I/O and memory (pressure stall
    information of its cgroup, else of the host).
  - Names large tables that are read whole, for which an index may be missing, and tables with dead rows with their last
    vacuum and analyze, in each database.
  - Reads statistics only. What it may not or could not see is in RV(not_covered).
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
options:
  databases:
    description: Only look into these databases. When empty, all that the login role may connect to.
    type: list
    elements: str
    default: []
  large_table_mib:
    description: Only name tables that are read whole from this size on, in MiB.
    type: float
    default: 10
  top:
    description: How many tables each list has.
    type: int
    default: 10
seealso:
  - module: oncall.postgresql.statements_info
  - module: oncall.postgresql.activity_info
  - module: oncall.postgresql.integrity_info
"""

EXAMPLES = r"""
- name: Where does its time go?
  oncall.postgresql.load_info:
    project: shop
  register: busy

- name: Show what active sessions wait for
  ansible.builtin.debug:
    var: busy.load.active.waits
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
load:
  description: Where its time goes.
  returned: success
  type: dict
  contains:
    active:
      description: What active sessions wait for; null when SQL did not get through.
      type: dict
      contains:
        sessions:
          description: How many.
          type: int
        cpu:
          description: 'How many of them wait for nothing: they run, or want to.'
          type: int
        io:
          description: How many wait for the disk.
          type: int
        lwlock:
          description: How many wait for a lock inside the server, or for a buffer.
          type: int
        lock:
          description: How many wait for a lock of another transaction.
          type: int
        client:
          description: How many wait for their client.
          type: int
        other:
          description: How many wait for something else.
          type: int
        waits:
          description: The same by event, the most first.
          type: list
          elements: dict
          contains:
            wait_class:
              description: V(cpu) (no wait), V(io), V(lwlock), V(lock), V(client) or V(other).
              type: str
            event:
              description: The event, as in pg_stat_activity; null for V(cpu).
              type: str
            sessions:
              description: How many sessions.
              type: int
        hidden:
          description: 'How many processes the login role may not see: what they do is not counted.'
          type: int
    pressure:
      description: What the server's processes waited for; empty where the kernel does not tell.
      type: list
      elements: dict
      contains:
        resource:
          description: V(cpu), V(io) or V(memory).
          type: str
        source:
          description: V(cgroup) (of the server's container or service) or V(host).
          type: str
        some_percent_10s:
          description: Somebody waited, in the last 10 seconds.
          type: float
        some_percent_60s:
          description: In the last minute.
          type: float
        full_percent_10s:
          description: Everybody waited, in the last 10 seconds; null where the kernel does not tell.
          type: float
        full_percent_60s:
          description: In the last minute; null where the kernel does not tell.
          type: float
    databases:
      description: The databases that were looked into.
      type: list
      elements: dict
      contains:
        name:
          description: The database.
          type: str
        since:
          description: Since when its statistics count; null when they were never reset.
          type: str
        scanned:
          description: Large tables that are read whole, the most rows first.
          type: list
          elements: dict
          contains:
            name:
              description: The table, with its schema.
              type: str
            bytes:
              description: Its size, without indexes.
              type: int
            seq_scans:
              description: How often it was read whole.
              type: int
            seq_rows_read:
              description: How many rows were read that way.
              type: int
            rows_per_seq_scan:
              description: How many on average.
              type: float
            index_scans:
              description: How often it was read by an index.
              type: int
            seq_percent:
              description: Which part of all reads was of the whole table.
              type: float
        dead:
          description: Tables with dead rows, the most first.
          type: list
          elements: dict
          contains:
            name:
              description: The table, with its schema.
              type: str
            live_rows:
              description: How many rows are alive, by the statistics.
              type: int
            dead_rows:
              description: How many are dead.
              type: int
            dead_percent:
              description: Their part of both.
              type: float
            last_vacuum:
              description: 'When it was vacuumed last, by a person or by autovacuum; null: never.'
              type: str
            last_autovacuum:
              description: 'When by autovacuum; null: never.'
              type: str
            last_analyze:
              description: 'When it was analyzed last, by a person or by autovacuum; null: never.'
              type: str
            last_autoanalyze:
              description: 'When by autovacuum; null: never.'
              type: str
  sample:
    active:
      cpu: 0
      io: 0
      lwlock: 0
      lock: 1
      client: 0
      other: 0
      sessions: 1
      waits:
        - wait_class: lock
          event: relation
          sessions: 1
      hidden: 0
    pressure:
      - resource: cpu
        source: host
        some_percent_10s: 66.47
        some_percent_60s: 64.15
        full_percent_10s: 0.0
        full_percent_60s: 0.0
    databases:
      - name: postgres
        since: null
        scanned: []
        dead: []
not_covered:
  description: What could not be seen, and why.
  returned: success
  type: list
  elements: str
  sample: []
errors:
  description: The steps that failed, and why.
  returned: success
  type: dict
  sample: {}
elapsed_ms:
  description: Milliseconds that each step took, and the total.
  returned: success
  type: dict
  sample:
    snapshot: 34.9
    total: 205.2
"""

from ..module_utils._entry.load import Load, load_info
from ..module_utils._entry.module import run
from ..module_utils._entry.options import LOAD

WORK = Load(LOAD, load_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
