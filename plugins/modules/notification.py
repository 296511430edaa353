#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: notification
short_description: Find who is to be told of an incident
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - Finds, from the record of M(oncall.postgresql.incident) and the variable C(oncall_notify), which messages are due
    by the runbook's clock, and keeps in the record what was queued, sent or failed. So nobody is told twice, and what
    failed is sent by the next run.
  - It sends nothing itself. The playbooks of this collection do, by M(ansible.builtin.uri) and the module C(mail) of
    the collection C(community.general), which is needed only where a mail is to be sent.
  - What cannot be sent or kept stops no recovery. A warning says so, and the run goes on.
  - What it returns beside RV(msg) holds tokens and passwords. Give the task C(no_log).
  - Runs once for the whole play, on the controller, without any connection.
options:
  state:
    description:
      - V(due) queues what is due for the hosts of the play, and returns it.
      - V(told) keeps what became of it.
      - V(silences) returns what to post to the Alertmanagers of C(oncall_notify), so that they silence the hosts.
    type: str
    choices: [due, told, silences]
    required: true
  directory:
    description: The directory of the record. Required but for O(state=silences).
    type: path
  results:
    description: With O(state=told), what the tasks registered that sent the messages, each in a loop whose variable
      is C(oncall_message).
    type: list
    elements: dict
    default: []
  verb:
    description: With O(state=silences), the playbook that is the reason.
    type: str
    default: ''
attributes:
  action:
    description: There is an action plugin of the same name, and it does all the work, on the controller.
    support: full
  bypass_host_loop:
    description: Runs once for all hosts of the play.
    support: full
  check_mode:
    support: full
    details:
      - Nothing is queued.
  diff_mode:
    support: N/A
    details:
      - Nothing is changed.
  platform:
    support: full
    platforms: all
extends_documentation_fragment:
  - oncall.postgresql.attributes
seealso:
  - module: oncall.postgresql.incident
"""

EXAMPLES = r"""
- name: Find who is to be told
  oncall.postgresql.notification:
    state: due
    directory: /srv/incidents
  register: due
  no_log: true
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: What could not be sent or kept, one line each; empty when all went well.
  returned: success
  type: str
  sample: ''
"""
