#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: activity_info
short_description: Are queries getting through PostgreSQL?
version_added: 0.1.0
description:
  - Reads long-running queries, who is blocked by whom and for how long (sessions and prepared transactions), wait
    events, deadlocks, and recovery conflicts on a standby.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
seealso:
  - module: oncall.postgresql.triage
  - name: Guide to the facts
    description: Every returned fact, field by field.
    link: https://git.example.org/oncall/postgresql/blob/main/docs/facts.md
"""

EXAMPLES = r"""
- name: Are queries getting through?
  oncall.postgresql.activity_info:
    project: shop
    blocked_seconds: 10
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
question:
  description: The question that was asked.
  returned: success
  type: str
  sample: activity
answer:
  description: V(yes), V(no), or V(not_asked) when it could not be answered.
  returned: success
  type: str
  sample: 'no'
detail:
  description: The answer in one line.
  returned: success
  type: str
  sample: 'pid 15290, shop (shop-api) from 127.0.0.1, idle in transaction, blocks 1 session, the longest
    for 3.2 s: LOCK TABLE prices'
reason:
  description: Why the question could not be answered; null when it was.
  returned: success
  type: str
  sample: null
code:
  description: The verdict's code; null unless the answer is V(no).
  returned: success
  type: str
  sample: queries_hanging
cause:
  description: The verdict's cause; null unless the answer is V(no).
  returned: success
  type: str
  sample: blocked_by_lock
evidence:
  description: The readings that prove the answer V(no), the decisive one first.
  returned: success
  type: list
  elements: str
  sample:
    - 'pid 15290, shop (shop-api) from 127.0.0.1, idle in transaction, blocks 1 session, the longest for
      3.2 s: LOCK TABLE prices'
    - 'pid 15292 has been waiting 3.2 s for AccessShareLock on oid 16386 in database shop, blocked by
      pid 15290: SELECT * FROM prices;'
findings:
  description: Everything else that was noticed.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: What was noticed.
      type: str
    severity:
      description: V(ok), V(warning), V(critical) or V(emergency).
      type: str
    summary:
      description: The same in one line.
      type: str
    evidence:
      description: The readings that prove it.
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
    client 0: 50.6
    snapshot: 67.1
    wire: 90.8
    server: 96.2
    total: 98.5
activity:
  description: What the sessions do and wait for; null when SQL did not get through.
  returned: success
  type: dict
  contains:
    long_queries:
      description: Those active for at least O(long_query_seconds), the longest first, at most 50.
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
          description: V(active), V(idle), V(idle in transaction), V(idle in transaction (aborted\)),
            ...; null when unknown.
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
          description: Whether its role is a superuser.
          type: bool
        query:
          description: Its last query, without values, at most 200 characters; null without the right
            to see it.
          type: str
        spared:
          description: V(waits) (for a synchronous standby), V(commits) (it may be about to, and none
            is connected), V(no_right) (the login role may not signal it), V(replication) (its role has
            REPLICATION and is no superuser); null for none of these.
          type: str
    blocking:
      description: Who waits for whom.
      type: list
      elements: dict
      contains:
        blocked_pid:
          description: Who waits.
          type: int
        blocking_pid:
          description: Whom it waits for; 0 for a prepared transaction.
          type: int
        blocking_gid:
          description: The prepared transaction it waits for; null for a session.
          type: str
        blocked_seconds:
          description: For how long it has been waiting.
          type: float
        relation:
          description: The table that is locked; null when it waits for something else.
          type: str
        lock_type:
          description: 'What is locked: V(relation), V(transactionid), V(tuple), V(advisory), ...; null
            when unknown.'
          type: str
        lock_mode:
          description: The lock that it wants; null when unknown.
          type: str
    involved:
      description: Every session that is named in V(blocking).
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
          description: V(active), V(idle), V(idle in transaction), V(idle in transaction (aborted\)),
            ...; null when unknown.
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
          description: Whether its role is a superuser.
          type: bool
        query:
          description: Its last query, without values, at most 200 characters; null without the right
            to see it.
          type: str
        spared:
          description: V(waits) (for a synchronous standby), V(commits) (it may be about to, and none
            is connected), V(no_right) (the login role may not signal it), V(replication) (its role has
            REPLICATION and is no superuser); null for none of these.
          type: str
    prepared:
      description: Prepared transactions, the oldest first, at most 50.
      type: list
      elements: dict
      contains:
        gid:
          description: Its name.
          type: str
        owner:
          description: The role that prepared it.
          type: str
        database:
          description: Its database.
          type: str
        age_seconds:
          description: Since it was prepared.
          type: float
        ours:
          description: 'Whether the login role may finish it: its owner or a superuser may.'
          type: bool
        here:
          description: Whether it is of the database that the login goes to.
          type: bool
    wait_events:
      description: What active sessions wait for.
      type: list
      elements: dict
      contains:
        type:
          description: What kind of event.
          type: str
        event:
          description: The event.
          type: str
        sessions:
          description: How many sessions wait for it.
          type: int
    sync_replication:
      description: Commits that wait for a synchronous standby.
      type: dict
      contains:
        waiting:
          description: Number of sessions.
          type: int
        longest_seconds:
          description: For how long the first of them has been active; null when none waits.
          type: float
        standby_names:
          description: The setting V(synchronous_standby_names); null when unknown.
          type: str
    deadlocks:
      description: Databases in which deadlocks have happened.
      type: list
      elements: dict
      contains:
        database:
          description: The database; null when unknown.
          type: str
        count:
          description: How many since its statistics were last reset.
          type: int
    conflicts:
      description: Conflicts with recovery, only on a standby.
      type: list
      elements: dict
      contains:
        database:
          description: Their database.
          type: str
        kind:
          description: 'What they conflicted with: V(tablespace), V(lock), V(snapshot), V(bufferpin),
            V(deadlock), ...'
          type: str
        count:
          description: How many since the statistics were last reset.
          type: int
  sample:
    long_queries: []
    blocking:
      - blocked_pid: 15292
        blocking_pid: 15290
        blocking_gid: null
        blocked_seconds: 3.188
        lock_type: relation
        lock_mode: AccessShareLock
        relation: oid 16386 in database shop
    involved:
      - pid: 15290
        backend_start: '2026-11-29T03:21:08.325638+00:00'
        user: shop
        database: shop
        application: shop-api
        client_address: 127.0.0.1
        state: idle in transaction
        state_seconds: 3.2
        transaction_seconds: 3.201
        query_seconds: null
        wait_event_type: Client
        wait_event: ClientRead
        backend_type: client backend
        superuser: false
        spared: null
        query: LOCK TABLE prices
    prepared: []
    wait_events:
      - type: Lock
        event: relation
        sessions: 1
    sync_replication:
      waiting: 0
      longest_seconds: null
      standby_names: ''
    deadlocks: []
    conflicts: []
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.questions import activity_info
from ..module_utils._entry.work import Reading

WORK = Reading(TARGET, activity_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
