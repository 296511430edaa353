#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: client_pool
short_description: Gives the clients' connection pools another size, if all pools fit into the server
version_added: 0.2.0
description:
  - Writes the pool's settings into the file that a Compose project gets its variables from, has Compose recreate the
    containers of the clients, and verifies that each has the values and is back. If that fails the former file is put
    back and the containers are recreated from it.
  - Before anything is touched it adds up what all pools of O(clients) may open when they are full. The sum of
    replicas x (pool_size + max_overflow) must fit into C(max_connections) less the reserved slots and
    O(pool_reserve), and those of one role or database into its C(CONNECTION LIMIT). Otherwise it refuses with the sum
    written out, and the largest pool that would fit. It says so where the present pools are larger still; with
    O(allow_over_budget) it takes what is no worse, with a warning.
  - The pools of the other clients are those that O(clients) declares, else those in the environment of their
    containers (E(DATABASE_POOL_SIZE) and E(DATABASE_MAX_OVERFLOW), E(DB_POOL_SIZE) and E(DB_MAX_OVERFLOW),
    E(SQLALCHEMY_POOL_SIZE) and E(SQLALCHEMY_MAX_OVERFLOW)). It refuses where a running one has neither. Replicas are
    the running containers, of O(services) the stopped ones, too, since Compose starts them as well; unless declared.
    A client whose login leads to no address of the server or to another port, such as to PgBouncer, is not counted.
  - A container that runs with the values already is not recreated, whatever the file says.
  - O(env_file) is replaced atomically, so that no reader ever sees half of it. Its mode, owner, SELinux context,
    comments, order, line ends and quotes are kept. Of a key that is there twice the last one is changed, as Compose
    reads the last one. A key that is missing is added at the end.
  - Containers are recreated as M(oncall.postgresql.credentials) does it, with the very Compose files that the project
    was brought up with. It is refused where these would create another container than the existing one, or do not
    pass the variables on.
  - A container is asked to end by its own stop signal, and is never killed. Ctrl-C, SIGTERM or SIGHUP restore
    everything. If the process is killed, clients are started by whoever started it, or else named by the next
    M(oncall.postgresql.triage).
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
  services:
    description:
      - The services of O(clients) that get these pools. All of O(clients) if not given.
    type: list
    elements: str
  env_file:
    description:
      - The file of lines C(KEY=value) on the target host, such as the C(.env) of the Compose project.
    type: path
    required: true
  pool_size:
    description: Connections that each pool keeps.
    type: int
    default: 10
  max_overflow:
    description: Connections that each pool may open beside them.
    type: int
    default: 20
  pool_timeout_seconds:
    description: How long to wait for a connection of the pool.
    type: int
    default: 30
  pool_recycle_seconds:
    description: After this time a connection is replaced by a new one. V(-1) is never.
    type: int
    default: 3600
  pool_pre_ping:
    description: Whether a connection is tested before it is used.
    type: bool
    default: true
  names:
    description:
      - What the variables are called. One that is empty is not written.
    type: dict
    suboptions:
      pool_size:
        description: Instead of V(DATABASE_POOL_SIZE).
        type: str
      max_overflow:
        description: Instead of V(DATABASE_MAX_OVERFLOW).
        type: str
      pool_timeout_seconds:
        description: Instead of V(DATABASE_POOL_TIMEOUT).
        type: str
      pool_recycle_seconds:
        description: Instead of V(DATABASE_POOL_RECYCLE).
        type: str
      pool_pre_ping:
        description: Instead of V(DATABASE_POOL_PRE_PING), whose value is V(True) or V(False).
        type: str
  allow_over_budget:
    description:
      - Take pools that do not fit, as long as they may open no more connections than the present ones.
    type: bool
    default: false
  grace_seconds:
    description:
      - How long a client's container may take to stop before it is recreated. It is never killed. When it has not
        stopped by then, everything is restored.
    type: int
    default: 30
  timeout_seconds:
    description: How long recreated containers may take to run and be healthy again.
    type: float
    default: 60
seealso:
  - module: oncall.postgresql.connections_info
  - module: oncall.postgresql.clients
"""

EXAMPLES = r"""
- name: Give the api pools of 5 connections, 10 more under load
  oncall.postgresql.client_pool:
    project: shop
    clients:
      - service: api
        health_url: http://localhost:8000/api/v1/db/health
      - service: worker
        pool: {size: 5}
    services: [api]
    env_file: /srv/shop/.env
    pool_size: 5
    max_overflow: 10

- name: The same for an application that calls its settings something else
  oncall.postgresql.client_pool:
    project: shop
    clients: [{service: api}]
    env_file: /srv/shop/.env
    names:
      pool_size: DB_POOL_SIZE
      max_overflow: DB_MAX_OVERFLOW
      pool_timeout_seconds: ""
      pool_recycle_seconds: ""
      pool_pre_ping: ""
"""

RETURN = r"""
# Written by scripts/returns.py.
env_file:
  description: The file.
  returned: success
  type: str
  sample: /tmp/oncall-lab-wvf58mpf/project/.env
files_on:
  description: 'The machine that has it: V(the controller), or the host by its name.'
  returned: success
  type: str
  sample: the controller
variables:
  description: The variables in the file.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    before:
      description: Its value in the file before; null when it was not there, "a variable" where it takes
        the value of another one.
      type: str
    after:
      description: Its value afterwards (in check mode, it would be).
      type: str
  sample:
    - name: DATABASE_POOL_SIZE
      before: '2'
      after: '3'
recreated:
  description: Services whose containers were recreated (in check mode, would be).
  returned: success
  type: list
  elements: str
  sample:
    - api
containers:
  description: The new containers, also of a task that failed; empty in check mode, and where none was
    recreated.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The client's service.
      type: str
    name:
      description: Its container.
      type: str
    state:
      description: The state of the new container.
      type: str
    health:
      description: What its own health check said; null when it has none.
      type: str
    sessions:
      description: Its new sessions on the server; null where it has no application_name.
      type: int
    error:
      description: What is missing; null when it is back with the values.
      type: str
  sample:
    - service: api
      name: lab-credentials-4322b9a6-api-1
      state: running
      health: healthy
      sessions: 1
      error: null
budget:
  description: All pools against the slots of the server, then those of each role and database with a
    limit of its own; empty where sessions come by way of a pooler.
  returned: success
  type: list
  elements: dict
  contains:
    connections:
      description: What the pools may open together.
      type: int
    slots:
      description: What there is room for.
      type: int
    sum:
      description: The sum written out, and what the room is made of.
      type: str
  sample:
    - connections: 7
      slots: 17
      sum: 'api 1 x (3 + 4) = 7: 7 of 17 connections (max_connections 30, less 3 reserved for superusers
        and others, less pool_reserve 10)'
warnings_found:
  description: What is no reason to refuse it, but should be known.
  returned: success
  type: list
  elements: str
  sample: []
seconds:
  description: How long all of it took.
  returned: success
  type: float
  sample: 4.9
put_back:
  description: What was restored.
  returned: when the change could not be verified
  type: list
  elements: str
  sample:
    - /tmp/oncall-lab-wvf58mpf/project/.env on the controller
    - the containers of api
not_put_back:
  description: What could not be restored, and why.
  returned: when the change could not be verified
  type: list
  elements: str
  sample: []
refused:
  description: Whether the task was refused before anything was changed.
  returned: failure
  type: bool
  sample: false
sqlstate:
  description: PostgreSQL's SQLSTATE; null when the failure has none.
  returned: failure
  type: str
  sample: null
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.surviving import Surviving
from ..module_utils._procedures.client_pool.run import OPTIONS, Resize

WORK = Surviving(TARGET + OPTIONS, Resize())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
