# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One prepared transaction: whose it is, whom it holds up, and how it is finished."""

from __future__ import annotations

from ..._gather.sql.activity import EDGES, WAITING
from ..._gather.sql.connections import SESSIONS
from ..._gather.sql.query import OLDEST, Query

PREPARED = Query(
    "prepared_transaction",
    {
        OLDEST: """
WITH {sessions},
{waiting},
{edges}
SELECT pg_is_in_recovery() AS in_recovery, x.gid, x.owner, x.database, x.prepared,
       round(greatest(extract(epoch FROM now() - x.prepared), 0)::numeric, 3) AS age_seconds,
       x.owner = current_user OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS ours,
       current_user AS us, x.database = current_database() AS here,
       (SELECT coalesce(json_agg(json_build_object('pid', s.pid, 'user', s.user_name, 'application', s.application,
                 'blocked_seconds', e.seconds, 'query', s.query) ORDER BY e.seconds DESC, s.pid), '[]')
          FROM edges e JOIN sessions s ON s.pid = e.blocked_pid WHERE e.gid = x.gid) AS blocks
  FROM (VALUES (1)) AS one (row)
  LEFT JOIN pg_prepared_xacts x ON x.gid = %(gid)s
""".replace("{sessions}", SESSIONS)
        .replace("{waiting}", WAITING)
        .replace("{edges}", EDGES)
    },
)
THERE = Query(
    "prepared_transaction_there",
    {OLDEST: "SELECT gid FROM pg_prepared_xacts WHERE gid = %(gid)s AND prepared = %(prepared)s::timestamptz"},
)
# As a statement of its own, in the transaction's database; its owner or a superuser may.
ROLL_BACK = Query("rollback_prepared", {OLDEST: "ROLLBACK PREPARED %(gid)s"}, alone=True)
COMMIT = Query("commit_prepared", {OLDEST: "COMMIT PREPARED %(gid)s"}, alone=True)
