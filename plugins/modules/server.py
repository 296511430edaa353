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
  - Before a restart the server's own binary is asked whether it would start again, by a probe with the configuration
    that a restart reads, on a new and empty data directory in a temporary directory, with another port and without
    archiving, log files or background workers. It takes some seconds, and C(initdb) beside the server. With
    O(runtime=compose) it runs in a short-lived container of the same image and limits, in the server's network. What it
    cannot show, such as the memory of a second server where there is too little for two, is said in RV(notes).
  - Starts a server only once the cause of its failure is fixed, and otherwise says what to do by hand. It never starts
    one with damaged data or an empty data directory.
  - Refuses to start or restart a server while another one has its data directory, in a container of any project, by
    whatever mount, or on the host; that is asked once more in the moment before the start. What merely mounts the
    directory and runs no server is no reason. Where it cannot be told whether a server runs there, it refuses and
    names the container.
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
  reset_settings:
    description:
      - Settings of C(ALTER SYSTEM) that a server which is down refuses to start with. They are reset before the start,
        as with null in O(settings); but one that C(ALTER SYSTEM) has not set is refused. RV(reset_settings) names
        their former values.
    type: list
    elements: str
    default: []
  settings:
    description:
      - Settings of a server that is down, by name, as C(ALTER SYSTEM) would set them before the start. Null resets one.
        RV(undo) of M(oncall.postgresql.settings), or of this module, can be given as it is.
      - Exactly these rows of C(postgresql.auto.conf) are replaced; the file is written in one step, with its owner and
        mode. Nobody can be asked whether the server takes the values, so the start shows it.
      - Only with O(state=started), for a server that is down. While it runs, M(oncall.postgresql.settings) does it.
      - Refused are values that give data away (V(fsync=off)), secrets, and settings whose value may be secret
        (C(primary_conninfo), C(ssl_passphrase_command)).
      - They stay when the server does not start for another reason.
    type: dict
    version_added: 0.2.0
seealso:
  - module: oncall.postgresql.settings
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

- name: Start the server without the setting that it refuses
  oncall.postgresql.server:
    project: shop
    state: started
    reset_settings: [shared_buffers]

- name: Start the server with the values that it had before
  oncall.postgresql.server:
    project: shop
    state: started
    settings:
      shared_buffers: 128MB
      max_connections: null

- name: Stop a server on this host, and give its last checkpoint ten minutes
  oncall.postgresql.server:
    runtime: pg_ctl
    data_directory: /var/lib/pgsql/data
    state: stopped
    stop_timeout_seconds: 600
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
  sample: 1.639
started_at:
  description: When the server was last started; null when it could not be asked.
  returned: always, unless the task was refused
  type: str
  sample: '2026-11-29T11:16:43.854237+00:00'
applied:
  description: Names of the settings that had waited for the restart and are now in effect.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample:
    - max_connections
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
  description: 'What to give as O(settings) to undo what was changed in C(postgresql.auto.conf) before
    the start: each former value, null for none; secrets are masked.'
  returned: always, unless the task was refused
  type: dict
  sample: {}
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
  sample:
    - pid: 4583
      kind: session
      state: T
      title: postgres postgres [local] idle
code:
  description: The verdict's code; null when triage finds nothing wrong.
  returned: when the server does not start or the task was refused
  type: str
  sample: server_down
cause:
  description: The verdict's cause; null when there is none.
  returned: when the server does not start or the task was refused
  type: str
  sample: invalid_configuration
evidence:
  description: The readings that prove the cause.
  returned: when the server does not start or the task was refused
  type: list
  elements: str
  sample:
    - 'the server rejects its configuration: invalid value for parameter "work_mem": "a lot"; configuration
      file "/tmp/oncall-pg-rafxtf0y/data/postgresql.conf" contains errors'
    - /tmp/oncall-pg-rafxtf0y/data has exited
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
  sample: []
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
  sample:
    - pid: 3556
      user: shop
      database: shop
      application: shop-api
      state: idle in transaction
      transaction_seconds: 7.202459
      query: SELECT * FROM prices
configuration_errors:
  description: Errors in the configuration files, each with its file and line.
  returned: when the task was refused
  type: list
  elements: str
  sample: []
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
from ..module_utils._procedures.server.run import OPTIONS, Server

WORK = Changing(TARGET + OPTIONS, Server())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
