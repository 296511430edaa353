#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: clients
short_description: Stop, start or restart the services that use PostgreSQL, and wait until they are connected again
version_added: 0.1.0
description:
  - Drives the containers of the services that O(clients) declares, found by their Compose labels.
  - Services are stopped in the order given and started in the reverse order, so that the one nearest to the users goes
    first and comes back last. The containers of one service are stopped and started in parallel.
  - A container is asked to stop by its own stop signal and given O(grace_seconds). Nothing is ever killed. When one has
    not stopped by then, the others are started again. With O(state=restarted) it is then watched for up to
    O(health_timeout_seconds) and started as soon as it has stopped; one that still has not is named in the last line.
  - A container that was started is waited for, until it runs, its own health check passes, its
    O(clients[].health_url) says that the database is connected, and a new session under its
    O(clients[].application_name) is there. Each of these only where it exists; where none does, it must have run for
    three seconds.
  - The health check of a container is run at once instead of waiting for its interval.
  - One that fails to come back fails the task, after all the others have been started again.
  - It is done by a process of its own, which runs to completion even when its controller, its terminal or its SSH
    connection goes away. With O(state=restarted) the clients to stop are written down first, in C(~/.oncall) on the
    host where it runs. When that process was killed, the next restart starts those that are still stopped, unless
    someone else has started them since; until then M(oncall.postgresql.triage) names them.
  - Only one restart of the same project runs at a time.
  - With O(runtime=pg_ctl) and O(runtime=remote) there is nothing to stop or to start. O(state=started) still waits for
    O(clients[].health_url) and O(clients[].application_name); the other states are refused.
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
  state:
    description:
      - V(stopped) ends every container of the services that runs.
      - V(started) starts every existing container of the services that does not run, and waits for all of them.
      - V(restarted) stops those that run and starts the same ones again; a replica that did not run is left alone,
        unless a restart that was killed has left it stopped.
    type: str
    choices: [started, stopped, restarted]
    required: true
  services:
    description:
      - The services, each one of O(clients), in the order in which they are stopped.
      - When not given, all of O(clients) in their order.
    type: list
    elements: str
  containers:
    description:
      - Only containers with these names, such as the RV(stopped) of an earlier task. An empty list means none.
      - When not given, all containers of the services.
    type: list
    elements: str
  grace_seconds:
    description: How long a container may take to end after it was asked to stop.
    type: float
    default: 30
  health_timeout_seconds:
    description: How long a container may take to come back after it was started.
    type: float
    default: 60
seealso:
  - module: oncall.postgresql.triage
  - module: oncall.postgresql.network_info
  - module: oncall.postgresql.connections_info
"""

EXAMPLES = r"""
- name: Restart the api and wait until it is connected
  oncall.postgresql.clients:
    project: shop
    clients:
      - service: api
        health_url: http://localhost:8000/health
        application_name: api
    state: restarted

- name: Keep the clients away while the database is worked on
  block:
    - name: Stop them
      oncall.postgresql.clients:
        project: shop
        clients: [{service: web}, {service: api}]
        state: stopped
        grace_seconds: 60
      register: oncall_stopped
    - name: Work
      ansible.builtin.debug:
        msg: "{{ oncall_stopped.stopped }} are down"
  always:
    - name: Start what was stopped, and nothing else
      oncall.postgresql.clients:
        project: shop
        clients: [{service: web}, {service: api}]
        state: started
        containers: "{{ oncall_stopped.stopped | default([]) }}"
"""

RETURN = r"""
# Written by scripts/returns.py.
containers:
  description: Each container of the services, in the order in which it was stopped; also returned by
    a failed task, with what was done until then. In check mode what is planned, the readings are null.
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
      stop_seconds: 0.193
      seconds: 0.751
      health: healthy
      health_page:
        url: http://localhost:8000/api/v1/db/health
        status: 200
        ok: true
        body: '{"status": "healthy"}'
        error: null
      sessions: 1
      error: null
stopped:
  description: Names of the containers that were stopped (in check mode, would be).
  returned: always, unless the task was refused
  type: list
  elements: str
  sample:
    - shop-b77fb5ef-api-1
started:
  description: Names of the containers that were started (in check mode, would be).
  returned: always, unless the task was refused
  type: list
  elements: str
  sample:
    - shop-b77fb5ef-api-1
seconds:
  description: How long all of it took; null in check mode.
  returned: always, unless the task was refused
  type: float
  sample: 1.028
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
from ..module_utils._procedures.clients.run import OPTIONS, Clients

WORK = Surviving(TARGET + OPTIONS, Clients())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
