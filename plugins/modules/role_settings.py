#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: role_settings
short_description: Set or reset settings of PostgreSQL roles, in all databases
version_added: 0.2.0
description:
  - Makes sure that roles have settings of their own (C(ALTER ROLE ... SET)), such as a C(statement_timeout) that counts
    for an application and not for maintenance. Values are read back.
  - They count from the next login of the role on. What a role has set in one database is not touched, and wins there;
    RV(settings[].hidden_by) names it.
  - Values are compared by what they mean - C(30s) is C(30000) of V(statement_timeout).
  - Refused before anything is touched, with all reasons at once, are roles and settings that do not exist, and those
    that the login role may not change. When a change fails, all former values are put back.
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
  platform:
    support: full
options:
  roles:
    description: The roles.
    type: list
    elements: str
    required: true
  settings:
    description: The settings, by name. A value is a text with or without a unit, a number, a truth value or a list, as
      C(postgresql.conf) would have it. Null resets one.
    type: dict
    required: true
seealso:
  - module: oncall.postgresql.settings
"""

EXAMPLES = r"""
- name: Cut what the application asks for longer than 30 seconds
  oncall.postgresql.role_settings:
    project: shop
    roles: [shop]
    settings:
      statement_timeout: 30s
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: The outcome in one line.
  returned: success
  type: str
  sample: 1 setting changed of shop; it counts from their next login on
settings:
  description: Each setting of each role.
  returned: success
  type: list
  elements: dict
  contains:
    role:
      description: The role.
      type: str
    name:
      description: The setting.
      type: str
    before:
      description: Its value before, as the role has it; null when it had none.
      type: str
    after:
      description: Its value afterwards (in check mode, it would be); null when it has none.
      type: str
    changed:
      description: Whether it was changed (in check mode, would be).
      type: bool
    hidden_by:
      description: Databases in which the role has a value of its own, with that value; it wins there.
      type: list
      elements: str
  sample:
    - role: shop
      name: statement_timeout
      before: null
      after: 30s
      changed: true
      hidden_by: []
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
from ..module_utils._procedures.role_settings.run import OPTIONS, RoleSettings

WORK = Changing(TARGET + OPTIONS, RoleSettings())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
