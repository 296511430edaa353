#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check the variables of a run before any host is contacted
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - The first task of every playbook of this collection. It checks the C(oncall_*) variables of all hosts of the play.
  - A variable that does not exist, is empty, or has a value of another type fails the run, with the nearest name.
    One given by C(-e) must be a variable of O(verb). One of the inventory may belong to another procedure.
  - Inventory hosts that describe the same server fail a run that would change it, and are a warning in triage.
  - Runs once for the whole play, on the controller, without any connection.
options:
  verb:
    description: The playbook, such as V(pool_reset), V(triage) or V(respond).
    type: str
    required: true
attributes:
  action:
    description: There is an action plugin of the same name, and it does all the work, on the controller.
    support: full
  bypass_host_loop:
    description: Runs once for all hosts of the play.
    support: full
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
extends_documentation_fragment:
  - oncall.postgresql.attributes
seealso:
  - module: oncall.postgresql.procedure
"""

EXAMPLES = r"""
- name: Check the variables
  oncall.postgresql.preflight:
    verb: pool_reset
"""

RETURN = r"""
"""
