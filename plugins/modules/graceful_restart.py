#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: graceful_restart
short_description: Restart PostgreSQL while its clients are stopped, and start them again whatever fails in between
version_added: 0.2.0
description:
  - Checks whether the server can be stopped and will start again, by the rules of M(oncall.postgresql.server), and
    refuses before any client is stopped.
  - Stops the containers of the services in O(clients), in the order given; restarts the server, or starts one that is
    down; starts the clients again in the reverse order, and waits until they are connected.
  - The clients are started again after a refusal, a time-out, an error or an interrupt, too. Clients that were not
    running before stay as they are.
  - When a client has not stopped after O(grace_seconds), the server is not restarted. Nothing is ever killed. That
    client is watched for up to O(health_timeout_seconds) and started as soon as it has stopped.
  - A client that is not running in the end is named at the end of the error message, with the command that starts it.
  - From the first stop on the work is done by a process of its own, which runs to completion even when its controller,
    its terminal or its SSH connection goes away. A first Ctrl-C (or SIGTERM, SIGHUP) aborts the restart at the next
    safe point, and the clients are started at once.
  - The clients to stop are written down first, in C(~/.oncall) on the host where it runs, with mode 0600. When that
    process was killed, the next run starts those that are still stopped, unless someone else has started them since;
    until then M(oncall.postgresql.triage) names them.
  - Only one restart of the same project runs at a time.
  - With O(runtime=pg_ctl), or without O(clients), only the server is restarted. With O(runtime=remote) it is refused.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.target
attributes:
  check_mode:
    support: full
    details:
      - Makes the same checks and the same plan, and refuses for the same reasons.
  diff_mode:
    support: full
  platform:
    support: full
options:
  grace_seconds:
    description: How long a client may take to stop.
    type: float
    default: 30
  health_timeout_seconds:
    description: How long a client may take to be connected again.
    type: float
    default: 60
  stop_timeout_seconds:
    description: How long to wait for the checkpoint, and then for the shutdown of the server.
    type: float
    default: 120
  start_timeout_seconds:
    description: How long to wait until the server responds.
    type: float
    default: 60
  interrupt:
    description:
      - What may be lost by the restart.
      - V(long_transactions) are rolled back. They are those older than O(long_query_seconds), idle ones too.
        VACUUM, CREATE INDEX, REINDEX and CLUSTER count however young they are.
      - V(backups) have to begin again.
    type: list
    elements: str
    choices: [long_transactions, backups]
    default: []
  acknowledged_causes:
    description:
      - Causes that a person has fixed, of those that leave nothing to read once they are gone. A server that went down
        because of one of them is started only when it is named here.
      - A cause that can still be read is never skipped. V(directory_in_use) is one as long as another server, or a
        container that may run one, has the data directory.
    type: list
    elements: str
    choices: [out_of_memory, port_conflict, directory_in_use, unknown]
    default: []
seealso:
  - module: oncall.postgresql.server
  - module: oncall.postgresql.clients
"""

EXAMPLES = r"""
- name: Restart the server while the api is stopped
  oncall.postgresql.graceful_restart:
    project: shop
    clients:
      - service: api
        health_url: http://localhost:8000/health
        application_name: api

- name: Restart although a nightly transaction is rolled back by it
  oncall.postgresql.graceful_restart:
    project: shop
    clients: [{service: web}, {service: api}]
    interrupt: [long_transactions]
"""

RETURN = r"""
# Written by scripts/returns.py.
state:
  description: 'The state of the server after the task: V(running), V(stopped), V(starting), V(shutting_down)
    or V(unresponsive); in check mode, the planned one.'
  returned: always, unless the task was refused
  type: str
  sample: running
steps:
  description: What was done to the server (in check mode, would be), in this order.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample:
    - checkpoint
    - stop
    - start
notes:
  description: What was interrupted or could not be verified, and what else is worth knowing.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample: []
clean_shutdown:
  description: Whether C(pg_controldata) says that the server was shut down cleanly; null when it was
    not stopped, or is unknown.
  returned: always, unless the task was refused
  type: bool
  sample: true
downtime_seconds:
  description: From the shutdown request until the first answer to SQL; null when the server was not stopped
    and started.
  returned: always, unless the task was refused
  type: float
  sample: 0.916
started_at:
  description: When the server was last started; null when it could not be asked.
  returned: always, unless the task was refused
  type: str
  sample: '2026-11-28T19:28:34.371606+00:00'
applied:
  description: Names of the settings that had waited for the restart and are now in effect.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample: []
pending_restart:
  description: Names of the settings that still wait for a restart.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample: []
reset_settings:
  description: Settings of V(ALTER SYSTEM) that were reset before the start, as asked.
  returned: always, unless the task was refused
  type: list
  elements: dict
  contains:
    name:
      description: As it stood in C(postgresql.auto.conf).
      type: str
    value:
      description: As it stood there, with secrets masked; null in check mode.
      type: str
  sample: []
undo:
  description: 'What to give as V(settings) to undo what was changed in C(postgresql.auto.conf) before
    the start: each former value, null for none; secrets are masked.'
  returned: always, unless the task was refused
  type: dict
  sample: {}
clients:
  description: Each container of the declared clients, in the order in which it was stopped; empty where
    clients are no containers. In check mode what is planned, the readings are null.
  returned: always, unless the task was refused
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
  sample:
    - service: api
      name: shop-b77fb5ef-api-1
      before: running
      after: running
      asked: true
      stopped: true
      started: true
      stop_seconds: 0.13
      seconds: 0.872
      health: healthy
      health_page:
        url: http://localhost:8000/api/v1/db/health
        status: 200
        ok: true
        body: '{"status": "healthy"}'
        error: null
      sessions: 1
      error: null
interrupted:
  description: The signal that interrupted the restart, such as V(SIGINT).
  returned: when it was interrupted
  type: str
held_by:
  description: The server's processes that were left after O(stop_timeout_seconds), those that hold up
    the shutdown first.
  returned: when the server did not shut down in time
  type: list
  elements: dict
  contains:
    pid:
      description: The process, as seen from the host, also for a process in a container.
      type: int
    kind:
      description: V(session), V(walsender), V(archiver), V(checkpointer), V(startup) or V(other).
      type: str
    state:
      description: 'First letter of C(ps)''s STAT: R running, S sleeping, D waiting for I/O, T stopped
        by a signal.'
      type: str
    title:
      description: Its title, such as "app shop 172.18.0.3(51234) idle".
      type: str
code:
  description: The verdict's code; null when triage finds nothing wrong.
  returned: when the server does not start or the task was refused
  type: str
cause:
  description: The verdict's cause; null when there is none.
  returned: when the server does not start or the task was refused
  type: str
evidence:
  description: The readings that prove the cause.
  returned: when the server does not start or the task was refused
  type: list
  elements: str
backups:
  description: Running backups.
  returned: when the task was refused
  type: list
  elements: dict
  contains:
    pid:
      description: Its backend's pid, as the server sees it.
      type: int
    application:
      description: Its application_name.
      type: str
    phase:
      description: Phase of a base backup, from pg_stat_progress_basebackup; null for other backups.
      type: str
transactions:
  description: Transactions that are older than O(long_query_seconds).
  returned: when the task was refused
  type: list
  elements: dict
  contains:
    pid:
      description: Its backend's pid, as the server sees it.
      type: int
    user:
      description: Its role.
      type: str
    database:
      description: Its database.
      type: str
    application:
      description: Its application_name.
      type: str
    state:
      description: Its state as in pg_stat_activity; null when unknown.
      type: str
    transaction_seconds:
      description: Since its transaction began.
      type: float
    query:
      description: Its last query, without values, at most 200 characters.
      type: str
configuration_errors:
  description: Errors in the configuration files, each with its file and line.
  returned: when the task was refused
  type: list
  elements: str
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
from ..module_utils._procedures.graceful_restart.run import OPTIONS, GracefulRestart

WORK = Surviving(TARGET + OPTIONS, GracefulRestart())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
