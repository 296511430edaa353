#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence
short_description: Keep what triage saw before a procedure acts
version_added: 0.2.0
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
description:
  - The last task before any playbook of this collection acts. It writes what M(oncall.postgresql.triage) returned, as
    registered in C(oncall_triage), on the controller.
  - Without O(report_dir), one file C(~/.oncall/reports/<host>-<time>.json) for every host that is about to be acted on,
    with mode 0600 in a directory of mode 0700. The time is in UTC. Characters of the host's name that are unsafe in a
    file's name are replaced. In check mode, and where nothing is going to be done, nothing is written.
  - These files are never overwritten or deleted. One is some 10 to 100 KiB; delete old ones as you see fit.
  - A directory that cannot be written stops no recovery. RV(msg) says so, and the run goes on.
  - Runs once for the whole play, on the controller, without any connection.
options:
  report_dir:
    description:
      - Write the results of all hosts of the play, and a page of them, to the directory C(before) below this one
        instead, as M(oncall.postgresql.report) does. In check mode, too.
    type: path
  incident_dir:
    description:
      - The directory of the incidents' records (M(oncall.postgresql.incident)). For every host that is about to be
        acted on, an archive C(<host>-<time>.tar.gz) of mode 0600 is written there, and named in its open incidents.
      - It holds what triage has read and what M(oncall.postgresql.evidence_info) has read besides, as registered in
        C(oncall_kept), secrets masked, below 5 MB. C(CONTENTS.txt) in it says what is not included.
    type: path
    version_added: 0.2.0
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
  - module: oncall.postgresql.procedure
  - module: oncall.postgresql.report
"""

EXAMPLES = r"""
- name: Keep the evidence
  oncall.postgresql.evidence:
  register: oncall_evidence
"""

RETURN = r"""
# Written by scripts/returns.py.
msg:
  description: A line for the report; empty when there was nothing to save.
  returned: success
  type: str
  sample: 'State before acting: /tmp/tmpwu7duca0/home/.oncall/reports/shop-db-20261129T032458.851Z.json'
path:
  description: The file; of several hosts, the pattern that matches all of their files; with O(report_dir),
    the page; null when nothing was written.
  returned: success
  type: str
  sample: /tmp/tmpwu7duca0/home/.oncall/reports/shop-db-20261129T032458.851Z.json
"""
