#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident
short_description: Keep the record of an incident
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - Keeps, on the controller, a timeline of what was seen and done about a server, from the alarm to the closing, and
    the post-mortem made from it. The playbooks of this collection write to it when C(oncall_incident_dir) is set.
  - An incident is C(<id>.jsonl) in O(directory), one event a line, which is only ever added to, and C(<id>.md) and
    C(<id>.html), the post-mortem as text and as a page, made anew after each event. All have mode 0600; a directory
    that is created has mode 0700.
  - The id is the UTC time of opening, the host and the code of the verdict. Characters of the host's name that are
    unsafe in a file's name are replaced. There is one open incident for each host and code; later runs find it again.
  - Several writers may run at the same time. After a kill, what was written is whole; a line that was cut short is
    ignored, and the post-mortem says so.
  - What cannot be written stops no recovery. RV(msg) says so, and the run goes on.
  - Runs once for the whole play, on the controller, without any connection.
options:
  state:
    description:
      - V(open) opens an incident. With O(triage), only for hosts whose verdict is critical or an emergency and that
        have no open one of that code; what was found on the others is noted in the open incidents that they have.
      - V(noted) adds to the open incidents of the hosts, and does nothing where there are none.
      - V(acknowledged) does the same, and says that somebody is at work.
      - V(closed) goes through the checklist and closes the open incidents of the hosts. With an open item it closes
        none, returns what is open, and records that. It fails where no host has an open incident, or the record cannot
        be written.
    type: str
    choices: [open, noted, acknowledged, closed]
    default: noted
  directory:
    description: The directory on the controller, created if it does not exist.
    type: path
    required: true
  text:
    description: What to note; with O(state=open) the summary.
    type: str
  code:
    description: Only in incidents with this code; with O(state=open) and without O(triage) the new one's code, of
      lower-case letters and underscores.
    type: str
  severity:
    description: The severity of an incident that is opened without O(triage).
    type: str
    choices: [warning, critical, emergency]
    default: critical
  verb:
    description: The playbook that looked.
    type: str
    default: triage
  triage:
    description:
      - Name of the variable that the results of M(oncall.postgresql.triage) or M(oncall.postgresql.look) are registered
        in.
      - They are noted; health only once, a fault that has not changed every ten minutes.
    type: str
  response:
    description: Name of the variable that says which procedure is carried out, as the playbooks of this collection have
      it. With O(state=acknowledged) it is noted that the procedure begins.
    type: str
  done:
    description: Name of the variable that the result of M(oncall.postgresql.procedure) is registered in. Its outcome,
      how long it took and the downtime are noted.
    type: str
  integrity:
    description: Name of the variable that the result of M(oncall.postgresql.look) with the verb C(integrity_check) is
      registered in. For O(state=closed).
    type: str
  statements:
    description: The variable that M(oncall.postgresql.statements_info) was registered in, for O(state=closed).
    type: str
  root_cause:
    description: What caused the incident. For O(state=closed).
    type: str
  corrective_actions:
    description: What is done so that it does not happen again. For O(state=closed).
    type: list
    elements: dict
    suboptions:
      what:
        description: What is done.
        type: str
        required: true
      owner:
        description: Who does it.
        type: str
        required: true
      due:
        description: Until when.
        type: str
  slow_queries_reviewed:
    description: Whether somebody has reviewed the slow queries. For O(state=closed).
    type: bool
    default: false
  accept_caution:
    description: The reason why an integrity check whose grade is V(caution) will do. For O(state=closed).
    type: str
  pool_sizes:
    description: For each declared client the most connections that its pool may open, all its processes together. Only
      their owners know. For O(state=closed).
    type: dict
  monitoring:
    description: What watches the server. It is taken at your word. Without it, the server's own settings have to show
      C(pg_stat_statements), C(log_lock_waits) and C(log_min_duration_statement). For O(state=closed).
    type: str
  close_anyway:
    description:
      - Items of the checklist that are left open, each with the reason, which is recorded. For O(state=closed).
      - The items are C(root_cause), C(health), C(integrity), C(sessions), C(pools), C(monitoring), C(slow_queries) and
        C(corrective_actions).
    type: dict
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
      - Nothing is written.
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
  - module: oncall.postgresql.evidence
  - module: oncall.postgresql.procedure
  - module: oncall.postgresql.report
  - module: oncall.postgresql.triage
"""

EXAMPLES = r"""
- name: Say what was done by hand
  oncall.postgresql.incident:
    state: noted
    directory: /srv/incidents
    text: Called the hosting provider; the disk is being replaced

- name: Open an incident that no triage sees
  oncall.postgresql.incident:
    state: open
    directory: /srv/incidents
    code: slow_reports
    severity: warning
    text: The nightly reports take six hours
"""

RETURN = r"""
# Written by scripts/returns.py.
hosts:
  description: With O(state=closed), for each host with an open incident, how it went; else empty.
  returned: success
  type: dict
  sample: {}
msg:
  description: A line for the report, which names the post-mortems or says why nothing could be recorded;
    empty without an incident.
  returned: success
  type: str
  sample: 'Incident: /tmp/tmpwu7duca0/incidents/20261129T032458Z-shop-db-slow.md'
incidents:
  description: Those of the play's hosts that were written to or are open.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: When it was opened, its host, and the code of its verdict.
      type: str
    host:
      description: Its host.
      type: str
    code:
      description: The code of the verdict that opened it.
      type: str
    open:
      description: Whether it is still open.
      type: bool
  sample:
    - id: 20261129T032458Z-shop-db-slow
      host: shop-db
      code: slow
      open: true
"""
