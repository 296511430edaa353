#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pressure_info
short_description: How hard is a PostgreSQL server pressed at this moment?
version_added: 0.2.0
description:
  - Takes one sample of the memory and swap space that the server uses, the processes that the kernel has killed for
    want of memory, what it has logged since O(since), by kinds, how long a new connection takes, and the connections.
  - Memory and swap space are those of the server's cgroup (version 1 or 2) that is nearest to its limit; where none has
    one, those of its host. Pages of files, which the kernel can drop, are not counted.
  - Two samples can be compared; M(oncall.postgresql.soak) does that.
  - A server that does not answer within 5 seconds is a result, and no failure.
  - Changes nothing. What it may not or could not see is in RV(not_covered).
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
options:
  since:
    description:
      - From when on the log is counted, as RV(pressure.at) of a former result.
      - Without it, the last five minutes.
    type: str
seealso:
  - module: oncall.postgresql.soak
  - module: oncall.postgresql.capacity_info
  - module: oncall.postgresql.load_info
"""

EXAMPLES = r"""
- name: How hard is it pressed?
  oncall.postgresql.pressure_info:
    project: shop
  register: shop

- name: What has it logged since then?
  oncall.postgresql.pressure_info:
    project: shop
    since: "{{ shop.pressure.at }}"
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
pressure:
  description: How hard it is pressed.
  returned: success
  type: dict
  contains:
    at:
      description: When, by the clock of where it runs.
      type: str
    memory:
      description: Its memory; null when unread.
      type: dict
      contains:
        used_bytes:
          description: How much of it is used.
          type: int
        limit_bytes:
          description: How much may be used.
          type: int
        source:
          description: The directory of the cgroup that is nearest to its limit, or V(host) where no cgroup
            has one.
          type: str
    swap:
      description: Swap space; null when unread.
      type: dict
      contains:
        used_bytes:
          description: How much.
          type: int
        source:
          description: The file that says so for the server's cgroup, or V(host).
          type: str
    oom_kills:
      description: Processes killed for want of memory; null when unread.
      type: dict
      contains:
        count:
          description: How many since its cgroup was made, or the host was started.
          type: int
        source:
          description: The file that says so for the server's cgroup, or V(host).
          type: str
    log:
      description: What it has logged; null when its log cannot be read, or has no times.
      type: dict
      contains:
        since:
          description: From when on.
          type: str
        seconds:
          description: How long that is.
          type: float
        panic:
          description: Messages of severity PANIC.
          type: int
        fatal:
          description: Messages of severity FATAL.
          type: int
        error:
          description: Messages of severity ERROR.
          type: int
        out_of_memory:
          description: Messages of whatever severity that name want of memory.
          type: int
        could_not_fork:
          description: Messages that no process could be started.
          type: int
        no_space:
          description: Messages that name a full disk.
          type: int
    probe:
      description: A new connection and one small query.
      type: dict
      contains:
        milliseconds:
          description: How long both took; null when there was no answer.
          type: float
        error:
          description: Why there was none; null when there was one.
          type: str
    connections:
      description: Client connections beside ours; null when there was no answer.
      type: int
    started:
      description: When the server was started; null when there was no answer.
      type: str
  sample:
    at: '2026-11-29T15:28:17.000Z'
    memory:
      used_bytes: 1353441280
      limit_bytes: 25276063744
      source: host
    swap:
      used_bytes: 0
      source: /sys/fs/cgroup/memory/process_api/79a1caa720b3f2a04274a37ef7cbc37e/memory.stat
    oom_kills:
      count: 0
      source: /sys/fs/cgroup/memory/process_api/79a1caa720b3f2a04274a37ef7cbc37e/memory.oom_control
    log:
      since: '2026-11-29T15:23:17.000Z'
      seconds: 300.0
      panic: 0
      fatal: 0
      error: 0
      out_of_memory: 0
      could_not_fork: 0
      no_space: 0
    probe:
      milliseconds: 84.2
      error: null
    connections: 1
    started: '2026-11-29T15:28:15.107985+00:00'
not_covered:
  description: What could not be seen, and why.
  returned: success
  type: list
  elements: str
  sample: []
elapsed_ms:
  description: Milliseconds that it took.
  returned: success
  type: dict
  sample:
    total: 173.2
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import PRESSURE
from ..module_utils._entry.pressure import Pressure

WORK = Pressure(PRESSURE)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
