#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: reindex
short_description: Rebuild indexes of PostgreSQL that are damaged, or sort by a collation that has moved
version_added: 0.2.0
description:
  - Rebuilds indexes one by one without blocking writers (C(REINDEX INDEX CONCURRENTLY)), and drops what a rebuild that
    failed has left.
  - First looks for values that a unique index should hold once and its table holds twice, without using the index.
    They are returned, nothing is deleted, and that index is not touched.
  - Reads each new index with C(amcheck) where the database has it.
  - Writes down the new version of a collation only when every index that sorts by it was rebuilt by this run.
  - Refused before anything is touched on a standby, through a connection pooler, without the right, without room on
    the disk, and while transactions are open that the rebuild would wait for. Nobody is ever cut off.
  - Indexes of system catalogs and of TOAST tables cannot be rebuilt this way; they are refused, with what to do. So are
    those of exclusion constraints, unless O(block_writers).
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
  indexes:
    description:
      - The indexes, as M(oncall.postgresql.integrity_info) prints them, C(database.schema.index). One of a
        partitioned table stands for those of its partitions.
      - When none is given, all that sort by a collation that has moved, and what rebuilds that failed have left.
    type: list
    elements: str
    default: []
  databases:
    description: Only these databases. When none is given, all that allow connections.
    type: list
    elements: str
    default: []
  lock_timeout_seconds:
    description: How long each step of a rebuild waits for a lock, or for a transaction that is older than it.
    type: float
    default: 10.0
  timeout_seconds:
    description: How long one index may take. So long may the search for values that are there twice take, too.
    type: float
    default: 3600.0
  transaction_minutes:
    description: Refuse to begin while a transaction in one of the databases has been open for longer.
    type: float
    default: 5.0
  refresh:
    description: Whether to write down the new versions of the collations when all their indexes were rebuilt.
    type: bool
    default: true
  disk_checked:
    description:
      - The room on the disk was checked by hand.
      - Needed where it cannot be read, as with O(runtime=remote). Twice the largest index, and what has to stay free.
    type: bool
    default: false
  block_writers:
    description:
      - Rebuild indexes of exclusion constraints, too, by a plain C(REINDEX INDEX). Until that has ended, nobody writes
        to the table, and nearly every query of it waits, since the planner locks all of a table's indexes.
      - Without, they are refused, and the version of a collation that they sort by is not written down.
    type: bool
    default: false
    version_added: 0.2.0
seealso:
  - module: oncall.postgresql.integrity_info
"""

EXAMPLES = r"""
- name: After an update of the operating system, rebuild what sorts by the collations that have moved
  oncall.postgresql.reindex:
    project: shop

- name: Rebuild one index that the integrity check has found damaged
  oncall.postgresql.reindex:
    project: shop
    indexes: [shop.public.orders_pkey]
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: The outcome in one line.
  returned: success
  type: str
  sample: '1 index (64 KiB) rebuilt: shop.public.labels_label_key; version refreshed of shop.german'
indexes:
  description: Index by index.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The index, with its database and schema.
      type: str
    table:
      description: Its table, with its schema.
      type: str
    state:
      description: V(rebuilt), V(dropped) (it was left by a rebuild that failed), V(refused), V(failed),
        or V(untouched); in check mode what it would be.
      type: str
    why:
      description: Why it was refused or failed, and what became of its leftover; null otherwise.
      type: str
    collations:
      description: The collations that have moved and that it sorts by.
      type: list
      elements: str
    bytes:
      description: Its size before; null while somebody has it locked.
      type: int
    bytes_after:
      description: Its size afterwards; null where it was not rebuilt.
      type: int
    seconds:
      description: How long the rebuild took; null where there was none.
      type: float
    proved_by:
      description: V(amcheck) (the new index was read), V(rebuild) (it is new and valid, and amcheck cannot
        be had), V(gone); null where nothing was done.
      type: str
    duplicates:
      description: Values that it should hold once and that its table holds twice, at most five.
      type: list
      elements: dict
      contains:
        key:
          description: The value of each column as text, at most 100 characters of it; NULL for none.
          type: list
          elements: str
        rows:
          description: How many rows have it.
          type: int
  sample:
    - name: shop.public.labels_label_key
      table: public.labels
      state: rebuilt
      why: null
      collations:
        - german
      bytes: 65536
      bytes_after: 49152
      seconds: 0.3
      proved_by: amcheck
      duplicates: []
refreshed:
  description: Collations whose version was written down anew (in check mode, would be).
  returned: success
  type: list
  elements: str
  sample:
    - shop.german
not_refreshed:
  description: Collations of which it was not, and why.
  returned: success
  type: list
  elements: str
  sample: []
needed_bytes:
  description: The room on the disk that the largest rebuild takes.
  returned: success
  type: int
  sample: 131072
refused:
  description: Whether the task was refused before anything was changed.
  returned: failure
  type: bool
sqlstate:
  description: PostgreSQL's SQLSTATE; null when the failure has none.
  returned: failure
  type: str
"""

from ..module_utils._entry.changing import Changing
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._procedures.reindex.run import OPTIONS, Reindex

WORK = Changing(TARGET + OPTIONS, Reindex())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
