#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cancel_queries
short_description: Cancel PostgreSQL queries that block others or run too long
version_added: 0.2.0
description:
  - Cancels the queries of root blockers first, those that block others and are not blocked themselves.
  - Then, with O(end_blockers), ends root blockers that have been idle in a transaction for O(blocked_seconds), and
    those that ignored the cancel request.
  - Then cancels queries that have been running for O(query_seconds).
  - The sessions are selected again before each step, since what waited for a root blocker continues by itself.
  - The rules of M(oncall.postgresql.sessions) apply. Superusers and replication roles that are not a declared client,
    backup tools, waits for a synchronous standby and protected users are left alone. Nothing is ever sent SIGKILL.
  - VACUUM, CREATE INDEX, REINDEX, CLUSTER and base backups are only cancelled where O(pids) names them.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.protection
  - oncall.postgresql.target
attributes:
  check_mode:
    support: full
    details:
      - Which root blocker will ignore the cancelling, and which query goes on by itself, cannot be predicted.
  diff_mode:
    support: full
  platform:
    support: full
options:
  pids:
    description:
      - Only these sessions, by their process numbers. One that is idle in a transaction is ended however short that is.
      - When not given, every session that the rules allow. An empty list is refused.
    type: list
    elements: int
  query_seconds:
    description: Cancel queries that have been running for at least this long. When not given, O(long_query_seconds).
    type: float
  end_blockers:
    description: Whether root blockers without a query, or that ignore the cancelling, are ended.
    type: bool
    default: true
  max_sessions:
    description: Refuse, and list the sessions, when more than this many are meant.
    type: int
    default: 1000
  max_percent:
    description: Refuse, and list the sessions, when more than this share of all client sessions is meant. It does not
      count with O(pids).
    type: float
    default: 100
  cancel_wait_seconds:
    description: How long a cancelled query of a root blocker may take to end before its session is ended.
    type: float
    default: 2
  timeout_seconds:
    description: How long to wait for the other signals to have their effect.
    type: float
    default: 10
seealso:
  - module: oncall.postgresql.activity_info
  - module: oncall.postgresql.sessions
"""

EXAMPLES = r"""
- name: Cancel whatever blocks others or runs for more than ten minutes
  oncall.postgresql.cancel_queries:
    project: shop
    query_seconds: 600

- name: Only the sessions that triage has named
  oncall.postgresql.cancel_queries:
    project: shop
    pids: [4711, 4712]
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: The outcome in one line.
  returned: success
  type: str
  sample: 1 terminated
sessions:
  description: Every session that was selected, as it was before anything was done; also returned when
    the task fails.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: Its backend's pid, as the server sees it.
      type: int
    backend_start:
      description: When it connected; empty without the right to see it.
      type: str
    user:
      description: Its role; null when unknown.
      type: str
    database:
      description: Its database; null when unknown.
      type: str
    application:
      description: Its application_name; empty when it gave none.
      type: str
    client_address:
      description: Where it comes from; null for a Unix socket.
      type: str
    state:
      description: V(active), V(idle), V(idle in transaction), V(idle in transaction (aborted\)), ...;
        null when unknown.
      type: str
    state_seconds:
      description: Since its state last changed; null when unknown.
      type: float
    transaction_seconds:
      description: Since its transaction began; null when none is open.
      type: float
    query_seconds:
      description: Since its query began; null unless it is active.
      type: float
    wait_event_type:
      description: What kind of thing it waits for; null when it does not wait.
      type: str
    wait_event:
      description: What it waits for; null when it does not wait.
      type: str
    backend_type:
      description: V(client backend), V(autovacuum worker), V(walsender), ...; null without the right
        to see it.
      type: str
    superuser:
      description: Whether its role is a superuser; null when unknown.
      type: bool
    query:
      description: Its last query, without values, at most 200 characters; null without the right to see
        it.
      type: str
    outcome:
      description: V(cancelled) (its query, or it left as soon as its query was cancelled), V(terminated),
        V(gone_by_itself), V(still_there) or V(refused); in check mode, the expected outcome.
      type: str
    reason:
      description: Why it was refused, or not ended once its query was cancelled; else null.
      type: str
  sample:
    - pid: 10774
      backend_start: '2026-11-28T16:39:36.742624+00:00'
      backend_type: client backend
      user: shop
      database: shop
      application: shop-api
      client_address: 127.0.0.1
      state: idle in transaction
      wait_event_type: Client
      wait_event: ClientRead
      state_seconds: 3.241
      transaction_seconds: 3.241
      query_seconds: null
      superuser: false
      query: LOCK TABLE prices
      outcome: terminated
      reason: null
blocked:
  description: How many sessions wait for a lock that another one holds.
  returned: success
  type: dict
  contains:
    before:
      description: Before anything was done.
      type: int
    after:
      description: After; null in check mode, and where it could not be counted.
      type: int
  sample:
    before: 1
    after: 0
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
from ..module_utils._procedures.cancel_queries.run import OPTIONS, CancelQueries

WORK = Changing(TARGET + OPTIONS, CancelQueries())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
