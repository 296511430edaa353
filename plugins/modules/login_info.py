#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: login_info
short_description: May the clients of PostgreSQL log in?
version_added: 0.1.0
description:
  - Logs in with each client's own settings from its own place, and when that fails says why.
  - The cause comes from the catalog - the role, its password's validity, the database and its privileges, and the
    line of C(pg_hba.conf) that decided.
  - Passwords are compared with the stored verifier where they are read; they are never returned or logged.
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
- name: May the api log in?
  oncall.postgresql.login_info:
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
  sample: login
answer:
  description: V(yes), V(no), or V(not_asked) when what it takes to answer could not be had.
  returned: success
  type: str
  sample: "yes"
detail:
  description: The answer in one line.
  returned: success
  type: str
  sample: "1 client logged in: shop-api-1"
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
  description: What each client sees from its own place, and how its login went.
  returned: success
  type: list
  elements: dict
  sample: []
roles:
  description: The roles that the clients log in as; null when SQL did not get through.
  returned: success
  type: list
  elements: dict
  sample: []
databases:
  description: The databases that the clients ask for; null when SQL did not get through.
  returned: success
  type: list
  elements: dict
  sample: []
hba_rules:
  description: The lines of C(pg_hba.conf); null when they may not be read.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ..module_utils._entry import questions
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.work import Reading

WORK = Reading(TARGET, questions.login_info)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
