#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: readiness_info
short_description: Does PostgreSQL accept connections?
version_added: 0.1.0
description:
  - Sends a start-up packet to the server's socket, to its own network address and to each published address.
  - Reads the version, whether the server is in recovery, its C(listen_addresses) and port, the lines of C(pg_hba.conf),
    errors in the configuration files, and which settings wait for a restart.
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
- name: Does PostgreSQL accept connections?
  oncall.postgresql.readiness_info:
    project: shop
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
  sample: accepting
answer:
  description: V(yes), V(no), or V(not_asked) when what it takes to answer could not be had.
  returned: success
  type: str
  sample: "yes"
detail:
  description: The answer in one line.
  returned: success
  type: str
  sample: "socket /var/run/postgresql/.s.PGSQL.5432: accepting"
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
wire:
  description: What each address answered to a start-up packet.
  returned: success
  type: list
  elements: dict
  sample: []
listening:
  description: The TCP sockets that listen where the server lives.
  returned: success
  type: list
  elements: dict
  sample: []
lock_file:
  description: What C(postmaster.pid) says.
  returned: success
  type: dict
  sample: {}
configured:
  description: Settings, lines of C(pg_hba.conf), errors in the configuration files; null when SQL did not get through.
  returned: success
  type: dict
  sample: {}
started_at:
  description: When the server started; null when SQL did not get through.
  returned: success
  type: str
  sample: "2026-11-24T05:30:00+00:00"
"""

from ..module_utils._entry import questions
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.work import Reading

WORK = Reading(TARGET, questions.readiness_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
