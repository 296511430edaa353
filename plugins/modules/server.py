#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: server
short_description: Start, stop or restart PostgreSQL cleanly, and prove it
version_added: 0.1.0
description:
  - Stops by a fast shutdown with a checkpoint before it, starts, and waits for facts instead of sleeping.
  - Refuses beforehand, with nothing touched, when the configuration files contain an error, a library to be preloaded
    is missing, a backup is running, transactions have been open for O(long_query_seconds), the disk is nearly full, or
    the server would not start again for another reason that can be read.
  - Starts a server only once the cause of its failure is fixed, and otherwise says what to do by hand. It never starts
    one with damaged data or an empty data directory.
  - Never sends SIGKILL to anything. After O(stop_timeout_seconds) it fails and says what holds the shutdown, which
    continues; running the module again waits for its end.
  - Afterwards proves that the shutdown was clean, that the server responds as a new one, and that settings that waited
    for a restart are applied.
  - A paused or frozen server is never touched. One that is starting up or recovering is never stopped.
  - With O(runtime=pg_ctl) a server that belongs to a systemd unit is refused, since systemd has to start it. With
    O(runtime=remote) everything is refused.
  - With O(runtime=compose) a restart policy does not bring a stopped server back, and a C(--rm) container is refused.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.target
attributes:
  check_mode:
    support: full
    details:
      - Makes the same examination and the same plan, and refuses for the same reasons.
  diff_mode:
    support: full
  platform:
    support: full
options:
  state:
    description:
      - V(started) starts a server that is down, and waits for one that is starting up or shutting down.
      - V(stopped) stops a server that runs.
      - V(restarted) stops and starts a server that runs, and starts one that is down.
    type: str
    choices: [started, stopped, restarted]
    required: true
  stop_timeout_seconds:
    description: How long to wait for the checkpoint, and then for the shutdown.
    type: float
    default: 120
  start_timeout_seconds:
    description: How long to wait until the server responds.
    type: float
    default: 60
  interrupt:
    description:
      - What may be lost by the stop.
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
  - module: oncall.postgresql.server_info
  - module: oncall.postgresql.configuration
  - module: oncall.postgresql.clients
  - module: oncall.postgresql.graceful_restart
"""

EXAMPLES = r"""
- name: Restart the server
  oncall.postgresql.server:
    project: shop
    state: restarted

- name: Start the server after its memory limit was raised
  oncall.postgresql.server:
    project: shop
    state: started
    acknowledged_causes: [out_of_memory]

- name: Stop a server on this host, and give its last checkpoint ten minutes
  oncall.postgresql.server:
    runtime: pg_ctl
    data_directory: /var/lib/pgsql/data
    state: stopped
    stop_timeout_seconds: 600
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
  description: What was done (in check mode, would be), in this order.
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

from ..module_utils._entry.changing import Changing
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._procedures.server.run import OPTIONS, Server

WORK = Changing(TARGET + OPTIONS, Server())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
