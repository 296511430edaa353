#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Plan and judge a change of settings, batch by batch
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - The part of the playbook C(oncall.postgresql.tune) that looks at several hosts at once. It decides from what the
    tasks of that playbook have registered, and touches no host.
  - With O(state=planned), which hosts are changed, in which order and in which batches. A primary comes after its
    standbys where it gets more of C(max_connections) and its like, before them where it gets less.
  - With O(state=begun), which hosts of the batch are changed now; what they have is written down first.
  - With O(state=applied), which hosts of the batch could not be changed; then none of it is restarted.
  - With O(state=judged), which hosts of the batch are worse than before.
  - With O(state=back), how each host of the batch gets its former values back.
  - With O(state=ended), what became of each host.
  - What each host allows (a restart, its window) is a fact of that host, C(oncall_allowed).
  - Runs once for the whole play or batch, on the controller, without any connection.
options:
  state:
    description: Which step it is.
    type: str
    choices: [planned, begun, applied, judged, back, ended]
    required: true
  verb:
    description: The run's playbook, V(tune) or V(tune_restore).
    type: str
    required: true
  serial:
    description:
      - How many hosts a batch has, numbers or percentages, as a list or with commas. The last goes for all that follow.
    type: raw
    default: 1,10%,100%
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
    support: N/A
    details:
      - Nothing is changed.
  platform:
    support: full
    platforms: all
extends_documentation_fragment:
  - oncall.postgresql.attributes
seealso:
  - module: oncall.postgresql.settings
  - module: oncall.postgresql.snapshots
"""

EXAMPLES = r"""
- name: Decide which hosts are changed, and in which order
  oncall.postgresql.rollout:
    state: planned
    verb: tune
    serial: [1, 10%, 100%]
  register: oncall_planned
"""

RETURN = r"""
# Written by scripts/returns.py.
hosts:
  description: 'What becomes of each host, by its name: V(outcome) and V(why), V(rows) of settings, V(notes)
    for the report, V(failure) where the run is to fail for it.'
  returned: success
  type: dict
  sample:
    shop-db:
      go: true
      outcome: planned
      why: ''
      rows:
        - name: shared_buffers
          before: 16MB
          after: 24MB
          state: planned
          why: ''
      settings:
        shared_buffers: 24MB
        work_mem: 8MB
      asked:
        work_mem: 8MB
        shared_buffers: 24MB
      roles: {}
      undo:
        shared_buffers: null
        work_mem: null
      undo_roles: {}
      waiting:
        - shared_buffers
      down: false
      resumed: false
      after: []
      notes:
        - 'plan: 2 settings would be changed'
        - 'would wait for a restart: shared_buffers'
      failure: ''
order:
  description: 'With V(planned): the hosts that are changed, in this order.'
  returned: success
  type: list
  elements: str
  sample:
    - shop-db
batches:
  description: 'With V(planned): how many of them each batch has.'
  returned: success
  type: list
  elements: int
  sample:
    - 1
any:
  description: 'With V(begun): whether any host of the batch is changed.'
  returned: success
  type: bool
  sample: false
worse:
  description: 'With V(judged): why hosts are worse than before, by host.'
  returned: success
  type: dict
  sample: {}
back:
  description: 'With V(judged): how each host would get its former values back.'
  returned: success
  type: dict
  sample: {}
"""
