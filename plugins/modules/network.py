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
steps:
  description: What was done, or in check mode would be. Also returned by a task that failed on the way.
  returned: when the containers could be examined
  type: list
  elements: dict
  contains:
    kind:
      description: V(connect), V(reconnect) or V(recreate).
      type: str
      sample: connect
    container:
      description: The container, null for V(recreate).
      type: str
      sample: shop-postgres-1
    network:
      description: The network.
      type: str
      sample: shop_default
    aliases:
      description: The container's names there.
      type: list
      elements: str
      sample: [0a1b2c3d4e5f, postgres]
    done:
      description: Whether it was done.
      type: bool
      sample: true
  sample:
    - kind: connect
      container: shop-postgres-1
      network: shop_default
      aliases: [0a1b2c3d4e5f, postgres]
      done: true
expected:
  description: The networks that each container should be on.
  returned: when the containers could be examined
  type: dict
  sample: {shop-api-1: [shop_default], shop-postgres-1: [shop_default]}
source:
  description: What says so, V(options), V(compose file) or V(labels).
  returned: when the containers could be examined
  type: str
  sample: compose file
foreign_networks:
  description: Containers that lack a network which is not the project's, and so is left to its owner.
  returned: when the containers could be examined
  type: list
  elements: str
  sample: []
detail:
  description: Whether the clients reach the server, in one line; after the repair, if there was one.
  returned: when the containers could be examined
  type: str
  sample: "reached from shop-api-1, 0.1 ms at most"
clients:
  description: What each client sees from its own place, as RV(oncall.postgresql.network_info#module:clients).
  returned: when the containers could be examined
  type: list
  elements: dict
  sample: []
seconds:
  description: How long it took, 0 when nothing was done.
  returned: when the containers could be examined
  type: float
  sample: 0.9
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
