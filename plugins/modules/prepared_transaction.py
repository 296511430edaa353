#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: prepared_transaction
short_description: Finish a prepared transaction of PostgreSQL that its manager left behind
version_added: 0.1.0
description:
  - A prepared transaction holds its locks, and holds back vacuum, until it is finished. It belongs to no session,
    so ending sessions or restarting the server does not help.
  - Rolls it back, or commits it if that is asked for. Ask its owner first. What the other databases of the same
    distributed transaction did is not known here.
  - Only the owner of the transaction or a superuser may finish it, and only in its database, to which this module
    connects by itself.
  - A transaction that does not exist is not an error.
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
  gid:
    description: Its name, as in C(pg_prepared_xacts).
    type: str
    required: true
  state:
    description: How it ends.
    type: str
    choices: [rolled_back, committed]
    default: rolled_back
  min_age_seconds:
    description:
      - A younger one is refused, for its transaction manager may be about to finish it.
      - When not given, O(blocked_seconds), the time after which a session that waits counts as hanging.
    type: float
seealso:
  - module: oncall.postgresql.activity_info
"""

EXAMPLES = r"""
- name: Roll back what the payment service left behind
  oncall.postgresql.prepared_transaction:
    project: shop
    gid: payment-4711
    state: rolled_back
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: The outcome in one line.
  returned: success
  type: str
  sample: Prepared transaction 'payment-4711' of postgres in database shop was rolled back; it blocked
    1 session
gid:
  description: Its name.
  returned: success
  type: str
  sample: payment-4711
owner:
  description: The role that prepared it; null when it does not exist.
  returned: success
  type: str
  sample: postgres
database:
  description: Its database; null when it does not exist.
  returned: success
  type: str
  sample: shop
prepared:
  description: When it was prepared; null when it does not exist.
  returned: success
  type: str
  sample: '2026-11-28T16:39:41.754019+00:00'
age_seconds:
  description: Since it was prepared; null when it does not exist.
  returned: success
  type: float
  sample: 3.105
blocks:
  description: The sessions that waited for it, longest first.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: Its backend's pid, as the server sees it.
      type: int
    user:
      description: Its role; null when unknown.
      type: str
    application:
      description: Its application_name.
      type: str
    blocked_seconds:
      description: For how long it had been waiting.
      type: float
    query:
      description: Its query, without values, at most 200 characters; null without the right to see it.
      type: str
  sample:
    - pid: 11700
      user: postgres
      application: shop-api
      blocked_seconds: 3.088
      query: SELECT * FROM prices;
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
from ..module_utils._procedures.prepared_transaction.run import OPTIONS, Finish

WORK = Changing(TARGET + OPTIONS, Finish())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
