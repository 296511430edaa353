#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: network_info
short_description: Can the clients of PostgreSQL reach it?
version_added: 0.1.0
description:
  - Checks from the network namespace of each client - resolves the server's name, opens ten connections and logs in
    with the client's settings.
  - Needs nothing inside the client's image, neither a shell nor any tool.
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
- name: Can the api reach its database?
  oncall.postgresql.network_info:
    project: shop
    clients:
      - service: api
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
  sample: network
answer:
  description: V(yes), V(no), or V(not_asked) when it could not be answered.
  returned: success
  type: str
  sample: 'yes'
detail:
  description: The answer in one line.
  returned: success
  type: str
  sample: reached from here in at most 0.6 ms
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
    client 0: 52.4
    snapshot: 64.4
    server: 93.1
    wire: 91.1
    total: 96.8
clients:
  description: Each client from its own place.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service's name.
      type: str
    name:
      description: The container's name, or "here".
      type: str
    state:
      description: V(running), V(exited), V(missing), ... as the server's state.
      type: str
    exit_code:
      description: How it exited; null when it runs, or is no container.
      type: int
    started_at:
      description: When it was last started; null when it never was, or is no container.
      type: str
    finished_at:
      description: When it last ended; null when it never did.
      type: str
    out_of_memory:
      description: Whether the kernel ended it for want of memory; null when unknown.
      type: bool
    place:
      description: 'Where it was examined from: V(namespace) (the container''s own), V(toolbox) (a container
        beside it), V(here) or V(none).'
      type: str
    application_name:
      description: The application_name it is known by; null when none was declared.
      type: str
    networks:
      description: The container's networks.
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
    shared_networks:
      description: The networks that both the client and the server are attached to.
      type: list
      elements: str
    login:
      description: Its settings; null when none were found.
      type: dict
      contains:
        host:
          description: The host, or the directory of a Unix socket.
          type: str
        port:
          description: The port.
          type: int
        user:
          description: The role.
          type: str
        database:
          description: The database.
          type: str
        ssl_mode:
          description: Libpq's sslmode.
          type: str
        password_given:
          description: Whether a password was found.
          type: bool
        source:
          description: 'Where they come from: "options", "DATABASE_URL", "POSTGRES_*", "PG*", "DB_*" or
            "target".'
          type: str
    pool:
      description: Its pool of connections; null when it is neither declared nor in its environment.
      type: dict
      contains:
        size:
          description: Connections that it keeps.
          type: int
        overflow:
          description: Connections that it may open beside them.
          type: int
        replicas:
          description: 'How many such pools there are, as declared; null: one for each running container.'
          type: int
        source:
          description: 'Where that comes from: "options", or the variable of the container''s environment
            that gives the size.'
          type: str
    resolution:
      description: How the server's name resolved; null without a lookup.
      type: dict
      contains:
        name:
          description: The name that was looked up.
          type: str
        addresses:
          description: What it resolved to.
          type: list
          elements: str
        nameserver:
          description: Who answered; null for a literal address or a line in /etc/hosts.
          type: str
        error:
          description: V(not_found), V(timeout) or V(no_nameserver); null when it resolved.
          type: str
        elapsed_ms:
          description: How long it took.
          type: float
    reach:
      description: Whether TCP connections open; null when there was no address to try.
      type: dict
      contains:
        address:
          description: The address and port that were tried; null when unknown.
          type: str
        probes:
          description: How many connections were tried.
          type: int
        answered:
          description: How many were answered.
          type: int
        loss_percent:
          description: How many were not, in percent.
          type: float
        latency_ms:
          description: Median of those that were answered; null when none was.
          type: float
        outcome:
          description: V(open), V(refused), V(timeout) or V(unreachable).
          type: str
    startup:
      description: What came back from the start-up packet or the login; null without an answer.
      type: dict
      contains:
        kind:
          description: V(socket), V(network) (the server's own address), V(loopback), V(published) or
            V(login_host).
          type: str
        address:
          description: Such as "/var/run/postgresql/.s.PGSQL.5432" or "172.18.0.2:5432".
          type: str
        outcome:
          description: V(accepting) (asked for a password, logged us in, or is there where a login got
            through), V(rejecting) (answered with an error), V(silent) (connected, nothing came), V(refused),
            V(unreachable), V(timeout) (no connection), V(missing) (no such socket), V(not_postgresql).
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
    attempt:
      description: How a login went; null when none was tried.
      type: dict
      contains:
        succeeded:
          description: Whether it did.
          type: bool
        outcome:
          description: V(ok), V(rejected), V(timeout), V(no_tls) (required, but not offered), V(bad_certificate),
            V(closed) or V(failed).
          type: str
        severity:
          description: Of the server's error, never localised; null without an error.
          type: str
        sqlstate:
          description: Of the server's error; null without an error.
          type: str
        message:
          description: The error's text; null without an error.
          type: str
        method:
          description: 'The authentication method: V(trust), V(password), V(md5), V(scram-sha-256), ...;
            null when unknown.'
          type: str
        tls:
          description: Whether the connection was encrypted.
          type: bool
        source_address:
          description: The client's address as pg_hba.conf sees it; null on a Unix socket.
          type: str
        elapsed_ms:
          description: How long it took.
          type: float
    password_matches:
      description: Whether its password matches the stored verifier; null when either cannot be read.
      type: bool
    health:
      description: Its health page; null when none was declared, or it could not be asked.
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
    error:
      description: Why this client could not be examined, else null.
      type: str
  sample:
    - service: shop
      name: here
      state: running
      exit_code: null
      started_at: null
      finished_at: null
      out_of_memory: null
      place: here
      application_name: shop-api
      networks: []
      shared_networks: []
      login:
        host: 127.0.0.1
        port: 14984
        user: shop
        database: shop
        ssl_mode: prefer
        password_given: true
        source: options
      pool: null
      resolution:
        name: 127.0.0.1
        addresses:
          - 127.0.0.1
        nameserver: null
        error: null
        elapsed_ms: 0.075
      reach:
        address: 127.0.0.1:14984
        probes: 10
        answered: 10
        loss_percent: 0.0
        latency_ms: 0.553
        outcome: open
      startup:
        kind: network
        address: 127.0.0.1:14984
        outcome: rejecting
        severity: FATAL
        sqlstate: '53300'
        message: remaining connection slots are reserved for non-replication superuser connections
        elapsed_ms: 16.919
      attempt:
        succeeded: false
        outcome: rejected
        severity: FATAL
        sqlstate: '53300'
        message: remaining connection slots are reserved for non-replication superuser connections
        method: scram-sha-256
        tls: true
        source_address: 127.0.0.1
        elapsed_ms: 16.919
      password_matches: true
      health: null
      error: null
networks:
  description: The networks of the server, its addresses and aliases there.
  returned: success
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
      description: False when the service belongs on it (Compose file, or the service's replicas) and
        is not on it.
      type: bool
  sample: []
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.questions import network_info
from ..module_utils._entry.work import Reading

WORK = Reading(TARGET, network_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
