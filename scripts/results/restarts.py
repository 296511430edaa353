# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is returned of a server and of clients that are stopped and started."""

from __future__ import annotations

from typing import Optional, TypedDict

from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Health

UNLESS_REFUSED = "always, unless the task was refused"


class Client(TypedDict):
    service: str  # its service
    name: str  # the container's name, or `here` for a client that is no container
    before: str  # its state before, such as `running` or `exited`
    after: str  # its state after; in check mode, the planned one
    asked: bool  # whether it was asked to stop, by its own stop signal
    stopped: bool  # whether it has stopped since
    started: bool  # whether it was started
    stop_seconds: Optional[float]  # how long it took to stop; null when it was not stopped
    # how long it took until everything that was waited for was there, its start included; null when it was not
    seconds: Optional[float]
    health: Optional[str]  # the result of its own health check, `healthy` or `unhealthy`; null when it has none
    health_page: Optional[Health]  # the last answer of its health page; null when it was not asked
    # its sessions under the declared application_name, only new ones where it was started: 0 when it has none yet and a
    # login from its place succeeded; null when no application_name is declared
    sessions: Optional[int]
    error: Optional[str]  # why it did not stop or did not come back; null when it did


class Clients(TypedDict):
    # each container of the services, in the order in which it was stopped; also returned by a failed task, with what
    # was done until then. In check mode what is planned, the readings are null
    containers: list[Client]
    stopped: list[str]  # names of the containers that were stopped (in check mode, would be)
    started: list[str]  # names of the containers that were started (in check mode, would be)
    seconds: Optional[float]  # how long all of it took; null in check mode


class Reset(TypedDict):
    name: str  # as it stood in `postgresql.auto.conf`
    value: Optional[str]  # as it stood there, with secrets masked; null in check mode


class Server(TypedDict):
    # the state of the server after the task: `running`, `stopped`, `starting`, `shutting_down` or `unresponsive`; in
    # check mode, the planned one
    state: str
    steps: list[str]  # what was done to the server (in check mode, would be), in this order
    notes: list[str]  # what was interrupted or could not be verified, and what else is worth knowing
    # whether `pg_controldata` says that the server was shut down cleanly; null when it was not stopped, or is unknown
    clean_shutdown: Optional[bool]
    # from the shutdown request until the first answer to SQL; null when the server was not stopped and started
    downtime_seconds: Optional[float]
    started_at: Optional[str]  # when the server was last started; null when it could not be asked
    applied: list[str]  # names of the settings that had waited for the restart and are now in effect
    pending_restart: list[str]  # names of the settings that still wait for a restart
    reset_settings: list[Reset]  # settings of `ALTER SYSTEM` that were reset before the start, as asked
    # what to give as `settings` to undo what was changed in `postgresql.auto.conf` before the start: each former value,
    # null for none; secrets are masked
    undo: dict[str, Optional[str]]


class GracefulRestart(Server):
    # each container of the declared clients, in the order in which it was stopped; empty where clients are no
    # containers. In check mode what is planned, the readings are null
    clients: list[Client]


class Interrupted(TypedDict):
    interrupted: str  # the signal that interrupted the restart, such as `SIGINT`


class Holder(TypedDict):
    pid: int  # the process, as seen from the host, also for a process in a container
    kind: str  # `session`, `walsender`, `archiver`, `checkpointer`, `startup` or `other`
    state: str  # first letter of `ps`'s STAT: R running, S sleeping, D waiting for I/O, T stopped by a signal
    title: str  # its title, such as "app shop 172.18.0.3(51234) idle"


class NotStopped(TypedDict):
    # the server's processes that were left after `stop_timeout_seconds`, those that hold up the shutdown first
    held_by: list[Holder]


class NotStarted(TypedDict):
    code: Optional[str]  # the verdict's code; null when triage finds nothing wrong
    cause: Optional[str]  # the verdict's cause; null when there is none
    evidence: list[str]  # the readings that prove the cause


class Backup(TypedDict):
    pid: int  # its backend's pid, as the server sees it
    application: str  # its application_name
    phase: Optional[str]  # phase of a base backup, from pg_stat_progress_basebackup; null for other backups


class OldTransaction(TypedDict):
    pid: int  # its backend's pid, as the server sees it
    user: str  # its role
    database: str  # its database
    application: str  # its application_name
    state: Optional[str]  # its state as in pg_stat_activity
    transaction_seconds: float  # since its transaction began
    query: str  # its last query, without values, at most 200 characters


class Obstacles(TypedDict):
    backups: list[Backup]  # running backups
    transactions: list[OldTransaction]  # transactions that are older than `long_query_seconds`
    configuration_errors: list[str]  # errors in the configuration files, each with its file and line


SOMETIMES: dict[str, type] = {
    "when the server did not shut down in time": NotStopped,
    "when the server does not start or the task was refused": NotStarted,
    "when the task was refused": Obstacles,
}
