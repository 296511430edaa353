#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: procedure
short_description: Carry out a procedure by the name of its playbook
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - The task that acts in every playbook of this collection. It runs the module that belongs to O(verb) with the
    C(oncall_*) variables of the host, each of them checked by its type, where that module would run.
  - Where clients are cut off meanwhile it does nothing once the procedure has failed on another host of the run.
  - Takes all options of the target, too.
options:
  verb:
    description: The procedure.
    type: str
    required: true
    choices:
      - cancel_queries
      - credentials_reset
      - graceful_restart
      - network_repair
      - pool_reset
      - reindex
      - reload
      - rollback_prepared
      - start
  variables:
    description: Variables of the procedure that a verdict names; they win over those of the host.
    type: dict
    default: {}
attributes:
  action:
    description: There is an action plugin of the same name; it chooses the module and where that runs.
    support: full
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.target
seealso:
  - module: oncall.postgresql.triage
"""

EXAMPLES = r"""
- name: What the verdict recommends
  oncall.postgresql.procedure:
    project: shop
    verb: reload
"""

RETURN = r"""
# Written by scripts/returns.py.
outcome:
  description: V(done), V(unchanged), V(planned) in check mode, V(refused) when nothing was touched, or
    V(failed); the values of the module that did it are returned, too.
  returned: always, unless nothing was run
  type: str
  sample: done
seconds:
  description: How long it took.
  returned: always, unless nothing was run
  type: float
  sample: 0.214
refused:
  description: Whether the task was refused before anything was changed.
  returned: failure
  type: bool
"""
