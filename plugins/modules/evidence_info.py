#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: evidence_info
short_description: Everything to keep of a PostgreSQL server before anything is changed
version_added: 0.2.0
description:
  - Reads what a restart or a reset would destroy - all sessions, all locks, settings that are not at their defaults,
    the last lines of the server's and its clients' logs with those of the run before, and what the engine says of their
    containers.
  - The playbooks that act put it into the archive of M(oncall.postgresql.evidence), right before they do.
  - It changes nothing. It takes one connection, never waits behind a lock, and ends within O(deadline_seconds). Of a
    server that is down or has no slot left it reads what is left, and says the rest in RV(not_covered).
  - Secrets are masked - passwords, tokens and keys of the containers' environments and of files that these name,
    wherever they stand, what looks like one, and every value in a statement. Of the environment only names are
    returned, and of labels those of Compose. In doubt too much is masked.
  - Of each container's log the last 1,000 lines, of all logs together 2 million characters at most. A container has
    one log for all of its runs; one that was removed left none.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.attributes.info
  - oncall.postgresql.target
options:
  compact:
    description: Return it as one compressed text, RV(evidence_packed), instead of RV(evidence).
    type: bool
    default: false
seealso:
  - module: oncall.postgresql.evidence
  - module: oncall.postgresql.triage
"""

EXAMPLES = r"""
- name: Read what a restart would destroy
  oncall.postgresql.evidence_info:
    project: shop
    clients:
      - service: api
  register: before
"""

RETURN = r"""
# Written by scripts/returns.py.
target:
  description: The server that was looked at.
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
evidence:
  description: What was read, every text masked; null with O(compact=true).
  returned: success
  type: dict
  contains:
    sessions:
      description: All but ours, the busy ones first; null when SQL did not get through.
      type: list
      elements: dict
      contains:
        pid:
          description: Its process.
          type: int
        backend_type:
          description: What it is; null without the right to see it.
          type: str
        user:
          description: Its role; null where it has none.
          type: str
        database:
          description: Its database; null where it has none.
          type: str
        application:
          description: Its application_name.
          type: str
        client:
          description: Address and port that it comes from; null for a socket.
          type: str
        state:
          description: As in pg_stat_activity; null without the right to see it.
          type: str
        wait_event:
          description: 'What it waits for, V(type: event); null when it does not.'
          type: str
        backend_start:
          description: When it began; null without the right to see it.
          type: str
        xact_start:
          description: When its transaction began; null when none is open.
          type: str
        query_start:
          description: When its query began; null when it has run none.
          type: str
        state_change:
          description: Since when it is in this state; null without the right to see it.
          type: str
        backend_xid:
          description: Its transaction's number; null when it has none.
          type: str
        backend_xmin:
          description: How far it holds vacuum back; null when it does not.
          type: str
        query:
          description: Its query, without values unless told otherwise; null without the right to see
            it.
          type: str
    locks:
      description: All but ours, those waited for first; null when SQL did not get through.
      type: list
      elements: dict
      contains:
        pid:
          description: Who holds it or waits for it; null for a prepared transaction.
          type: int
        granted:
          description: Whether it is held.
          type: bool
        mode:
          description: Its mode.
          type: str
        locktype:
          description: What kind of thing is locked.
          type: str
        database:
          description: In which database; null when in none.
          type: str
        relation:
          description: The table or index; its number where it is in another database; null when it is
            none.
          type: str
        transaction:
          description: The transaction, if that is what is locked; null when it is not.
          type: str
        holder:
          description: The virtual number of the transaction that holds it; null when there is none.
          type: str
        since:
          description: Since when it is waited for; null when it is not, and before PostgreSQL 14.
          type: str
    settings:
      description: What is not at its default; null when SQL did not get through.
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
        value:
          description: Its value, with the unit; masked where it may be a secret; null when unknown.
          type: str
        source:
          description: Where it comes from.
          type: str
        pending_restart:
          description: Whether the file has another value, which takes a restart.
          type: bool
    logs:
      description: The last lines of the server's and its clients' logs.
      type: list
      elements: dict
      contains:
        name:
          description: The container, or the file.
          type: str
        run:
          description: 'V(last), or V(before): of the container''s run before that; V(file) of a file,
            which may hold several.'
          type: str
        cut:
          description: Whether there is more of it, which is older.
          type: bool
        text:
          description: The lines, masked.
          type: str
    containers:
      description: The server's and its clients' containers.
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
        inspect:
          description: As V(docker inspect) has it, without values of the environment and of foreign labels.
          type: dict
  sample:
    sessions:
      - pid: 10729
        backend_type: client backend
        user: shop
        database: shop
        application: shop-api
        client: 127.0.0.1:60842
        state: idle in transaction
        wait_event: 'Client: ClientRead'
        backend_start: '2026-11-29T06:34:56.593686+00:00'
        xact_start: '2026-11-29T06:34:56.623366+00:00'
        query_start: '2026-11-29T06:34:56.623516+00:00'
        state_change: '2026-11-29T06:34:56.62411+00:00'
        backend_xid: null
        backend_xmin: null
        query: SELECT * FROM prices WHERE article = ?
    locks:
      - pid: 10729
        granted: true
        mode: AccessShareLock
        locktype: relation
        database: shop
        relation: '16386'
        transaction: null
        holder: 3/8
        since: null
    settings:
      - name: DateStyle
        value: ISO, MDY
        source: configuration file
        pending_restart: false
    logs:
      - name: /tmp/oncall-pg-znwjbtgl/server.log
        run: file
        cut: false
        text: '2026-11-29 06:34:56.353 UTC [10701] 00000 LOG:  starting PostgreSQL 15.18 (Debian 15.18-0+deb12u1)
          on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14+deb12u1) 12.2.0, 64-bit'
    containers: []
evidence_packed:
  description: With O(compact=true), the same as JSON, compressed by gzip, in base64; null otherwise.
  returned: success
  type: str
  sample: null
not_covered:
  description: What was not read, and why.
  returned: success
  type: list
  elements: str
  sample:
    - 'log of shop: it is no container that can be seen from here'
elapsed_ms:
  description: Milliseconds that each step took, and the total.
  returned: success
  type: dict
  sample:
    sql: 137.5
    logs: 179.2
    total: 230.8
"""

from ..module_utils._entry.evidence import Evidence
from ..module_utils._entry.module import run
from ..module_utils._entry.options import EVIDENCE

WORK = Evidence(EVIDENCE)


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
