#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: monitoring_role
short_description: The PostgreSQL role that monitoring logs in with
version_added: 0.2.0
description:
  - Makes sure that there is a role that sees the sessions of others (member of C(pg_monitor)), may do nothing else, and
    holds no more than O(connection_limit) connections. What stands is read back.
  - From PostgreSQL 16 on it is a member of C(pg_use_reserved_connections), too. Where C(reserved_connections) is set it
    still gets in when ordinary slots are used up.
  - A comment marks it as the monitoring's own. A role of that name without the comment is neither taken over nor
    dropped.
  - The server is given a SCRAM-SHA-256 verifier that is computed here, never the password itself.
  - When it cannot be made as asked, it is dropped again.
  - On a standby nothing is changed, since it has the roles of its primary.
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
    details:
      - The diff says which things change, never a password.
  platform:
    support: full
options:
  role:
    description: The role.
    type: str
    default: oncall_monitor
  password:
    description:
      - Its password. Left as it is when not given.
      - A login that may not read C(pg_authid) cannot tell whether the role has it already, and sets it only when it
        makes the role.
    type: str
  connection_limit:
    description: How many connections it may hold at once.
    type: int
    default: 2
  state:
    description: V(absent) drops the role.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: oncall.postgresql.role_settings
"""

EXAMPLES = r"""
- name: A role that may look, and nothing else
  oncall.postgresql.monitoring_role:
    project: shop
    password: "{{ vault_monitoring }}"

- name: Drop it
  oncall.postgresql.monitoring_role:
    project: shop
    state: absent
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: The outcome in one line.
  returned: success
  type: str
  sample: 'Role oncall_monitor: create, attributes, pg_monitor, password'
role:
  description: The role.
  returned: success
  type: str
  sample: oncall_monitor
steps:
  description: 'What was changed of it (in check mode, would be): V(create), V(attributes), V(powers),
    O(password), V(drop), and the predefined roles that it became a member of.'
  returned: success
  type: list
  elements: str
  sample:
    - create
    - attributes
    - pg_monitor
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
from ..module_utils._procedures.monitoring_role.run import OPTIONS, MonitoringRole

WORK = Changing(TARGET + OPTIONS, MonitoringRole())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
