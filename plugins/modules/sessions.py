#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: sessions
short_description: Cancel queries of PostgreSQL sessions, or end the sessions
version_added: 0.1.0
description:
  - Says which sessions must no longer run their query (O(state=cancelled)) or must no longer exist (O(state=absent)).
  - All that is given of O(pids), O(session_states), O(idle_seconds), O(query_seconds), O(application), O(user),
    O(database), O(client_address) and O(blocking) must apply to a session for it to be selected. At least one must
    be given.
  - Only client backends are ever signalled. Never signalled are sessions of this collection itself, of superusers and
    replication roles that are not among the declared O(clients), and what O(protect_applications) and O(protect_users)
    name.
  - A declared client is a role and a place - its C(application_name), or the address of its container. Where neither is
    known its role alone counts, unless that is a superuser.
  - A session that waits for a synchronous standby is never signalled, not even by O(pids). Cancelling it would tell its
    client that a commit succeeded which is on no standby. The same holds for a C(COMMIT) under way, and, while no
    synchronous standby is connected, for a query that has written something.
  - VACUUM, CREATE INDEX, REINDEX, CLUSTER and base backups are only stopped where O(pids) names them.
  - A query is cancelled first. What is to be ended is terminated once it has had time to react. Then the effect is
    verified. Nothing is ever sent SIGKILL.
  - One statement signals all sessions, and checks each one again as it does. A process number that belongs to
    another session by now, or a session that is active again, is left alone.
  - When no slot is left for SQL, O(state=absent) frees the first one by SIGTERM to the backend that its process title
    shows to be the best candidate under the same rules, then goes on in SQL. Idle ones go first, and the oldest
    process before younger ones.
  - A title shows neither the application nor whether the role is a superuser. So only sessions of a declared client's
    role from the address of its container are taken, or, with O(runtime=pg_ctl), from this host by TCP when the program
    at the other end can be seen. A backup tool or C(psql) at the other end is left alone.
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
  diff_mode:
    support: full
  platform:
    support: full
options:
  state:
    description:
      - V(cancelled) cancels what the sessions run and leaves them connected. An idle session stays as it is.
      - V(absent) ends the sessions; an open transaction is rolled back by the server.
    type: str
    choices: [cancelled, absent]
    required: true
  pids:
    description: Process numbers as in C(pg_stat_activity). O(max_percent) does not count for sessions named this way.
    type: list
    elements: int
  session_states:
    description:
      - States as in C(pg_stat_activity). V(idle in transaction) includes aborted transactions.
      - V(idle_in_transaction) means the same as V(idle in transaction), for command lines.
    type: list
    elements: str
    choices: [active, idle, idle in transaction, idle_in_transaction]
  idle_seconds:
    description: Idle, in a transaction or not, for at least this long.
    type: float
  query_seconds:
    description: At its query for at least this long.
    type: float
  application:
    description: The C(application_name), exactly. An application that is named here is not protected.
    type: str
  user:
    description:
      - The role, exactly. A user that is named here is not protected.
      - One that the server does not know is refused, with the nearest name.
    type: str
  database:
    description: The database, exactly. One that the server does not know is refused, with the nearest name.
    type: str
  client_address:
    description: An address, a network such as V(10.0.0.0/8), or V(local) for the Unix socket.
    type: str
  blocking:
    description: Only sessions that block others and are not blocked themselves.
    type: bool
    default: false
  max_sessions:
    description: Refuse, and list the sessions, when more than this many are meant.
    type: int
    default: 100
  max_percent:
    description: Refuse, and list the sessions, when more than this share of all client sessions is meant.
    type: float
    default: 50
  down_to_percent:
    description:
      - With O(state=absent), only sessions of the declared O(clients), those that are longest in their state first, and
        no more of them than it takes until this share of the slots for ordinary roles is in use.
      - Also until this share of the connection limit of O(user) and of O(database) is in use, where they have one.
    type: float
  cancel_wait_seconds:
    description: With O(state=absent), how long a cancelled query may take to end before its session is terminated.
    type: float
    default: 2
  timeout_seconds:
    description: How long to wait for the signals to have their effect.
    type: float
    default: 10
  free_slot:
    description: With O(state=absent), whether a session may be ended by its process title when SQL finds no slot.
    type: bool
    default: true
seealso:
  - module: oncall.postgresql.connections_info
  - module: oncall.postgresql.activity_info
"""

EXAMPLES = r"""
- name: End what has been idle for half an hour
  oncall.postgresql.sessions:
    project: shop
    state: absent
    session_states: [idle]
    idle_seconds: 1800
    max_percent: 100

- name: Cancel the queries that everybody else waits for
  oncall.postgresql.sessions:
    project: shop
    state: cancelled
    blocking: true

- name: Show what would go, without touching it
  oncall.postgresql.sessions:
    project: shop
    state: absent
    application: nightly-report
  check_mode: true
  diff: true
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
    - pid: 9088
      backend_start: '2026-11-28T16:39:27.862797+00:00'
      backend_type: client backend
      user: shop
      database: shop
      application: shop-api
      client_address: 127.0.0.1
      state: idle
      wait_event_type: Client
      wait_event: ClientRead
      state_seconds: 2.641
      transaction_seconds: 0.0
      query_seconds: null
      superuser: false
      query: ''
      outcome: terminated
      reason: null
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
    used: 3
    used_after: 2
reached:
  description: Whether SQL got through to the server.
  returned: success
  type: bool
  sample: true
refused:
  description: Whether the task was refused before anything was changed.
  returned: failure
  type: bool
  sample: true
sqlstate:
  description: PostgreSQL's SQLSTATE; null when the failure has none.
  returned: failure
  type: str
  sample: null
"""

from ..module_utils._entry.changing import Changing
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._procedures.sessions.run import OPTIONS, Sessions

WORK = Changing(TARGET + OPTIONS, Sessions())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
