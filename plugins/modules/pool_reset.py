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
  - It is done by a process of its own, which runs to completion even when its controller, its terminal or its SSH
    connection goes away. The clients it stops are written to C(~/.oncall) first; if it is killed, whoever started it
    starts them, or else the next M(oncall.postgresql.triage) names them.
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
    description:
      - Only sessions of this role. Its connection limit counts as room, too.
      - One that the server does not know is refused, with the nearest name.
    type: str
  database:
    description:
      - Only sessions in this database. Its connection limit counts as room, too.
      - One that the server does not know is refused, with the nearest name.
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
# Written by scripts/returns.py.
msg:
  description: The outcome in one line.
  returned: success
  type: str
  sample: There are free connection slots, and no session has been idle for that long
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
  sample: []
freed:
  description: Sessions terminated by their process title, to free a slot for SQL.
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
    database:
      description: Its database; null when unknown.
      type: str
    client_address:
      description: Where it comes from; null for a Unix socket.
      type: str
    state:
      description: Its state, from the process title; null when unknown.
      type: str
    age_seconds:
      description: Since its process was started.
      type: float
    outcome:
      description: V(terminated).
      type: str
    reason:
      description: Why it was terminated.
      type: str
  sample: []
slots:
  description: Connection slots; null where SQL did not get through.
  returned: success
  type: dict
  contains:
    usable:
      description: Slots for ordinary roles; null when unknown.
      type: int
    used:
      description: Client sessions before; null when unknown.
      type: int
    used_after:
      description: Client sessions after; in check mode, what is expected; null when unknown.
      type: int
  sample:
    usable: 17
    used: 16
    used_after: 16
reached:
  description: Whether SQL got through to the server.
  returned: success
  type: bool
  sample: true
clients:
  description: The clients' containers that were restarted (in check mode, would be); empty when none
    was.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Its service.
      type: str
    name:
      description: The container's name, or V(here) for a client that is no container.
      type: str
    before:
      description: Its state before, such as V(running) or V(exited).
      type: str
    after:
      description: Its state after; in check mode, the planned one.
      type: str
    asked:
      description: Whether it was asked to stop, by its own stop signal.
      type: bool
    stopped:
      description: Whether it has stopped since.
      type: bool
    started:
      description: Whether it was started.
      type: bool
    stop_seconds:
      description: How long it took to stop; null when it was not stopped.
      type: float
    seconds:
      description: How long it took until everything that was waited for was there, its start included;
        null when it was not.
      type: float
    health:
      description: The result of its own health check, V(healthy) or V(unhealthy); null when it has none.
      type: str
    health_page:
      description: The last answer of its health page; null when it was not asked.
      type: dict
      contains:
        url:
          description: Its address.
          type: str
        status:
          description: The HTTP status; null when there was no answer.
          type: int
        ok:
          description: Whether the status is 200, and a JSON answer does not report a problem.
          type: bool
        body:
          description: At most 300 characters of the answer, secrets masked; null when unknown.
          type: str
        error:
          description: Why there was no answer, else null.
          type: str
    sessions:
      description: 'Its sessions under the declared application_name, only new ones where it was started:
        0 when it has none yet and a login from its place succeeded; null when no application_name is
        declared.'
      type: int
    error:
      description: Why it did not stop or did not come back; null when it did.
      type: str
  sample: []
room:
  description: Whether there was a slot for one more connection, and whether there is now.
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
    before: true
    after: true
refused:
  description: Whether the task was refused before anything was changed.
  returned: failure
  type: bool
sqlstate:
  description: PostgreSQL's SQLSTATE; null when the failure has none.
  returned: failure
  type: str
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.surviving import Surviving
from ..module_utils._procedures.pool_reset.run import OPTIONS, PoolReset

WORK = Surviving(TARGET + OPTIONS, PoolReset())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
