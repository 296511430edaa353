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
    process was killed, the next run starts those that are still stopped, unless someone else has
    started them since.
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
      - V(backups) have to begin again.
    type: list
    elements: str
    choices: [long_transactions, backups]
    default: []
  acknowledged_causes:
    description:
      - Causes that a person has fixed, of those that leave nothing to read once they are gone. A server that went down
        because of one of them is started only when it is named here.
      - A cause that can still be read is never skipped.
    type: list
    elements: str
    choices: [out_of_memory, port_conflict, unknown]
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
state:
  description:
    - How the server is after the task - V(running), V(stopped), V(starting), V(shutting_down) or V(unresponsive). In
      check mode how it would be.
  returned: always, unless the task was refused
  type: str
  sample: running
steps:
  description: What was done to the server (in check mode, would be), in this order.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample: [checkpoint, stop, start, wait_ready]
notes:
  description: What was interrupted or could not be proved, and what else is worth knowing.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample: []
clean_shutdown:
  description: Whether C(pg_controldata) says that the server was shut down cleanly, null when it was not stopped.
  returned: always, unless the task was refused
  type: bool
  sample: true
downtime_seconds:
  description: From the shutdown request until the first answer to SQL, null when the server was not stopped.
  returned: always, unless the task was refused
  type: float
  sample: 0.904
started_at:
  description: When the server was last started, null when it could not be asked.
  returned: always, unless the task was refused
  type: str
  sample: "2026-01-31T03:14:07.123456+00:00"
applied:
  description: Names of the settings that had waited for the restart and are now in effect.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample: [max_connections]
pending_restart:
  description: Names of the settings that still wait for a restart.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample: []
clients:
  description:
    - Each container of the declared clients, in the order in which it was stopped. Empty where clients are no
      containers.
    - In check mode what is planned, the readings are null.
  returned: always, unless the task was refused
  type: list
  elements: dict
  contains:
    service:
      description: The service it belongs to.
      type: str
      sample: api
    name:
      description: Name of the container.
      type: str
      sample: shop-api-1
    before:
      description: Its state before, such as V(running) or V(exited).
      type: str
      sample: running
    after:
      description: Its state after.
      type: str
      sample: running
    asked:
      description: Whether it was asked to stop, by its own stop signal.
      type: bool
      sample: true
    stopped:
      description: Whether it has ended since.
      type: bool
      sample: true
    started:
      description: Whether it was started.
      type: bool
      sample: true
    stop_seconds:
      description: How long it took to end, null when it was not stopped.
      type: float
      sample: 0.4
    seconds:
      description: How long it took until all that was waited for was there, its start included; null when it was not.
      type: float
      sample: 1.9
    health:
      description: The answer of its own health check, V(healthy) or V(unhealthy), null when there is none.
      type: str
      sample: healthy
    health_page:
      description: The last answer of its health page, null when it was not asked.
      type: dict
      sample:
        url: http://localhost:8000/health
        status: 200
        ok: true
        body: '{"status": "healthy"}'
        error: null
    sessions:
      description: Its new sessions under the declared application name; null when none is declared.
      type: int
      sample: 2
    error:
      description: Why it did not stop or did not come back, else null.
      type: str
      sample: null
  sample:
    - service: api
      name: shop-api-1
      before: running
      after: running
      asked: true
      stopped: true
      started: true
      stop_seconds: 0.4
      seconds: 1.9
      health: healthy
      health_page:
        url: http://localhost:8000/health
        status: 200
        ok: true
        body: '{"status": "healthy"}'
        error: null
      sessions: 1
      error: null
interrupted:
  description: The signal that interrupted the restart.
  returned: when it was interrupted
  type: str
  sample: SIGINT
held_by:
  description: The server's processes that were left after O(stop_timeout_seconds), those that hold it up first.
  returned: when the server did not shut down in time
  type: list
  elements: dict
  contains:
    pid:
      description: Number of the process where the runtime looks, which is the host's.
      type: int
    kind:
      description: V(session), V(walsender), V(archiver), V(checkpointer), V(startup) or V(other).
      type: str
    state:
      description: State of the process as C(ps) shows it, V(T) for one that is stopped by a signal.
      type: str
    title:
      description: Title of the process.
      type: str
  sample:
    - pid: 41205
      kind: session
      state: T
      title: app shop 172.18.0.3(51234) idle
code:
  description: The verdict's code of a server that does not come up.
  returned: when the server does not start or was refused
  type: str
  sample: server_down
cause:
  description: The verdict's cause.
  returned: when the server does not start or was refused
  type: str
  sample: invalid_configuration
evidence:
  description: What proves the cause.
  returned: when the server does not start or was refused
  type: list
  elements: str
  sample: ["the server refuses its configuration: invalid value for parameter work_mem"]
backups:
  description: Running backups.
  returned: when the task was refused
  type: list
  elements: dict
  sample: []
transactions:
  description: Transactions that are older than O(long_query_seconds).
  returned: when the task was refused
  type: list
  elements: dict
  sample: []
configuration_errors:
  description: Errors in the configuration files, each with its file and line.
  returned: when the task was refused
  type: list
  elements: str
  sample: []
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
