#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: server_info
short_description: Is PostgreSQL running, and if not, why?
version_added: 0.1.0
description:
  - Checks the server's process and what it depends on - its state, exit code and restarts, the out-of-memory flag, the
    log, the disks, the data directory, the lock file, C(pg_controldata) and the resource limits.
  - Works on a stopped server, too.
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
- name: Is PostgreSQL running?
  oncall.postgresql.server_info:
    project: shop
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
    version: null
    in_recovery: null
question:
  description: The question that was asked.
  returned: success
  type: str
  sample: running
answer:
  description: V(yes), V(no), or V(not_asked) when it could not be answered.
  returned: success
  type: str
  sample: 'yes'
detail:
  description: The answer in one line.
  returned: success
  type: str
  sample: /tmp/oncall-pg-ckysyz26/data has been running for 3.2 s
reason:
  description: Why the question could not be answered; null when it was.
  returned: success
  type: str
  sample: null
code:
  description: The verdict's code; null unless the answer is V(no).
  returned: success
  type: str
  sample: null
cause:
  description: The verdict's cause; null unless the answer is V(no).
  returned: success
  type: str
  sample: null
evidence:
  description: The readings that prove the answer V(no), the decisive one first.
  returned: success
  type: list
  elements: str
  sample: []
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
    server: 43.9
    total: 44.8
server:
  description: The server's process, storage and log; null when unknown.
  returned: success
  type: dict
  contains:
    name:
      description: The container's name, or the data directory.
      type: str
    service:
      description: The Compose service; null without Compose.
      type: str
    image:
      description: The container's image; null without a container.
      type: str
    engine_command:
      description: 'Command of the container engine: V(docker) or V(podman); null without an engine.'
      type: str
    state:
      description: V(running), V(paused), V(restarting), V(exited), V(created), V(dead), V(missing); V(unknown)
        with O(runtime=remote).
      type: str
    exit_code:
      description: How it exited; null when it runs.
      type: int
    signal:
      description: The signal that ended it, from the exit code (137 is 9); null when none did.
      type: int
    out_of_memory:
      description: Whether the OOM killer ended it; null when unknown.
      type: bool
    engine_error:
      description: Why the engine could not start the container; null when it says nothing.
      type: str
    started_at:
      description: When it was last started; null when unknown.
      type: str
    finished_at:
      description: When it last ended; null when it never did.
      type: str
    uptime_seconds:
      description: For how long it has been up; null when it is down.
      type: float
    restart_count:
      description: How often the engine has restarted it; null when unknown.
      type: int
    restart_policy:
      description: The container's restart policy; null when unknown.
      type: str
    restart_loop:
      description: Whether it is restarting, or was restarted at least twice and has been up for less
        than 10 s.
      type: bool
    health:
      description: 'The container''s own health check: V(starting), V(healthy) or V(unhealthy); null without
        one.'
      type: str
    postmaster_pid:
      description: The postmaster's pid as seen from the host; null when there is none.
      type: int
    postmaster_state:
      description: The postmaster's process state, as in V(processes); null when unknown.
      type: str
    processes:
      description: The postmaster and all its children.
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
          description: 'A backend''s title names its client: "postgres: app shop 10.0.0.7(51234) idle
            in transaction".'
          type: str
    data_directory:
      description: The data directory; null when unknown.
      type: dict
      contains:
        path:
          description: Its path, as the server sees it.
          type: str
        exists:
          description: Whether it exists.
          type: bool
        mode:
          description: Its permissions in octal, such as "0700"; null when unknown.
          type: str
        owner_uid:
          description: The user who owns it; null when unknown.
          type: int
        expected_uid:
          description: The user the server runs as (or would); null when unknown.
          type: int
        version:
          description: Text of C(PG_VERSION), such as "17"; null when unknown.
          type: str
        entries:
          description: Number of names in it; 0 is an empty directory; null when unknown.
          type: int
        cluster_files:
          description: Those of V(global), V(global/pg_control), V(base), C(pg_wal) that it holds; null
            when unknown.
          type: list
          elements: str
        databases:
          description: Number of databases in V(base); a cluster that initdb has finished has at least
            2; null when unknown.
          type: int
        standby_signal:
          description: Whether it holds C(standby.signal).
          type: bool
        recovery_signal:
          description: Whether it holds C(recovery.signal).
          type: bool
        backup_label:
          description: 'Whether it holds V(backup_label): a base backup that no server has started from.'
          type: bool
    program_version:
      description: Version of the program that would start it; null unless the server is down.
      type: str
    other_clusters:
      description: What its mounts hold instead; looked for where its data directory holds no cluster.
      type: list
      elements: dict
      contains:
        path:
          description: Its directory, as the server sees it.
          type: str
        version:
          description: Text of its C(PG_VERSION), such as "17".
          type: str
    directory_used_by:
      description: 'Other servers on the same data directory: there must never be one.'
      type: list
      elements: dict
      contains:
        container:
          description: The container it lives in, by name or id (empty when unknown); null for a process
            of the host.
          type: str
        pid:
          description: Its postmaster's pid as seen from the host; null when its processes cannot be seen.
          type: int
        title:
          description: Its postmaster's command line, or why its processes cannot be seen; null when unknown.
          type: str
        seen:
          description: 'Whether it was seen in the data directory; false: it may be there, and that cannot
            be seen.'
          type: bool
    directory_unseen:
      description: What was not looked at for other servers on it, in words; null when everything was,
        and with O(runtime=remote).
      type: str
    obstacle:
      description: Why it can be neither started nor stopped from here; null when nothing is in the way.
      type: str
    disks:
      description: The file systems it writes to.
      type: list
      elements: dict
      contains:
        role:
          description: V(data), or V(wal) where pg_wal is on a file system of its own.
          type: str
        path:
          description: The directory whose file system this is.
          type: str
        total_bytes:
          description: Its size.
          type: int
        free_bytes:
          description: What the server's unprivileged user can still use.
          type: int
        total_inodes:
          description: Null where the file system has no fixed number.
          type: int
        free_inodes:
          description: Null where the file system has no fixed number.
          type: int
    mounts:
      description: The container's mounts.
      type: list
      elements: dict
      contains:
        type:
          description: V(bind), V(volume) or V(tmpfs).
          type: str
        source:
          description: The path on the host, or the volume's name.
          type: str
        destination:
          description: The path in the container.
          type: str
        read_only:
          description: Whether it can only be read.
          type: bool
    nofile_soft:
      description: Soft limit of open files; null when unknown.
      type: int
    nofile_hard:
      description: Hard limit of open files; null when unknown.
      type: int
    memory_limit_bytes:
      description: The container's or the cgroup's limit; null when there is none.
      type: int
    lock_file:
      description: What C(postmaster.pid) says; null when there is no such file.
      type: dict
      contains:
        pid:
          description: The postmaster's pid; null when the file is empty or holds no number.
          type: int
        pid_alive:
          description: Whether a process with that pid exists (where the server lives); null when unknown.
          type: bool
        started_at:
          description: When the server that wrote it was started; null when unknown.
          type: str
        port:
          description: The port; null when unknown.
          type: int
        socket_directory:
          description: The directory of the Unix socket; null when unknown.
          type: str
        listen_address:
          description: The first address it listens on; null when unknown.
          type: str
        status:
          description: V(starting), V(stopping), V(ready) or V(standby); null when unknown.
          type: str
    control:
      description: What C(pg_controldata) says; null when unknown.
      type: dict
      contains:
        readable:
          description: Whether C(pg_controldata) could read the control file.
          type: bool
        crc_ok:
          description: Whether its checksum is right; null when unknown.
          type: bool
        system_identifier:
          description: Of the cluster; a standby and a copy have that of their primary; null when unknown.
          type: str
        state:
          description: The cluster's state, such as "in production", "shut down" or "in crash recovery";
            null when unknown.
          type: str
        written_at:
          description: When the control file was last written; null when unknown.
          type: str
        checkpoint_lsn:
          description: Where the last checkpoint's record starts; null when unknown.
          type: str
        checkpoint_wal_file:
          description: The WAL file that recovery would need first; null when unknown.
          type: str
        checkpoint_readable:
          description: Whether C(pg_waldump) can read that record; null unless the server is stopped.
          type: bool
        message:
          description: Its error message when it failed, else null.
          type: str
    configuration:
      description: Whether its configuration is accepted; null unless the server is down.
      type: dict
      contains:
        valid:
          description: Whether it does; null when unknown.
          type: bool
        message:
          description: Its error message when it does not, else null.
          type: str
    altered_settings:
      description: Names of the settings in C(postgresql.auto.conf) (V(ALTER SYSTEM)); null unless the
        server is down, or unreadable.
      type: list
      elements: str
    listening:
      description: The TCP sockets that listen where the server lives; null when unknown.
      type: list
      elements: dict
      contains:
        address:
          description: Such as "0.0.0.0", "127.0.0.1" or "::".
          type: str
        port:
          description: Its port.
          type: int
        ours:
          description: Whether it is held by the server's own processes; null when that cannot be told.
          type: bool
    published:
      description: The ports that the engine publishes.
      type: list
      elements: dict
      contains:
        port:
          description: The port in the container.
          type: int
        host_address:
          description: The host's address.
          type: str
        host_port:
          description: The host's port.
          type: int
    networks:
      description: The networks of the container.
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
        address:
          description: The container's address in it; null when it has none, as when it is stopped.
          type: str
        aliases:
          description: The names by which others in this network find the container.
          type: list
          elements: str
        attached:
          description: False when the service belongs on it (Compose file, or the service's replicas)
            and is not on it.
          type: bool
    log:
      description: What the last lines of the log say, newest last.
      type: list
      elements: dict
      contains:
        at:
          description: Its time, as written in the log; null where the line has none.
          type: str
        severity:
          description: V(FATAL), V(PANIC), V(ERROR), or V(OTHER) (another language, or an ordinary line
            that names a cause).
          type: str
        sqlstate:
          description: Null unless log_line_prefix has C(%e).
          type: str
        cause:
          description: The cause of a V(server_down) that the text names beyond doubt, else null.
          type: str
        pid:
          description: Of the process that wrote it; null unless log_line_prefix has V([%p]).
          type: int
        own:
          description: Whether the postmaster or its startup process wrote it; null where that cannot
            be told.
          type: bool
        text:
          description: The message, secrets masked, at most 300 characters.
          type: str
    log_lines_read:
      description: How many lines of the log were read.
      type: int
    log_source:
      description: '"container log", or the path of the file; null when no log was found.'
      type: str
  sample:
    name: /tmp/oncall-pg-ckysyz26/data
    service: null
    image: null
    engine_command: null
    state: running
    exit_code: null
    signal: null
    out_of_memory: null
    engine_error: null
    started_at: '2026-11-29T03:21:07.700Z'
    finished_at: null
    uptime_seconds: 3.2
    restart_count: null
    restart_policy: null
    restart_loop: false
    health: null
    postmaster_pid: 15264
    postmaster_state: S
    processes:
      - pid: 15264
        state: S
        title: /usr/lib/postgresql/15/bin/postgres -D /tmp/oncall-pg-ckysyz26/data
    data_directory:
      path: /tmp/oncall-pg-ckysyz26/data
      exists: true
      mode: '0700'
      owner_uid: 65534
      expected_uid: 65534
      version: '15'
      entries: 24
      cluster_files:
        - global
        - global/pg_control
        - base
      databases: 4
      standby_signal: false
      recovery_signal: false
      backup_label: false
    program_version: null
    other_clusters: []
    directory_used_by: []
    directory_unseen: null
    obstacle: null
    disks:
      - role: data
        path: /tmp/oncall-pg-ckysyz26/data
        total_bytes: 270553174016
        free_bytes: 75957161984
        total_inodes: 16777216
        free_inodes: 16025442
    mounts: []
    nofile_soft: 20000
    nofile_hard: 20000
    memory_limit_bytes: null
    lock_file:
      pid: 15264
      pid_alive: true
      started_at: '2026-11-29T03:21:08.000Z'
      port: 14984
      socket_directory: /tmp/oncall-pg-ckysyz26
      listen_address: 127.0.0.1
      status: ready
    control:
      readable: true
      crc_ok: true
      system_identifier: '7577000000000000001'
      state: in production
      written_at: '2026-11-29T03:21:08.000Z'
      checkpoint_lsn: 0/1500708
      checkpoint_wal_file: '000000010000000000000001'
      checkpoint_readable: null
      message: null
    configuration: null
    altered_settings: null
    listening:
      - address: 0.0.0.0
        port: 2024
        ours: false
    published: []
    networks: []
    log: []
    log_lines_read: 5
    log_source: /tmp/oncall-pg-ckysyz26/server.log
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.questions import server_info
from ..module_utils._entry.work import Reading

WORK = Reading(TARGET, server_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
