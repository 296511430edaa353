#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: connections_info
short_description: Does PostgreSQL have connection slots available?
version_added: 0.1.0
description:
  - Counts sessions by state, database, role, application and client address against the connection slots for ordinary
    roles, and against the connection limits of roles and databases.
  - Adds up what all connection pools of the clients may open, as O(clients) declares them or as they are in the
    environment of their containers, and reports V(pool_budget_exceeded) where that does not fit.
  - When no slot is left for SQL, the titles of the server's processes show who holds them.
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
- name: Are connection slots available?
  oncall.postgresql.connections_info:
    project: shop
    connection_percent: 90
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
  sample: connections
answer:
  description: V(yes), V(no), or V(not_asked) when it could not be answered.
  returned: success
  type: str
  sample: 'no'
detail:
  description: The answer in one line.
  returned: success
  type: str
  sample: 17 of 17 usable connection slots in use (max_connections 20, 3 reserved)
reason:
  description: Why the question could not be answered; null when it was.
  returned: success
  type: str
  sample: null
code:
  description: The verdict's code; null unless the answer is V(no).
  returned: success
  type: str
  sample: pool_exhausted
cause:
  description: The verdict's cause; null unless the answer is V(no).
  returned: success
  type: str
  sample: idle_connections
evidence:
  description: The readings that prove the answer V(no), the decisive one first.
  returned: success
  type: list
  elements: str
  sample:
    - 17 of 17 usable connection slots in use (max_connections 20, 3 reserved)
    - 'here: SQLSTATE 53300: remaining connection slots are reserved for non-replication superuser connections'
    - 'by state: 15 idle, 1 active, 1 idle in transaction'
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
    snapshot: 62.0
    client 0: 58.3
    wire: 87.2
    server: 89.8
    total: 96.6
connections:
  description: The sessions of clients, and the slots there are for them; null when SQL did not get through.
  returned: success
  type: dict
  contains:
    max_connections:
      description: The setting of that name.
      type: int
    superuser_reserved:
      description: The setting superuser_reserved_connections.
      type: int
    reserved:
      description: The setting reserved_connections; 0 before PostgreSQL 16.
      type: int
    used:
      description: Sessions of clients, ours not counted.
      type: int
    groups:
      description: The sessions, counted by what they have in common, the largest group first.
      type: list
      elements: dict
      contains:
        state:
          description: Their state; null when unknown.
          type: str
        database:
          description: Their database; null when unknown.
          type: str
        user:
          description: Their role; null when unknown.
          type: str
        application:
          description: Their application_name; empty when they gave none.
          type: str
        client_address:
          description: Where they come from; null for a Unix socket.
          type: str
        sessions:
          description: How many there are.
          type: int
        longest_state_seconds:
          description: For how long the longest of them has been in this state; null when unknown.
          type: float
    idle:
      description: Those idle, the longest first, at most 50.
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
    idle_in_transaction:
      description: Those idle in a transaction, the longest first, at most 50.
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
    active:
      description: Those active for 30 s, or for O(long_query_seconds) where that is less, the longest
        first, at most 50.
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
    long_idle:
      description: How many have been idle for at least O(idle_minutes).
      type: int
    long_idle_in_transaction:
      description: How many have been idle in a transaction for at least O(idle_in_transaction_seconds).
      type: int
  sample:
    max_connections: 20
    superuser_reserved: 3
    reserved: 0
    used: 17
    groups:
      - state: idle
        database: shop
        user: shop
        application: shop-api
        client_address: 127.0.0.1
        sessions: 15
        longest_state_seconds: 3.053
    idle:
      - pid: 15275
        backend_start: '2026-11-29T03:21:08.209656+00:00'
        user: shop
        database: shop
        application: shop-api
        client_address: 127.0.0.1
        state: idle
        state_seconds: 3.053
        transaction_seconds: 0.0
        query_seconds: null
        wait_event_type: Client
        wait_event: ClientRead
        backend_type: client backend
        superuser: false
        spared: null
        query: ''
    idle_in_transaction:
      - pid: 15290
        backend_start: '2026-11-29T03:21:08.325638+00:00'
        user: shop
        database: shop
        application: shop-api
        client_address: 127.0.0.1
        state: idle in transaction
        state_seconds: 2.939
        transaction_seconds: 2.939
        query_seconds: null
        wait_event_type: Client
        wait_event: ClientRead
        backend_type: client backend
        superuser: false
        spared: null
        query: LOCK TABLE prices
    active: []
    long_idle: 0
    long_idle_in_transaction: 0
limits:
  description: Roles and databases with a limit of their own; null when SQL did not get through.
  returned: success
  type: dict
  contains:
    roles:
      description: 'The roles, superusers apart: they are not held to it.'
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
        limit:
          description: The limit.
          type: int
        used:
          description: The sessions that count against it.
          type: int
    databases:
      description: The databases.
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
        limit:
          description: The limit.
          type: int
        used:
          description: The sessions that count against it.
          type: int
  sample:
    roles: []
    databases: []
processes:
  description: The server's processes; their titles say who holds the slots when SQL cannot.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: As seen from the host, also for a process in a container.
      type: int
    state:
      description: 'First letter of C(ps)''s STAT: R running, S sleeping, D waiting for I/O, T stopped,
        Z zombie.'
      type: str
    title:
      description: 'A backend''s title names its client: "postgres: app shop 10.0.0.7(51234) idle in transaction".'
      type: str
  sample:
    - pid: 15264
      state: S
      title: /usr/lib/postgresql/15/bin/postgres -D /tmp/oncall-pg-ckysyz26/data
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.questions import connections_info
from ..module_utils._entry.work import Reading

WORK = Reading(TARGET, connections_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
