#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: configuration
short_description: Reload PostgreSQL's configuration files if they contain no errors, and verify it
version_added: 0.1.0
description:
  - Has the server load C(postgresql.conf), C(pg_hba.conf), C(pg_ident.conf) and what they include.
  - Refuses, with nothing changed, while C(pg_file_settings) or C(pg_hba_file_rules) shows an error, and names file,
    line and text.
  - Does nothing when nothing has changed - no setting differs from the one that is loaded, and no file was
    changed since they were loaded.
  - Proves the reload by C(pg_conf_load_time), and says which settings changed and which wait for a restart.
  - Needs SQL as a superuser, and nothing else; it works with every O(runtime).
  - Settings that the login role, its database or its session sets for itself are not among RV(changed_settings), since
    what the files say about them cannot be seen. A changed file is loaded all the same.
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
  state:
    description: V(reloaded) makes sure that the server uses what its files say.
    type: str
    choices: [reloaded]
    default: reloaded
  force:
    description: Reload even when the files show no change, such as after a password file was changed.
    type: bool
    default: false
  timeout_seconds:
    description: How long to wait for the server to have loaded them.
    type: float
    default: 10
seealso:
  - module: oncall.postgresql.readiness_info
  - module: oncall.postgresql.server
"""

EXAMPLES = r"""
- name: Use what the files say
  oncall.postgresql.configuration:
    project: shop

- name: Reload a server that only SQL reaches
  oncall.postgresql.configuration:
    runtime: remote
    login_host: db.example.com
    login_user: postgres
    login_password: "{{ vault_postgres_password }}"
    force: true
"""

RETURN = r"""
# Written by scripts/returns.py.
load_time:
  description: When the server last loaded its configuration files; null when unknown.
  returned: always, unless the task was refused
  type: str
  sample: '2026-11-28T16:40:07.04377+00:00'
changed_files:
  description: Files that were changed since they had been loaded.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample:
    - /tmp/oncall-pg-vgynaicv/data/postgresql.conf
changed_settings:
  description: Settings that took effect (in check mode, would), as far as this session can see them.
  returned: always, unless the task was refused
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    before:
      description: The value that was loaded, in the setting's own unit.
      type: str
    after:
      description: The value in the file.
      type: str
  sample:
    - name: work_mem
      before: 65536kB
      after: 32MB
pending_restart:
  description: Names of the settings that wait for a restart.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample:
    - max_connections
not_applied:
  description: Changed settings that the server does not use after all; the task fails when there are
    any.
  returned: always, unless the task was refused
  type: list
  elements: str
  sample: []
configuration_errors:
  description: Errors in the files, each with its file and line.
  returned: when the task was refused
  type: list
  elements: str
  sample:
    - '/tmp/oncall-pg-vgynaicv/data/postgresql.conf line 831: work_mem: setting could not be applied'
refused:
  description: Whether the task was refused before anything was changed.
  returned: failure
  type: bool
  sample: true
sqlstate:
  description: PostgreSQL's SQLSTATE; null when the failure has none.
  returned: failure
  type: str
  sample: null
"""

from ..module_utils._entry.changing import Changing
from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._procedures.configuration.run import OPTIONS, Reload

WORK = Changing(TARGET + OPTIONS, Reload())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
