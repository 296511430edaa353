#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pool_reset
short_description: Free PostgreSQL connection slots with the least disruption
version_added: 0.2.0
description:
  - Ends the sessions that have been idle for O(idle_minutes).
  - Where that does not free a connection slot, the declared O(clients) that are containers are restarted
    gracefully. Where they are not containers, or O(restart_clients=never), their sessions that have been idle longest
    are ended, only as many as it takes to come down to O(connection_percent).
  - Then it is verified that there are free slots, and that no restarted client holds more than O(most_connections).
  - The rules of M(oncall.postgresql.sessions) apply. Superusers and replication roles that are not a declared client,
    backup tools, waits for a synchronous standby, maintenance and protected users are left alone. Nothing is ever sent
    SIGKILL.
  - When no slot is left for SQL, one is freed by SIGTERM to a declared client's idle backend, as
    M(oncall.postgresql.sessions) does. Where that is not safe the clients are restarted.
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
      - When no slot is left for SQL, only the first session to be ended is known.
      - How many connections a restarted client opens again is not known, so RV(room.after) and RV(slots.used_after) are
        null then.
  diff_mode:
    support: full
  platform:
    support: full
options:
  session_state:
    description: State of the sessions to be ended, as in C(pg_stat_activity). V(idle_in_transaction) means the same as
      V(idle in transaction) and includes aborted transactions.
    type: str
    choices: [idle, idle in transaction, idle_in_transaction]
    default: idle
  user:
    description: Only sessions of this role. Its connection limit counts as room, too.
    type: str
  database:
    description: Only sessions in this database. Its connection limit counts as room, too.
    type: str
  max_sessions:
    description: Refuse, and list the sessions, when more than this many would be ended.
    type: int
    default: 1000
  max_percent:
    description: Refuse, and list the sessions, when more than this share of all client sessions would be ended.
    type: float
    default: 100
  restart_clients:
    description:
      - V(if_needed) restarts the clients where ending sessions that have been idle for long makes no room.
      - V(always) restarts them in any case.
      - V(never) ends more of their sessions instead.
    type: str
    choices: [if_needed, always, never]
    default: if_needed
  grace_seconds:
    description: How long a client's container may take to end after it was asked to. It is never killed.
    type: float
    default: 30
  health_timeout_seconds:
    description: How long a client's container may take to be connected again.
    type: float
    default: 60
  most_connections:
    description: How many connections a client may hold after its restart, by its O(clients[].application_name).
    type: int
    default: 10
seealso:
  - module: oncall.postgresql.sessions
  - module: oncall.postgresql.clients
  - module: oncall.postgresql.connections_info
"""

EXAMPLES = r"""
- name: Make room for connections
  oncall.postgresql.pool_reset:
    project: shop
    clients:
      - service: api
        health_url: http://localhost:8000/health
        application_name: api
    idle_minutes: 15

- name: End the open transactions that one role has left idle, without restarting a client
  oncall.postgresql.pool_reset:
    project: shop
    session_state: idle_in_transaction
    user: app
    restart_clients: never
"""

RETURN = r"""
msg:
  description: What came of it, in one line.
  returned: success
  type: str
  sample: "12 terminated; 1 left alone (pid 4711 belongs to protected application pg_dump)"
sessions:
  description:
    - Every session that was meant, with what it was doing when it was checked, before anything was done.
    - Also returned when the task fails.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: Its process number.
      type: int
    backend_start:
      description: When it connected.
      type: str
    backend_type:
      description: What kind of process it is.
      type: str
    user:
      description: Its role.
      type: str
    database:
      description: Its database.
      type: str
    application:
      description: Its C(application_name).
      type: str
    client_address:
      description: Where it came from, null for the Unix socket.
      type: str
    state:
      description: Its state as in C(pg_stat_activity).
      type: str
    state_seconds:
      description: For how long it had been in that state.
      type: float
    transaction_seconds:
      description: The age of its transaction.
      type: float
    query_seconds:
      description: For how long its query had been running.
      type: float
    wait_event_type:
      description: What kind of thing it waited for.
      type: str
    wait_event:
      description: What it waited for.
      type: str
    superuser:
      description: Whether its role is a superuser.
      type: bool
    query:
      description: Its last query, with secrets masked, at most 200 characters.
      type: str
    outcome:
      description:
        - V(cancelled), V(terminated), V(gone_by_itself), V(still_there) or V(refused).
        - V(cancelled) is one that left as soon as its query was cancelled.
        - In check mode, what is expected.
      type: str
    reason:
      description: Why it was refused, else null.
      type: str
  sample:
    - pid: 4711
      backend_start: "2026-11-24T02:11:09.123456+00:00"
      backend_type: client backend
      user: app
      database: shop
      application: shop-api
      client_address: 172.18.0.3
      state: idle
      state_seconds: 2411.5
      transaction_seconds: null
      query_seconds: null
      wait_event_type: Client
      wait_event: ClientRead
      superuser: false
      query: SELECT 1
      outcome: terminated
      reason: null
freed:
  description: The sessions that were ended by their process title to free a slot for SQL.
  returned: success
  type: list
  elements: dict
  sample: []
slots:
  description: The slots for ordinary roles, used before and used after; null where SQL did not get through.
  returned: success
  type: dict
  contains:
    usable:
      description: Slots for ordinary roles.
      type: int
    used:
      description: Client sessions before.
      type: int
    used_after:
      description: Client sessions after; in check mode, what is expected.
      type: int
  sample:
    usable: 97
    used: 97
    used_after: 85
clients:
  description:
    - The clients' containers that were restarted (in check mode, would be), as RV(ignore:containers) of
      M(oncall.postgresql.clients). Empty when none was.
  returned: success
  type: list
  elements: dict
  sample: []
room:
  description: Whether there was room for one more connection, and whether there is now.
  returned: success
  type: dict
  contains:
    before:
      description: Before anything was done.
      type: bool
    after:
      description: After; in check mode what is expected, null where that is not known.
      type: bool
  sample:
    before: false
    after: true
"""

from ..module_utils._entry.changing import Changing
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._procedures.pool_reset.run import OPTIONS, PoolReset

WORK = Changing(TARGET + OPTIONS, PoolReset())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
