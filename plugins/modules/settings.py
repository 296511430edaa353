#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: settings
short_description: Change settings of a PostgreSQL server by ALTER SYSTEM, and verify that they took effect
version_added: 0.2.0
description:
  - Sets or resets any number of parameters by C(ALTER SYSTEM), then reloads once, and reads each value back.
  - Values are compared by what they mean, in the parameter's own unit - C(256MB) is C(32768) pages of 8 kB. What the
    files say already, and the server has loaded, is not touched.
  - What needs a restart is written down and reported in RV(pending_restart). The server is never restarted.
  - When a value is not taken, the reload fails, or the run is interrupted, all former values of
    C(postgresql.auto.conf) are put back and loaded again.
  - Refused before anything is touched, with all reasons at once - names that the server does not know, values that it
    would not take, what the command line or C(ALTER ROLE ALL) sets otherwise, what cannot be set by C(ALTER SYSTEM),
    what would keep the server from starting again (a library or a certificate that is not there, too few connections),
    values that give data away (V(fsync=off), V(full_page_writes=off), V(zero_damaged_pages=on),
    V(ignore_checksum_failure=on)), and secrets, which the server would write into its log.
  - Also refused are changes while the configuration files contain errors, or hold changes by others that are not
    loaded yet; the reload would load them, too.
  - Needs SQL as a superuser; with PostgreSQL 15 and newer the rights that a refusal names will do, of which C(ALTER
    SYSTEM) on the parameters is one. It works with every O(runtime), and on standbys.
  - What roles or databases set for themselves goes on to count for their sessions; RV(settings[].hidden_by) names it.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.target
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
options:
  settings:
    description:
      - The parameters, by name. A value is a text with or without a unit, a number, a truth value or a list, as
        C(postgresql.conf) would have it. Null resets the parameter, as with O(state=absent).
      - RV(undo) of a former run can be given as it is.
      - Required with O(state=present).
    type: dict
  names:
    description:
      - The parameters that are taken out of C(postgresql.auto.conf). What C(postgresql.conf) says, or the default,
        counts again.
      - Required with O(state=absent).
    type: list
    elements: str
  state:
    description:
      - V(present) makes sure that the server uses the O(settings).
      - V(absent) makes sure that C(ALTER SYSTEM) has set none of O(names).
    type: str
    choices: [present, absent]
    default: present
  timeout_seconds:
    description: How long to wait for the server to have loaded them.
    type: float
    default: 10.0
seealso:
  - module: oncall.postgresql.configuration
  - module: oncall.postgresql.graceful_restart
"""

EXAMPLES = r"""
- name: Set what a small application needs
  oncall.postgresql.settings:
    project: shop
    settings:
      shared_buffers: 256MB
      work_mem: 8MB
      checkpoint_completion_target: 0.9
      idle_in_transaction_session_timeout: 60s
      shared_preload_libraries: [pg_stat_statements, auto_explain]
  register: tuned

- name: Undo it
  oncall.postgresql.settings:
    project: shop
    settings: "{{ tuned.undo }}"

- name: Let postgresql.conf decide again
  oncall.postgresql.settings:
    project: shop
    state: absent
    names: [work_mem]
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: The outcome in one line.
  returned: success
  type: str
  sample: '2 settings changed: shared_buffers 16MB -> 24MB, work_mem 8MB -> 64MB; waiting for a restart:
    shared_buffers'
settings:
  description: Setting by setting, in the order of their names.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    before:
      description: What the files, or the default, gave before, as SHOW prints it; a secret is masked.
      type: str
    before_source:
      description: 'Where that came from: a file and its line, V(default), V(command line), V(ALTER ROLE
        ALL).'
      type: str
    in_use:
      description: What the server used then.
      type: str
    after:
      description: What they give afterwards (in check mode, would).
      type: str
    after_source:
      description: Where that comes from.
      type: str
    changed:
      description: Whether it was changed (in check mode, would be).
      type: bool
    takes_effect:
      description: 'When a change counts: V(reload), V(new sessions) or V(restart).'
      type: str
    waits_for_restart:
      description: Whether the server runs with another value until it is restarted.
      type: bool
    hidden_by:
      description: Roles and databases that have a value of their own, with that value.
      type: list
      elements: str
  sample:
    - name: shared_buffers
      before: 16MB
      before_source: /tmp/oncall-pg-kuoi7s1k/data/postgresql.conf line 820
      in_use: 16MB
      after: 24MB
      after_source: /tmp/oncall-pg-kuoi7s1k/data/postgresql.auto.conf
      changed: true
      takes_effect: restart
      waits_for_restart: true
      hidden_by: []
pending_restart:
  description: Names of all settings of the server that wait for a restart.
  returned: success
  type: list
  elements: str
  sample:
    - shared_buffers
undo:
  description: 'What to give as O(settings) to undo it: each changed one with its former value in postgresql.auto.conf,
    null for none; what may be a secret is masked there and has to be filled in.'
  returned: success
  type: dict
  sample:
    shared_buffers: null
    work_mem: 8MB
load_time:
  description: When the server last loaded its configuration files; null when unknown.
  returned: success
  type: str
  sample: '2026-11-29T11:47:22.071767+00:00'
cluster:
  description: The cluster that it belongs to.
  returned: success
  type: dict
  contains:
    system_identifier:
      description: The same for a primary and its standbys; null without the right to read it.
      type: str
    in_recovery:
      description: Whether it is a standby.
      type: bool
    of_standbys:
      description: Those that a standby must have at least as high as its primary, as the server uses
        them now, by their names.
      type: dict
  sample:
    system_identifier: '7713558698727520920'
    in_recovery: false
    of_standbys:
      max_connections: 20
      max_locks_per_transaction: 64
      max_prepared_transactions: 2
      max_wal_senders: 10
      max_worker_processes: 8
problems:
  description: All that is wrong.
  returned: when the task was refused
  type: list
  elements: dict
  contains:
    name:
      description: The setting; null for what concerns all of them.
      type: str
    problem:
      description: What is wrong.
      type: str
    wins:
      description: Whether it is set where that counts for more than V(ALTER SYSTEM).
      type: bool
  sample:
    - name: work_memory
      problem: there is no such parameter. Did you mean work_mem?
      wins: false
grants:
  description: What a superuser would have to run; empty before PostgreSQL 15, where only a superuser
    can do it.
  returned: when the role lacks a right
  type: list
  elements: str
  sample:
    - GRANT pg_read_all_settings TO "shop"
    - GRANT SELECT ON pg_file_settings TO "shop"
    - GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO "shop"
put_back:
  description: Settings whose former value in postgresql.auto.conf was put back.
  returned: when it failed after something was changed
  type: list
  elements: str
  sample:
    - log_checkpoints
    - log_destination
not_put_back:
  description: Settings of which it could not be.
  returned: when it failed after something was changed
  type: list
  elements: str
  sample: []
refused:
  description: Whether the task was refused before anything was changed.
  returned: failure
  type: bool
  sample: true
sqlstate:
  description: PostgreSQL's SQLSTATE; null when the failure has none.
  returned: failure
  type: str
  sample: '22023'
"""

from ..module_utils._entry.changing import Changing
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._procedures.settings.run import OPTIONS, Settings

WORK = Changing(TARGET + OPTIONS, Settings())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
