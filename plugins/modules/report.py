#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Show and write the results of M(oncall.postgresql.triage)
version_added: 0.1.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - Prints, for every host of the play, the path through the questions with its answers, the evidence, the verdict, the
    command that fixes it and whom to notify; the fleet's summary stands at the end. The worst comes first in the
    summary and last among the hosts, next to it.
  - Writes the same as files, if O(report_dir) is given.
  - Hosts that could not be checked or reached are reported as such.
  - Runs once for the whole play, on the controller, without any connection.
options:
  variable:
    description: Name of the variable that the results of M(oncall.postgresql.triage) are registered in.
    type: str
    default: oncall_triage
  before:
    description:
      - Name of the variable that earlier results of M(oncall.postgresql.triage) are registered in.
      - The verdict that each host had then is shown above the one that it has now.
    type: str
  notes:
    description:
      - Name of the variable that holds what was done in between, a line of text or a list of them for each host.
      - A line may also be a dictionary with its C(text), and C(tells) where it says whom to tell.
      - They are shown as they are, and never as a template.
    type: str
  settings:
    description:
      - Name of the variable that holds, for each host, what became of its settings. It is a list of dictionaries with
        C(name), C(before) and C(after) (null where postgresql.auto.conf does not have the setting), C(state)
        (C(planned), C(tuned), C(restored), C(waits_for_restart), C(unchanged), C(left), C(put_back), C(skipped) or
        C(failed)) and C(why).
      - They are shown as a table. Hosts whose rows say the same stand together, and rows that are C(unchanged) are left
        out. The JSON file of a host has all of its rows, as C(settings).
      - The value of a setting that holds a secret, such as C(primary_conninfo), is masked.
    type: str
    version_added: 0.2.0
  hosts:
    description: The hosts to report on. When not given, all hosts of the play, the failed and unreachable ones too.
    type: list
    elements: str
  report_dir:
    description:
      - Directory on the controller, created if it does not exist.
      - One file C(<host>.json) for every host holds what M(oncall.postgresql.triage) returned. Characters of the host's
        name that are unsafe in a file's name are replaced, and eight hexadecimal digits are added then.
      - One page C(index.html) shows all hosts. It needs nothing else, holds no script and can be sent by mail.
      - Among more than six hosts, a healthy one without an incident to show is a single line there, linked to its file,
        and the 40 worst ones show all details. So the page stays below 1 MB for 200 hosts and below 3 MB for 1,000,
        without incidents; each incident of those 40 adds about 15 kB.
      - The files are replaced one by one, each of them at once. Files of other hosts stay.
      - If it cannot be written, the task fails after everything has been printed.
    type: path
  report_mode:
    description:
      - Mode of the files below O(report_dir). They hold names of roles, databases and hosts, and what clients ask.
      - A directory that is created can be listed and entered by whoever may read the files, so by default by its owner
        only. One that exists keeps its mode.
      - Choose V(0640) or V(0644) where a web server is to serve the page. Quote it in YAML.
    type: str
    choices: ["0600", "0640", "0644"]
    default: "0600"
    version_added: 0.2.0
  incident_dir:
    description:
      - Directory of the records that M(oncall.postgresql.incident) writes, on the controller.
      - The page of O(report_dir) shows each host's open incidents, and those that were closed within a day.
      - If it cannot be read, a line says so and the page comes without them.
    type: path
    version_added: 0.2.0
  evidence:
    description: A line on what was kept before a procedure acted, RV(oncall.postgresql.evidence#module:msg). It is
      shown last.
    type: str
    default: ""
    version_added: 0.2.0
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
      - The files are written in check mode too. They are an output that was asked for, not a change of the target.
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
  - module: oncall.postgresql.incident
  - module: oncall.postgresql.triage
"""

EXAMPLES = r"""
- name: Check every server
  oncall.postgresql.triage:
  register: oncall_triage

- name: Say what a procedure has changed
  oncall.postgresql.report:
    before: oncall_before

- name: Say what is wrong, and keep it for the morning
  oncall.postgresql.report:
    report_dir: /srv/reports/postgresql
"""

RETURN = r"""
# Written by scripts/returns.py.
summary:
  description: The fleet at a glance.
  returned: success
  type: dict
  contains:
    worst:
      description: The state of the host that is worst off; null without hosts.
      type: str
    counts:
      description: How many hosts are in each state.
      type: dict
    hosts:
      description: One entry for each host, worst first.
      type: list
      elements: dict
      contains:
        host:
          description: Its name in the inventory.
          type: str
        status:
          description: 'Its state: V(emergency), V(critical), V(unreachable), V(failed) (not checked),
            V(warning) or V(ok).'
          type: str
        code:
          description: The verdict's code; null where the host was not checked.
          type: str
        cause:
          description: The verdict's cause; null when there is none.
          type: str
        summary:
          description: The verdict in words, or why there is none.
          type: str
        before:
          description: The earlier verdict; null when there is none.
          type: dict
          contains:
            code:
              description: The earlier verdict's code.
              type: str
            cause:
              description: Its cause; null when it had none.
              type: str
            severity:
              description: Its severity.
              type: str
        notes:
          description: What was done in between.
          type: list
          elements: str
  sample:
    worst: ok
    counts:
      emergency: 0
      critical: 0
      unreachable: 0
      failed: 0
      warning: 0
      ok: 1
    hosts:
      - host: shop-db
        status: ok
        code: healthy
        cause: null
        summary: 'Healthy: all 7 checks passed'
        before: null
        notes: []
report:
  description: Path of the page; null without O(report_dir).
  returned: success
  type: str
  sample: /tmp/tmpwu7duca0/reports/index.html
"""
