#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: network
short_description: Reattach the containers of PostgreSQL and its clients to their project's networks
version_added: 0.1.0
description:
  - Attaches the containers of the server and of O(clients) to the networks of their Compose project that they should be
    on and are not, under the name of their service. Running connections are not touched by that.
  - Where each belongs is given by O(networks), else by the Compose files as Compose 2 reads them on the engine's host,
    else by the network that the container was created with and by the other containers of its service.
  - A server that is attached without its service's name is detached and attached again, which breaks its connections
    there, and gives it another port where one is published at random. So that is done only while a client cannot
    resolve exactly that name.
  - Whether it helped is checked from the place of each client, as M(oncall.postgresql.network_info) does.
  - Only networks that carry the project's label are touched. No network, container or anything else is ever pruned.
  - What attaching cannot fix is refused, with whom to notify - a firewall, lost packets, a wrong host name in the
    client's settings.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.target
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
options:
  networks:
    description:
      - The networks that the server and all clients should be on, by their real name or by their name in the Compose
        file.
    type: list
    elements: str
  recreate:
    description:
      - Also recreate a network as it was, when all containers are attached as they should be and nothing gets
        through. That fixes an engine whose own firewall rules were flushed.
      - Everything on that network is cut off for a moment. Refused when a container of another project is on it.
    type: bool
    default: false
  verify_seconds:
    description: How long to ask the clients until they reach the server.
    type: float
    default: 15
seealso:
  - module: oncall.postgresql.network_info
  - module: oncall.postgresql.clients
"""

EXAMPLES = r"""
- name: Put the database and its api back on their network
  oncall.postgresql.network:
    project: shop
    clients:
      - service: api

- name: Make the network anew if everybody is on it and nothing gets through
  oncall.postgresql.network:
    project: shop
    clients:
      - service: api
    recreate: true
"""

RETURN = r"""
# Written by scripts/returns.py.
steps:
  description: What was done (in check mode, would be); also returned by a task that failed halfway.
  returned: always, unless the task was refused
  type: list
  elements: dict
  contains:
    kind:
      description: V(connect), V(reconnect) or O(recreate).
      type: str
    container:
      description: The container; null for O(recreate).
      type: str
    network:
      description: The network.
      type: str
    aliases:
      description: The container's names in that network.
      type: list
      elements: str
    done:
      description: Whether it was done.
      type: bool
  sample:
    - kind: connect
      container: shop-b77fb5ef-postgres-1
      network: shop-b77fb5ef_default
      aliases:
        - 307f0e58530a
        - postgres
      done: true
expected:
  description: The networks that each container should be on.
  returned: always, unless the task was refused
  type: dict
  sample:
    shop-b77fb5ef-api-1:
      - shop-b77fb5ef_default
    shop-b77fb5ef-postgres-1:
      - shop-b77fb5ef_default
source:
  description: 'Where that comes from: V(options), V(compose file) or V(labels).'
  returned: always, unless the task was refused
  type: str
  sample: compose file
foreign_networks:
  description: Containers missing on a network of another project, which is left to its owner.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample: []
detail:
  description: Whether the clients reach the server, in one line; after the repair, if there was one.
  returned: always, unless the task was refused
  type: str
  sample: reached from shop-b77fb5ef-api-1 in at most 0.3 ms
clients:
  description: Each client from its own place, as M(oncall.postgresql.network_info) returns it.
  returned: always, unless the task was refused
  type: list
  elements: dict
  sample:
    - service: api
      name: shop-b77fb5ef-api-1
      state: running
      exit_code: null
      started_at: '2026-11-28T19:28:26.628Z'
      finished_at: null
      out_of_memory: false
      place: namespace
      application_name: api
      networks:
        - name: shop-b77fb5ef_default
          address: 172.19.0.2
          aliases:
            - api
            - fa8235dc655c
            - shop-b77fb5ef-api-1
          attached: true
      shared_networks:
        - shop-b77fb5ef_default
      login:
        host: postgres
        port: 5432
        user: app
        database: shop
        ssl_mode: prefer
        password_given: true
        source: DATABASE_URL
      pool: null
      resolution:
        name: postgres
        addresses:
          - 172.19.0.3
        nameserver: 127.0.0.11
        error: null
        elapsed_ms: 5.926
      reach:
        address: 172.19.0.3:5432
        probes: 10
        answered: 10
        loss_percent: 0.0
        latency_ms: 0.284
        outcome: open
      startup:
        kind: network
        address: 172.19.0.3:5432
        outcome: accepting
        severity: null
        sqlstate: null
        message: null
        elapsed_ms: 41.686
      attempt:
        succeeded: true
        outcome: ok
        severity: null
        sqlstate: null
        message: null
        method: scram-sha-256
        tls: false
        source_address: 172.19.0.2
        elapsed_ms: 5.806
      password_matches: null
      health:
        url: http://localhost:8000/api/v1/db/health
        status: 200
        ok: true
        body: '{"status": "healthy"}'
        error: null
      error: null
seconds:
  description: How long it took, 0 when nothing was done.
  returned: always, unless the task was refused
  type: float
  sample: 0.509
answer:
  description: The answer to the question whether the clients reach the server, after the repair.
  returned: when a client still does not reach the server
  type: str
cause:
  description: The verdict's cause; null unless the answer is V(no).
  returned: when a client still does not reach the server
  type: str
evidence:
  description: The readings that prove it.
  returned: when a client still does not reach the server
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

from ..module_utils._entry.changing import Changing
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._procedures.network.run import OPTIONS, Repair

WORK = Changing(TARGET + OPTIONS, Repair())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
