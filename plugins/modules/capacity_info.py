#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: capacity_info
short_description: What does a PostgreSQL server have to work with?
version_added: 0.2.0
description:
  - Reads what tuning depends on. The memory and processors that the server may use, C(/dev/shm), huge pages, the kind
    of storage, the size of its databases, how much write-ahead log it writes, and its settings.
  - Memory is the lowest limit of the server's cgroup (version 1 or 2) and of those above it, such as a systemd slice;
    where there is none, the host's. V(max), and what is as much as the host has, is no limit.
  - What is above a container that has its cgroup namespace for itself cannot be seen from within (cgroup version 2).
  - Changes nothing. What it may not or could not see is in RV(not_covered).
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
seealso:
  - plugin: oncall.postgresql.tuning
    plugin_type: filter
  - module: oncall.postgresql.load_info
"""

EXAMPLES = r"""
- name: What does it have to work with?
  oncall.postgresql.capacity_info:
    project: shop
  register: shop

- name: Show the memory that it may use
  ansible.builtin.debug:
    var: shop.capacity.memory
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
capacity:
  description: What it has to work with.
  returned: success
  type: dict
  contains:
    memory:
      description: The memory that it may use.
      type: dict
      contains:
        usable_bytes:
          description: V(limit_bytes) where there is one below the host's memory, else V(host_bytes);
            null when unknown.
          type: int
        limit_bytes:
          description: The lowest limit of its cgroup and of those above it; null when there is none.
          type: int
        limit_from:
          description: The file that says so; null without a limit.
          type: str
        host_bytes:
          description: The host's memory; null when unknown.
          type: int
        available_bytes:
          description: How much of the host's memory is free, or could be at once; null when unknown.
          type: int
        swap_bytes:
          description: The host's swap space; null when unknown.
          type: int
    cpus:
      description: The processors that it may use.
      type: dict
      contains:
        usable:
          description: V(quota) where it is lower, else V(count); null when unknown.
          type: float
        count:
          description: Those that its processes may run on; null when unknown.
          type: int
        quota:
          description: For how many its cgroup and those above it give time; null when there is no quota.
          type: float
    shared_memory:
      description: /dev/shm as the server sees it; null when there is none, or unread.
      type: dict
      contains:
        size_bytes:
          description: Its size.
          type: int
        free_bytes:
          description: How much of it is free.
          type: int
    huge_pages:
      description: The host's huge pages; null when the kernel has none, or unread.
      type: dict
      contains:
        page_bytes:
          description: The size of one.
          type: int
        total:
          description: How many the host has set aside.
          type: int
        free:
          description: How many of them are not in use.
          type: int
    data:
      description: Where the data directory is; null when unread.
      type: dict
      contains:
        path:
          description: The directory.
          type: str
        device:
          description: Its device, such as "sda" or "dm-0"; null when it has none that can be seen.
          type: str
        rotational:
          description: Whether the kernel takes that for a disk that turns; null when it does not say.
          type: bool
        size_bytes:
          description: The size of the file system; null when unknown.
          type: int
    wal:
      description: Where pg_wal is; null when unread.
      type: dict
      contains:
        path:
          description: The directory.
          type: str
        device:
          description: Its device, such as "sda" or "dm-0"; null when it has none that can be seen.
          type: str
        rotational:
          description: Whether the kernel takes that for a disk that turns; null when it does not say.
          type: bool
        size_bytes:
          description: The size of the file system; null when unknown.
          type: int
    database_bytes:
      description: The size of all databases; null when SQL did not get through, or without the right.
      type: int
    wal_rate:
      description: The write-ahead log; null on a standby, or when less than an hour was counted.
      type: dict
      contains:
        bytes_per_second:
          description: The average.
          type: float
        seconds:
          description: Of how long.
          type: float
        source:
          description: 'What was counted: C(pg_stat_wal) (from 14 on) or V(position) (13: since the cluster
            was made, all that it wrote).'
          type: str
    clients:
      description: Declared clients that run on the same host, and share its memory.
      type: int
    settings:
      description: The settings that tuning is about, as SHOW writes them; empty when SQL did not get
        through.
      type: dict
  sample:
    memory:
      usable_bytes: 25276063744
      limit_bytes: null
      limit_from: null
      host_bytes: 25276063744
      available_bytes: 21917822976
      swap_bytes: 0
    cpus:
      usable: 2
      count: 2
      quota: null
    shared_memory:
      size_bytes: 25276063744
      free_bytes: 25219133440
    huge_pages:
      page_bytes: 2097152
      total: 0
      free: 0
    data:
      path: /tmp/oncall-pg-qm0gz0k8/data
      device: vda
      rotational: true
      size_bytes: 270553174016
    wal:
      path: /tmp/oncall-pg-qm0gz0k8/data/pg_wal
      device: vda
      rotational: true
      size_bytes: 270553174016
    database_bytes: 30211796
    wal_rate: null
    clients: 1
    settings:
      autovacuum_max_workers: '3'
      autovacuum_work_mem: '-1'
      checkpoint_completion_target: '0.9'
      checkpoint_timeout: 5min
      default_statistics_target: '100'
      dynamic_shared_memory_type: posix
      effective_cache_size: 4GB
      effective_io_concurrency: '1'
      hash_mem_multiplier: '2'
      huge_pages: try
      idle_in_transaction_session_timeout: '0'
      maintenance_work_mem: 64MB
      max_connections: '20'
      max_parallel_maintenance_workers: '2'
      max_parallel_workers: '8'
      max_parallel_workers_per_gather: '2'
      max_wal_size: 1GB
      max_worker_processes: '8'
      random_page_cost: '4'
      shared_buffers: 16MB
      statement_timeout: '0'
      wal_buffers: 512kB
      work_mem: 4MB
not_covered:
  description: What could not be seen, and why.
  returned: success
  type: list
  elements: str
  sample:
    - 'wal_rate: counted for less than an hour: too short to be an average'
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
    snapshot: 310.0
    total: 1071.0
"""

from ..module_utils._entry.capacity import capacity_info
from ..module_utils._entry.load import Load
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET

WORK = Load(TARGET, capacity_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
