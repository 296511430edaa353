#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: triage
short_description: What is wrong with PostgreSQL, what proves it, what fixes it, who must be told?
version_added: 0.1.0
description:
  - Asks all questions of the decision tree in one task and gives one verdict.
  - Is the server running? Does it accept connections? Can clients reach it? Are connection slots available?
    Can clients log in? Are queries getting through? Are data, disk and replication healthy?
  - It changes nothing. It takes one connection, never waits behind a lock, and ends within O(deadline_seconds).
  - A verdict is data. The task fails only when it could not check the server, and then says what to do.
  - No module is started for a target that the controller reaches as it is - O(runtime=remote), a O(docker_host) that is
    not a local socket, or a local connection without C(become) where Ansible's own Python has the libraries. Delegate
    the task to have another host do it.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
options:
  compact:
    description:
      - Return the facts as one JSON text, RV(facts_json), instead of RV(facts).
      - Ansible copies a result several times, value by value, and keeps it until the run ends. With hundreds of hosts
        this takes longer than the checks. The playbooks of this collection use it.
    type: bool
    default: false
    version_added: 0.2.0
seealso:
  - module: oncall.postgresql.report
  - name: Guide to the facts
    description: Every returned fact, field by field.
    link: https://git.example.org/oncall/postgresql/blob/main/docs/facts.md
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
# Written by scripts/returns.py.
schema:
  description: Version of this result's shape.
  returned: success
  type: int
  sample: 1
target:
  description: The server that was checked.
  returned: success
  type: dict
  contains:
    host:
      description: Name of the host.
      type: str
    runtime:
      description: The value of the option O(runtime).
      type: str
    version:
      description: The server's version, such as "17.5"; null when SQL did not get through.
      type: str
    in_recovery:
      description: Whether it is a standby (or still recovering); null when SQL did not get through.
      type: bool
  sample:
    host: shop-db
    runtime: pg_ctl
    version: '15.18'
    in_recovery: false
verdict:
  description: The answer.
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
    code: pool_exhausted
    cause: idle_connections
    question: connections
    severity: critical
    summary: 'No connection slots left (17 of 17 in use): most are idle (connection leak)'
    evidence:
      - 17 of 17 usable connection slots in use (max_connections 20, 3 reserved)
      - 'here: SQLSTATE 53300: remaining connection slots are reserved for non-replication superuser connections'
      - 'by state: 15 idle, 1 active, 1 idle in transaction'
    remedy:
      playbook: oncall.postgresql.pool_reset
      extra_vars: {}
      command: ansible-playbook oncall.postgresql.pool_reset --limit shop-db
    escalation:
      to: dba
      after_minutes: 20
      reason: not resolved within 20 minutes
      or_if: it comes back after a pool reset
path:
  description: The questions in the order in which they are asked.
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
    - question: running
      answer: 'yes'
      detail: /tmp/oncall-pg-ckysyz26/data has been running for 4 s
      reason: null
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
      description: The same in one line.
      type: str
    evidence:
      description: The readings that prove it.
      type: list
      elements: str
  sample:
    - code: queries_hanging
      severity: critical
      summary: '1 session blocked; root blocker: pid 15290 (shop, idle in transaction)'
      evidence:
        - 'pid 15290, shop (shop-api) from 127.0.0.1, idle in transaction, blocks 1 session, the longest
          for 3.3 s: LOCK TABLE prices'
        - 'pid 15292 has been waiting 3.3 s for AccessShareLock on oid 16386 in database shop, blocked
          by pid 15290: SELECT * FROM prices;'
facts:
  description: All that was read; docs/facts.md in the collection's repository describes every field;
    null with O(compact=true).
  returned: success
  type: dict
  contains:
    target:
      description: The server that was checked.
      type: dict
    server:
      description: Its process, storage and log; null when it could not be examined.
      type: dict
    wire:
      description: What each of the server's own addresses answered.
      type: list
      elements: dict
    clients:
      description: Each client from its own place.
      type: list
      elements: dict
    restart_note:
      description: Left by a restart or a password reset on its host; null without one.
      type: dict
    role_users:
      description: Who else knows the role whose password a client gets wrong; read only then.
      type: list
      elements: dict
    restart:
      description: What a restart would do; read only where a changed listen_addresses or port is pending
        one, and clients need it; null when unknown.
      type: dict
    repair_obstacle:
      description: Why network_repair would refuse, and what to do instead; null where it would not, or
        nothing recommends it.
      type: str
    snapshot:
      description: What SQL says; null when SQL did not get through.
      type: dict
    snapshot_error:
      description: Why SQL did not get through; null when it did.
      type: dict
    another_server:
      description: The server that answers in place of the one that was to be checked; null when none
        is known.
      type: dict
    errors:
      description: The steps that failed, and why.
      type: dict
facts_json:
  description: 'With O(compact=true): the facts as one JSON text; null otherwise.'
  returned: success
  type: str
  sample: null
elapsed_ms:
  description: Milliseconds that each step took, and the total.
  returned: success
  type: dict
  sample:
    client 0: 48.6
    snapshot: 65.0
    server: 81.9
    wire: 83.1
    total: 90.5
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import TRIAGE
from ..module_utils._entry.triage import triage
from ..module_utils._entry.work import Reading

WORK = Reading(TRIAGE, triage)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
