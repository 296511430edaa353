#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: soak
short_description: Watch a PostgreSQL server after a change, until it is worse than before
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - Takes a sample by M(oncall.postgresql.pressure_info) every O(interval_seconds), for O(minutes), and compares with
    O(before). It ends as soon as the server is worse.
  - Worse is memory above 90 % of what the server may use (unless it was before), swap space that has grown by more than
    64 MiB and 10 %, a process that the kernel killed for want of memory, a PANIC, want of memory, a process that
    could not be started or a full disk in the log, more than one error a second in each of three samples in a row and
    ten times as many as before, five new connections that took more than 250 ms and ten times as long as before
    (their median), three in a row that got no answer, and a restart meanwhile, whoever it was.
  - One burst of errors or one slow answer is not. What cannot be read, such as a log, is in RV(not_covered), and is
    neither better nor worse.
  - Errors that are logged between O(before) and the first sample do not count, unless they are of the grave kinds.
    Sessions that ended with a restart are among them.
  - What is worse fails nothing; RV(worse) says it. The task fails where no sample at all could be taken, or not the
    first one when there is no O(before).
  - How far it is stands on the screen, on standard error. In check mode nothing is waited for.
  - Takes all options of the target, too.
options:
  minutes:
    description: For how long the server is watched. With V(0) one sample is taken.
    type: float
    required: true
  interval_seconds:
    description: The time between two samples; 1 at least.
    type: float
    default: 10
  before:
    description:
      - What M(oncall.postgresql.pressure_info) returned before the change.
      - Without it, the first sample is what the others are compared with.
    type: dict
attributes:
  action:
    description: There is an action plugin of the same name; it waits on the controller.
    support: full
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details:
      - Nothing is changed.
  platform:
    support: full
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.target
seealso:
  - module: oncall.postgresql.pressure_info
"""

EXAMPLES = r"""
- name: See how it is before
  oncall.postgresql.pressure_info:
    project: shop
  register: before

- name: Change something
  oncall.postgresql.settings:
    project: shop
    settings:
      work_mem: 64MB

- name: Watch it for ten minutes
  oncall.postgresql.soak:
    project: shop
    before: "{{ before }}"
    minutes: 10
  register: soaked
  failed_when: soaked.worse | length > 0
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: The outcome in one line.
  returned: success
  type: str
  sample: No worse than before (6 samples in 6.1 s)
worse:
  description: Why the server is worse than before, a line each; empty when it is not.
  returned: success
  type: list
  elements: str
  sample: []
samples:
  description: What was seen; null in check mode.
  returned: success
  type: dict
  contains:
    count:
      description: How many were taken after the change.
      type: int
    failed_probes:
      description: In how many of them the server did not answer.
      type: int
    memory_percent_before:
      description: Memory in use before, in percent of what it may use; null when unknown.
      type: float
    memory_percent_most:
      description: The most that it was; null when unknown.
      type: float
    swap_bytes_before:
      description: Swap space in use before; null when unknown.
      type: int
    swap_bytes_most:
      description: The most that it was; null when unknown.
      type: int
    probe_ms_before:
      description: How long a new connection took before; null when unknown.
      type: float
    probe_ms_median:
      description: The median of those after it; null when unknown.
      type: float
    connections_before:
      description: Client connections before; null when unknown.
      type: int
    connections_most:
      description: The most that they were; null when unknown.
      type: int
    errors:
      description: Messages of severity PANIC, FATAL or ERROR; null when unknown.
      type: int
  sample:
    count: 6
    failed_probes: 0
    memory_percent_before: 5.4
    memory_percent_most: 5.8
    swap_bytes_before: 0
    swap_bytes_most: 0
    probe_ms_before: 84.2
    probe_ms_median: 116.7
    connections_before: 1
    connections_most: 1
    errors: 0
not_covered:
  description: What no sample could read, each with the reason; empty when nothing is missing.
  returned: success
  type: list
  elements: str
  sample: []
seconds:
  description: How long it was watched.
  returned: success
  type: float
  sample: 6.1
"""
