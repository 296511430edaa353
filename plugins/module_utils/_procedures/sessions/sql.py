# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at sessions that may have to go, and signalling them: all at once, each checked again as it is signalled.

The lists ``pids``, ``starts``, ``changes``, ``queries`` and ``named`` are parallel: backend_start, then state_change
and query_start, which count only where they are given; ``named`` is "t" where its pid was asked for.
"""

from __future__ import annotations

from ..._gather.sql.activity import EDGES, WAITING
from ..._gather.sql.connections import MAY_SIGNAL, SESSIONS, SYNC
from ..._gather.sql.query import OLDEST, Query

# What must not be cut short by the way. A backup by functions (pg_backup_start) is held open by its session, which is
# idle meanwhile: no view shows it, but its last query does.
_PROGRESS = """progress AS MATERIALIZED (
  SELECT pid, 'VACUUM' AS task FROM pg_stat_progress_vacuum
  UNION ALL SELECT pid, coalesce(command, 'CREATE INDEX') FROM pg_stat_progress_create_index
  UNION ALL SELECT pid, coalesce(command, 'CLUSTER') FROM pg_stat_progress_cluster
  UNION ALL SELECT pid, 'a base backup' FROM pg_stat_progress_basebackup)"""
_TASK = """coalesce((SELECT min(p.task) FROM progress p WHERE p.pid = a.pid),
          CASE WHEN a.query ~* '\\mpg_(backup_start|start_backup)\\s*[(]' THEN 'a base backup' END)"""
_SECONDS = "round(greatest(extract(epoch FROM now() - %s), 0)::numeric, 3)"

_ROWS = """(
  SELECT coalesce(json_agg(r ORDER BY r.pid), '[]')
    FROM (SELECT a.pid, a.backend_start, a.backend_type, a.usename AS "user", a.datname AS database,
                 coalesce(a.application_name, '') AS application, host(a.client_addr) AS client_address,
                 a.state, a.state_change, a.query_start, a.wait_event_type, a.wait_event,
                 {state_change} AS state_seconds, {xact_start} AS transaction_seconds,
                 CASE WHEN a.state = 'active' THEN {query_start} END AS query_seconds,
                 coalesce(o.rolsuper, false) AS superuser,
                 coalesce(o.rolreplication AND NOT o.rolsuper, false) AS replication,
                 a.pid = pg_backend_pid() OR coalesce(a.application_name, '') = 'oncall' AS own,
                 {may_signal} AS may_signal,
                 {sync} AS sync, {task} AS task,
                 left(nullif(a.query, '<insufficient privilege>'), 4000) AS query
            FROM pg_stat_activity a
            LEFT JOIN pg_roles o ON o.oid = a.usesysid) r)""".replace("{sync}", SYNC).replace("{task}", _TASK)
_ROWS = _ROWS.replace("{may_signal}", MAY_SIGNAL)
for _name in ("state_change", "xact_start", "query_start"):
    _ROWS = _ROWS.replace("{%s}" % _name, _SECONDS % ("a." + _name))

# Someone who waits for autovacuum's sake alone is no victim, as in activity.ACTIVITY.
_EDGES = """(
  SELECT coalesce(json_agg(json_build_object('blocked_pid', e.blocked_pid, 'blocking_pid', e.blocking_pid,
           'blocking_gid', e.gid, 'blocked_seconds', e.seconds, 'relation', null, 'lock_type', e.locktype,
           'lock_mode', e.mode)), '[]')
    FROM edges e WHERE e.is_client OR e.blocked_pid IN (SELECT blocking_pid FROM edges))"""

_LOOK = """WITH {with}
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) AS usable,
       (SELECT coalesce(json_object_agg(rolname, rolconnlimit), '{}') FROM pg_roles WHERE rolconnlimit >= 0)
         AS role_limits,
       (SELECT coalesce(json_object_agg(datname, datconnlimit), '{}') FROM pg_database WHERE datconnlimit >= 0)
         AS database_limits,
       (SELECT json_agg(rolname) FROM pg_roles) AS roles,
       (SELECT json_agg(datname) FROM pg_database) AS databases,
       {rows} AS rows,
       {edges} AS edges
""".replace("{rows}", _ROWS)

LOOK = Query("sessions", {OLDEST: _LOOK.replace("{with}", _PROGRESS).replace("{edges}", "'[]'::json")})
LOOK_BLOCKING = Query(
    "sessions_blocking",
    {OLDEST: _LOOK.replace("{with}", ",\n".join((_PROGRESS, SESSIONS, WAITING, EDGES))).replace("{edges}", _EDGES)},
)

_WANTED = """
WITH wanted AS MATERIALIZED (
  SELECT * FROM unnest(CAST(%(pids)s AS int[]), CAST(%(starts)s AS timestamptz[]), CAST(%(changes)s AS timestamptz[]),
                       CAST(%(queries)s AS timestamptz[]), CAST(%(named)s AS bool[]))
    AS w (pid, backend_start, state_change, query_start, named)
), {progress}, there AS MATERIALIZED (
  SELECT a.pid, coalesce({sync}, CASE WHEN NOT w.named AND {task} IS NOT NULL THEN 'task' END) AS spared
    FROM wanted w
    JOIN pg_stat_activity a ON a.pid = w.pid AND a.backend_start = w.backend_start
     AND (w.state_change IS NULL OR a.state_change = w.state_change)
     AND (w.query_start IS NULL OR (a.query_start = w.query_start{working}))
   WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
)
"""
_WORKING = " AND a.state IN ('active', 'fastpath function call')"
_WANTED = _WANTED.replace("{progress}", _PROGRESS).replace("{sync}", SYNC).replace("{task}", _TASK)
_SIGNAL = _WANTED + "SELECT pid, spared, CASE WHEN spared IS NULL THEN {signal}(pid) ELSE false END AS sent FROM there"


def _signal(function: str, working: str) -> Query:
    return Query(
        "sessions_" + function,
        {OLDEST: _SIGNAL.replace("{signal}", "pg_%s_backend" % function).replace("{working}", working)},
    )


THERE = Query("sessions_there", {OLDEST: _WANTED.replace("{working}", _WORKING) + "SELECT pid FROM there"})
CANCEL = _signal("cancel", _WORKING)
TERMINATE = _signal("terminate", "")  # one whose query has ended meanwhile, too, if it has begun no other
