#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: triage
short_description: What is wrong with PostgreSQL, what proves it, what mends it, who must be told?
version_added: 0.1.0
description:
  - Asks all questions of the decision tree in one task and gives one verdict.
  - Is the server running? Does it accept connections? Can its clients reach it? Is there room for one more connection?
    May the clients log in? Are queries getting through? Is it sound?
  - It only looks. It takes one connection, never waits behind a lock, and ends after O(deadline_seconds).
  - A verdict is data. The task fails only when it could not look, and then says what to do.
  - No module is started for a target that the controller reaches as it is - O(runtime=remote), a O(docker_host) that is
    no local socket, or a local connection without C(become) where Ansible's own Python has the libraries. Delegate the
    task to have another host do it.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
options:
  host:
    description: The target's name in the result. When not given, the name of the inventory host.
    type: str
seealso:
  - module: oncall.postgresql.report
"""

EXAMPLES = r"""
- name: What is wrong with the shop's database?
  oncall.postgresql.triage:
    project: shop
    clients:
      - service: api
        health_url: http://localhost:8000/api/v1/db/health
  register: triage

- name: Stop here when it is serious
  ansible.builtin.fail:
    msg: "{{ triage.verdict.summary }}"
  when: triage.verdict.severity is oncall.postgresql.at_least('critical')
"""

RETURN = r"""
schema:
  description: Version of this result's shape.
  returned: success
  type: int
  sample: 1
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
verdict:
  description: The answer.
  returned: success
  type: dict
  contains:
    code:
      description: What is wrong, V(healthy) when nothing is.
      type: str
      sample: pool_exhausted
    cause:
      description: Why it is wrong, null when nothing is.
      type: str
      sample: idle_connections
    question:
      description: The question that was answered with no, null when none was.
      type: str
      sample: connections
    severity:
      description: V(ok), V(warning), V(critical) or V(emergency).
      type: str
      sample: critical
    summary:
      description: The verdict in one line.
      type: str
    evidence:
      description: The readings that prove it, the decisive one first.
      type: list
      elements: str
    remedy:
      description: The playbook that mends it, its variables, the command to paste; null when no safe one is known.
      type: dict
      contains:
        playbook:
          description: FQCN of the playbook.
          type: str
          sample: oncall.postgresql.pool_reset
        extra_vars:
          description: Its variables.
          type: dict
        command:
          description: The command to paste.
          type: str
          sample: ansible-playbook oncall.postgresql.pool_reset --limit shop-db
    escalation:
      description: Who must be told.
      type: dict
      contains:
        to:
          description: V(none), V(dba) or V(emergency).
          type: str
          sample: dba
        after_minutes:
          description: When, in minutes from now; V(0) is at once.
          type: int
          sample: 20
        reason:
          description: Why.
          type: str
        or_if:
          description: What makes it due sooner, null when nothing does.
          type: str
path:
  description: The questions in the order in which they were asked.
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
      description: Why the question was not asked, null when it was.
      type: str
findings:
  description: Everything that was noticed, the worst first.
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
facts:
  description: All that was read (C(target), C(server), C(wire), C(clients), C(snapshot), C(snapshot_error), C(errors)).
  returned: success
  type: dict
elapsed_ms:
  description: Milliseconds that each step took, and the total.
  returned: success
  type: dict
  sample: {"client 0": 21.4, "server": 164.0, "snapshot": 171.9, "total": 205.3, "wire": 11.2}
"""

from ..module_utils._entry import questions
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TRIAGE
from ..module_utils._entry.work import Reading

WORK = Reading(TRIAGE, questions.triage)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
