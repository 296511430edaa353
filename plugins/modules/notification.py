#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: notification
short_description: Tell who is to be told of an incident or a change
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - Finds, from the record of M(oncall.postgresql.incident) and the variable C(oncall_notify), which messages are due
    by the runbook's clock, sends them by mail or HTTP, and keeps in the record what was queued, sent or failed. So
    nobody is told twice, and what failed is sent by the next run.
  - All channels are told side by side, in 10 seconds at most, whatever is down.
  - What cannot be sent or kept stops no recovery. A warning says so, and the run goes on.
  - Runs once for the whole play, on the controller, without any connection.
options:
  state:
    description:
      - V(told) sends what is due for the hosts of the play.
      - V(silenced) silences the hosts of the batch in the Alertmanagers of C(oncall_notify).
      - V(lifted) ends those silences.
      - V(changed) tells the channels of type C(pagerduty) and C(webhook) that the settings of the batch are changed, in
        the schema of PagerDuty's Change Events. Each distinct channel gets one event, for all hosts that have it and on
        which O(variable) has a change. Nobody is woken by it, and one that cannot be sent is not sent again.
    type: str
    choices: [told, silenced, lifted, changed]
    required: true
  directory:
    description: The directory of the record. Required with O(state=told).
    type: path
  silences:
    description: With O(state=lifted), the RV(silences) that V(silenced) returned.
    type: list
    elements: dict
    default: []
  tries:
    description: With O(state=told), a channel that so many deliveries of this run have failed on is left to the next.
    type: int
    default: 3
  verb:
    description: With O(state=silenced) and O(state=changed), the playbook that is the reason.
    type: str
    default: ''
  minutes:
    description:
      - With O(state=silenced), after how many minutes the silence ends by itself.
      - When not given, after the C(silence_minutes) of the channel.
    type: int
  variable:
    description:
      - With O(state=changed), the name of the variable that holds the settings of each host, as
        O(oncall.postgresql.report#module:settings) describes it. Required then.
    type: str
  phase:
    description:
      - With O(state=changed), whether it is about to be done, was done, or was done and taken back. Required then.
    type: str
    choices: [begun, ended, rolled_back]
  links:
    description: With O(state=changed), where more is to be read.
    type: list
    elements: dict
    default: []
    suboptions:
      href:
        description: The address.
        type: str
        required: true
      text:
        description: What is there.
        type: str
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
      - Nobody is told.
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
  - module: oncall.postgresql.report
"""

EXAMPLES = r"""
- name: Tell who is to be told
  oncall.postgresql.notification:
    state: told
    directory: /srv/incidents

- name: Tell that a batch is tuned
  oncall.postgresql.notification:
    state: changed
    verb: tune
    phase: begun
    variable: oncall_settings

- name: Silence its alerts, for the hour that it is watched
  oncall.postgresql.notification:
    state: silenced
    verb: tune
    minutes: 75
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: What could not be sent or kept, one line each; empty when all went well.
  returned: success
  type: str
  sample: ''
silences:
  description: With O(state=silenced), what to hand to O(state=lifted); else empty.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: A silenced host that has the channel.
      type: str
    channel:
      description: The channel's name in C(oncall_notify).
      type: str
    id:
      description: What Alertmanager calls it.
      type: str
  sample: []
"""
