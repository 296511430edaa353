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
  - Looks from the network namespace of each client - resolves the server's name, opens ten connections, sends a
    start-up packet.
  - Nothing is needed inside the client's image, neither a shell nor any tool.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
seealso:
  - module: oncall.postgresql.triage
"""

EXAMPLES = r"""
- name: Can the api reach its database?
  oncall.postgresql.network_info:
    project: shop
    clients:
      - service: api
"""

RETURN = r"""
target:
  description: The server that was looked at.
  returned: success
  type: dict
  contains:
    host:
      description: Name of the host.
      type: str
      sample: shop-db
    runtime:
      description: The value of O(runtime).
      type: str
      sample: compose
    version:
      description: The server's version, null when it could not be asked.
      type: str
      sample: "17.5"
    in_recovery:
      description: Whether the server is a standby, null when it could not be asked.
      type: bool
      sample: false
question:
  description: The question that was asked.
  returned: success
  type: str
  sample: network
answer:
  description: V(yes), V(no), or V(not_asked) when what it takes to answer could not be had.
  returned: success
  type: str
  sample: "yes"
detail:
  description: The answer in one line.
  returned: success
  type: str
  sample: "reached from shop-api-1, 0.1 ms at most"
code:
  description: The verdict's code when the answer is V(no), else null.
  returned: success
  type: str
  sample: null
cause:
  description: The verdict's cause when the answer is V(no), else null.
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
      description: What was noticed, in one line.
      type: str
    evidence:
      description: The readings that prove it.
      type: list
      elements: str
  sample: []
errors:
  description: Which steps of the looking brought nothing, and why.
  returned: success
  type: dict
  sample: {}
elapsed_ms:
  description: Milliseconds that each step took, and the total.
  returned: success
  type: dict
  sample: {}
clients:
  description: What each client sees from its own place.
  returned: success
  type: list
  elements: dict
  sample: []
networks:
  description: The networks of the server, its addresses and aliases there.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ..module_utils._entry import questions
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.work import Reading

WORK = Reading(TARGET, questions.network_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
