#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: statements_info
short_description: Which statements take the most time in PostgreSQL?
version_added: 0.2.0
description:
  - Reads the slowest statements on average and those that take the most time in total from the extension
    C(pg_stat_statements), in whichever database it is. Its counts are of the whole server.
  - Where the extension is missing, not loaded or may not be read, RV(reason) says what to do; that is no failure.
  - Queries are shown without values, see O(query_text).
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
options:
  top:
    description: How many statements each of the two lists has.
    type: int
    default: 10
seealso:
  - module: oncall.postgresql.load_info
  - module: oncall.postgresql.activity_info
  - name: pg_stat_statements
    description: What the extension counts.
    link: https://www.postgresql.org/docs/current/pgstatstatements.html
"""

EXAMPLES = r"""
- name: Which statements take the most time?
  oncall.postgresql.statements_info:
    project: shop
    top: 5
  register: slow

- name: Show them
  ansible.builtin.debug:
    msg: "{{ slow.statements.by_total | map(attribute='query') if slow.statements else slow.reason }}"
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
statements:
  description: What pg_stat_statements counts; null when it cannot be read.
  returned: success
  type: dict
  contains:
    database:
      description: The database that has the extension.
      type: str
    extension_version:
      description: The extension's version.
      type: str
    since:
      description: When everything was reset last; null before PostgreSQL 14.
      type: str
    evicted:
      description: How often rare ones were dropped to make room since then; null before PostgreSQL 14.
      type: int
    count:
      description: How many statements are counted.
      type: int
    total_ms:
      description: How long all of them ran together.
      type: float
    by_mean:
      description: The slowest on average.
      type: list
      elements: dict
      contains:
        query_id:
          description: 'The server''s number for it, as text: JSON''s numbers end before; null without
            the right.'
          type: str
        query:
          description: Its text without values, at most 200 characters; null without the right to see
            it.
          type: str
        user:
          description: The role that ran it; null when that is gone.
          type: str
        database:
          description: The database it ran in; null when that is gone.
          type: str
        toplevel:
          description: Whether a client sent it, and no function; null before PostgreSQL 14.
          type: bool
        calls:
          description: How often it was run.
          type: int
        rows:
          description: How many rows it returned or changed, all runs together.
          type: int
        total_ms:
          description: How long it ran, all runs together.
          type: float
        mean_ms:
          description: How long it ran on average.
          type: float
        stddev_ms:
          description: How much that differs.
          type: float
        max_ms:
          description: The longest run.
          type: float
        share_percent:
          description: Its part of the time that all statements took.
          type: float
        cache_hit_percent:
          description: How many of the blocks it read were in shared_buffers; null when it read none.
          type: float
        temp_blocks:
          description: 'Blocks that it wrote to temporary files: more than work_mem holds.'
          type: int
        read_ms:
          description: Time spent reading blocks; null unless track_io_timing is on.
          type: float
        since:
          description: Since when it is counted; null before PostgreSQL 17.
          type: str
    by_total:
      description: Those that took the most time together.
      type: list
      elements: dict
      contains:
        query_id:
          description: 'The server''s number for it, as text: JSON''s numbers end before; null without
            the right.'
          type: str
        query:
          description: Its text without values, at most 200 characters; null without the right to see
            it.
          type: str
        user:
          description: The role that ran it; null when that is gone.
          type: str
        database:
          description: The database it ran in; null when that is gone.
          type: str
        toplevel:
          description: Whether a client sent it, and no function; null before PostgreSQL 14.
          type: bool
        calls:
          description: How often it was run.
          type: int
        rows:
          description: How many rows it returned or changed, all runs together.
          type: int
        total_ms:
          description: How long it ran, all runs together.
          type: float
        mean_ms:
          description: How long it ran on average.
          type: float
        stddev_ms:
          description: How much that differs.
          type: float
        max_ms:
          description: The longest run.
          type: float
        share_percent:
          description: Its part of the time that all statements took.
          type: float
        cache_hit_percent:
          description: How many of the blocks it read were in shared_buffers; null when it read none.
          type: float
        temp_blocks:
          description: 'Blocks that it wrote to temporary files: more than work_mem holds.'
          type: int
        read_ms:
          description: Time spent reading blocks; null unless track_io_timing is on.
          type: float
        since:
          description: Since when it is counted; null before PostgreSQL 17.
          type: str
  sample:
    database: shop
    extension_version: '1.10'
    since: '2026-11-29T03:29:52.89198+00:00'
    evicted: 0
    count: 25
    total_ms: 384.677
    by_mean:
      - query_id: '2587857456301213080'
        query: SELECT count(*) FROM orders WHERE number = $1
        user: postgres
        database: shop
        toplevel: true
        calls: 1
        rows: 1
        total_ms: 169.555
        mean_ms: 169.555
        stddev_ms: 0.0
        max_ms: 169.555
        share_percent: 44.1
        cache_hit_percent: 6.2
        temp_blocks: 0
        read_ms: 32.931
        since: null
    by_total:
      - query_id: '2587857456301213080'
        query: SELECT count(*) FROM orders WHERE number = $1
        user: postgres
        database: shop
        toplevel: true
        calls: 1
        rows: 1
        total_ms: 169.555
        mean_ms: 169.555
        stddev_ms: 0.0
        max_ms: 169.555
        share_percent: 44.1
        cache_hit_percent: 6.2
        temp_blocks: 0
        read_ms: 32.931
        since: null
reason:
  description: Why it cannot be read, and what to do; null when it was.
  returned: success
  type: str
  sample: null
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
    snapshot: 73.0
    total: 318.1
"""

from ..module_utils._entry.load import Load, statements_info
from ..module_utils._entry.module import run
from ..module_utils._entry.options import STATEMENTS

WORK = Load(STATEMENTS, statements_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
