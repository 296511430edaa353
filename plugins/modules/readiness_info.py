#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: readiness_info
short_description: Is PostgreSQL accepting connections?
version_added: 0.1.0
description:
  - Asks the server's socket, its own network address and each published address whether somebody answers. Where SQL
    does not get through, a start-up packet tells why.
  - Reads the version, whether the server is in recovery, its C(listen_addresses) and port, the rules of C(pg_hba.conf),
    errors in the configuration files, and which settings wait for a restart.
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
- name: Is PostgreSQL accepting connections?
  oncall.postgresql.readiness_info:
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
    version: '15.18'
    in_recovery: false
question:
  description: The question that was asked.
  returned: success
  type: str
  sample: accepting
answer:
  description: V(yes), V(no), or V(not_asked) when it could not be answered.
  returned: success
  type: str
  sample: 'yes'
detail:
  description: The answer in one line.
  returned: success
  type: str
  sample: 'socket /tmp/oncall-pg-ckysyz26/.s.PGSQL.14984: accepting'
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
    snapshot: 62.7
    client 0: 65.8
    wire: 88.1
    server: 91.8
    total: 93.8
wire:
  description: What each of the server's own addresses answered.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(socket), V(network) (the server's own address), V(loopback), V(published) or V(login_host).
      type: str
    address:
      description: Such as "/var/run/postgresql/.s.PGSQL.5432" or "172.18.0.2:5432".
      type: str
    outcome:
      description: V(accepting) (asked for a password, logged us in, or is there where a login got through),
        V(rejecting) (answered with an error), V(silent) (connected, nothing came), V(refused), V(unreachable),
        V(timeout) (no connection), V(missing) (no such socket), V(not_postgresql).
      type: str
    severity:
      description: Of the error, never localised, such as "FATAL"; null without an error.
      type: str
    sqlstate:
      description: Of the error, such as "53300"; null without an error.
      type: str
    message:
      description: The error's text, in the server's language; null without an error.
      type: str
    elapsed_ms:
      description: How long the answer took.
      type: float
  sample:
    - kind: socket
      address: /tmp/oncall-pg-ckysyz26/.s.PGSQL.14984
      outcome: accepting
      severity: null
      sqlstate: null
      message: null
      elapsed_ms: 4.029
configured:
  description: The configuration the server runs with; null when SQL did not get through.
  returned: success
  type: dict
  contains:
    listen_addresses:
      description: The setting of that name.
      type: str
    port:
      description: The setting of that name.
      type: int
    socket_directories:
      description: The setting unix_socket_directories; null without the right to read it.
      type: str
    ssl:
      description: The setting of that name.
      type: bool
    password_encryption:
      description: The setting of that name; null when unknown.
      type: str
    log_destination:
      description: The setting of that name; null when unknown.
      type: str
    log_lock_waits:
      description: The setting of that name.
      type: bool
    log_min_duration_ms:
      description: The setting log_min_duration_statement, -1 when it is off.
      type: int
    statements_tracked:
      description: Whether the library pg_stat_statements is loaded.
      type: bool
    load_time:
      description: When the configuration files were last loaded; null when unknown.
      type: str
    file_errors:
      description: Errors in the configuration files; empty without the right to read them.
      type: list
      elements: dict
      contains:
        file:
          description: The file; null when unknown.
          type: str
        line:
          description: The line; null when unknown.
          type: int
        name:
          description: The setting of that name; null for an error of syntax.
          type: str
        error:
          description: What is wrong with it.
          type: str
    pending_restart:
      description: Changed settings that wait for a restart.
      type: list
      elements: dict
      contains:
        name:
          description: The setting of that name.
          type: str
        setting:
          description: The value that is in force until then.
          type: str
    hba_rules:
      description: The rules of C(pg_hba.conf); null without the right to read them.
      type: list
      elements: dict
      contains:
        rule_number:
          description: Its number; null before PostgreSQL 16 and for a line with an error.
          type: int
        file_name:
          description: The file it is in; null when unknown.
          type: str
        line_number:
          description: Its line in the file.
          type: int
        type:
          description: V(local), V(host), V(hostssl), V(hostnossl), V(hostgssenc) or V(hostnogssenc);
            null when unknown.
          type: str
        database:
          description: The databases it is for; null when unknown.
          type: list
          elements: str
        user_name:
          description: The roles it is for; null when unknown.
          type: list
          elements: str
        address:
          description: The addresses it is for; null for V(local).
          type: str
        netmask:
          description: Their mask; null for V(local) and where the address is a name.
          type: str
        auth_method:
          description: The authentication method; null when unknown.
          type: str
        options:
          description: The method's options, secrets masked; null when there are none.
          type: list
          elements: str
        error:
          description: Why the line cannot be used; null when it can.
          type: str
    hba_loaded:
      description: Whether the server has loaded V(hba_file) since it last changed, to the second; null
        without the right to see it.
      type: bool
    may_reload:
      description: Whether the login role may reload the files, and see all errors in them.
      type: bool
    hba_file:
      description: The path of C(pg_hba.conf); null without the right to read it.
      type: str
  sample:
    listen_addresses: 127.0.0.1
    port: 14984
    socket_directories: /tmp/oncall-pg-ckysyz26
    ssl: true
    password_encryption: scram-sha-256
    log_destination: stderr
    log_lock_waits: true
    log_min_duration_ms: 1000
    statements_tracked: true
    load_time: '2026-11-29T03:21:08.07015+00:00'
    file_errors: []
    pending_restart: []
    hba_rules:
      - rule_number: null
        file_name: /tmp/oncall-pg-ckysyz26/data/pg_hba.conf
        line_number: 1
        type: local
        database:
          - all
        user_name:
          - postgres
        address: null
        netmask: null
        auth_method: trust
        options: null
        error: null
    hba_loaded: true
    may_reload: true
    hba_file: /tmp/oncall-pg-ckysyz26/data/pg_hba.conf
started_at:
  description: When the server started; null when SQL did not get through.
  returned: success
  type: str
  sample: '2026-11-29T03:21:08.07365+00:00'
listening:
  description: The TCP sockets that listen where the server lives; null when unknown.
  returned: success
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
  sample:
    - address: 0.0.0.0
      port: 2024
      ours: false
lock_file:
  description: What C(postmaster.pid) says; null when there is no such file.
  returned: success
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
  sample:
    pid: 15264
    pid_alive: true
    started_at: '2026-11-29T03:21:08.000Z'
    port: 14984
    socket_directory: /tmp/oncall-pg-ckysyz26
    listen_address: 127.0.0.1
    status: ready
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.questions import readiness_info
from ..module_utils._entry.work import Reading

WORK = Reading(TARGET, readiness_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
