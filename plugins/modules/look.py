#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: look
short_description: Carry out a check by the name of its playbook
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - The task that looks in the playbooks of this collection that only look. It runs the module that belongs to O(verb)
    with the C(oncall_*) variables of the host, each of them checked by its type, where that module would run.
  - Returns what that module returns, and the same in the shape of M(oncall.postgresql.triage), for
    M(oncall.postgresql.report).
  - Takes all options of the target, too.
options:
  verb:
    description: The check.
    type: str
    required: true
    choices:
      - integrity_check
      - baseline
      - restore_proof
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
  - module: oncall.postgresql.integrity_info
  - module: oncall.postgresql.baseline
  - module: oncall.postgresql.restore_proof
  - module: oncall.postgresql.report
"""

EXAMPLES = r"""
- name: Is the data whole?
  oncall.postgresql.look:
    project: shop
    verb: integrity_check
  register: oncall_triage

- name: Show it
  oncall.postgresql.report:
"""

RETURN = r"""
# Written by scripts/returns.py.
verdict:
  description: 'The answer, as triage has it: its cause is the grade.'
  returned: success
  type: dict
  contains:
    code:
      description: What is wrong; V(healthy) when nothing is.
      type: str
    cause:
      description: Why it is wrong; null when nothing is, or the cause is unknown.
      type: str
    question:
      description: The question that was answered with no; null when none was.
      type: str
    severity:
      description: V(ok), V(warning), V(critical) or V(emergency).
      type: str
    summary:
      description: The verdict in one line.
      type: str
    evidence:
      description: The readings that prove it, the decisive one first.
      type: list
      elements: str
    remedy:
      description: The playbook that fixes it; null when there is no safe one.
      type: dict
      contains:
        playbook:
          description: Its fully qualified name.
          type: str
        extra_vars:
          description: Its variables.
          type: dict
        command:
          description: The command to paste.
          type: str
    escalation:
      description: Who has to be informed.
      type: dict
      contains:
        to:
          description: V(none), V(dba) or V(emergency).
          type: str
        after_minutes:
          description: Minutes from now, 0 is immediately; null when nobody has to be informed.
          type: int
        reason:
          description: Why.
          type: str
        or_if:
          description: What makes it due immediately; null when nothing does.
          type: str
  sample:
    code: integrity
    cause: caution
    question: sequences
    severity: warning
    summary: 'Caution: shop.public.invoice: 95.0 % used, 950 of 1,000. Not looked at: backups, baseline'
    evidence:
      - 'shop.public.invoice: 95.0 % used, 950 of 1,000'
    remedy: null
    escalation:
      to: none
      after_minutes: null
      or_if: null
      reason: ''
path:
  description: What was checked, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    question:
      description: The question.
      type: str
    answer:
      description: V(yes), V(no) or V(not_asked).
      type: str
    detail:
      description: The answer in one line.
      type: str
    reason:
      description: Why the question was not asked; null when it was.
      type: str
  sample:
    - question: control_file
      answer: 'yes'
      detail: cluster state "in production"
      reason: null
findings:
  description: What else was noticed.
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
      description: The same in one line.
      type: str
    evidence:
      description: The readings that prove it.
      type: list
      elements: str
  sample: []
"""
