#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: snapshots
short_description: The former settings of a host that rollouts have kept
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - Lists what C(oncall.postgresql.tune) and C(oncall.postgresql.tune_restore) have kept on the controller before they
    changed the host, the oldest first.
options:
  directory:
    description: Where it is kept.
    type: path
    default: ~/.oncall/rollouts
  snapshot:
    description: The one that is wanted, by its time as it is listed, or V(latest).
    type: str
attributes:
  action:
    description: There is an action plugin of the same name, and it does all the work, on the controller.
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
  - module: oncall.postgresql.rollout
"""

EXAMPLES = r"""
- name: What did this host have before the last rollout?
  oncall.postgresql.snapshots:
    snapshot: latest
  register: kept
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: All of the lines.
  returned: success
  type: str
  sample: '20261129T114712.913Z: before tune, came to no end: shared_buffers 16MB -> 24MB, work_mem 4MB
    -> 8MB'
lines:
  description: 'One for each that is kept: its time, what it was made before, how that ended, what was
    changed.'
  returned: success
  type: list
  elements: str
  sample:
    - '20261129T114712.913Z: before tune, came to no end: shared_buffers 16MB -> 24MB, work_mem 4MB ->
      8MB'
wanted:
  description: 'Of the one that was asked for: V(settings) and V(roles) to be put back; empty without.'
  returned: success
  type: dict
  sample:
    settings:
      shared_buffers: null
      work_mem: null
    roles: {}
    system_identifier: '7713558653896780205'
    at: 20261129T114712.913Z
"""
