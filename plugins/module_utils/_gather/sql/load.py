# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a busy server's time goes: statements, waits, tables. Statistics only, nothing of the data itself."""

from __future__ import annotations

from .query import OLDEST, Query

# The one that we are connected to comes first.
DATABASES = Query(
    "databases",
    {
        OLDEST: """
SELECT d.datname AS name, d.datname = current_database() AS here,
       d.datallowconn AND d.datconnlimit <> -2 AND has_database_privilege(d.oid, 'CONNECT') AS open
  FROM pg_database d
 WHERE d.datname <> 'template0'
 ORDER BY here DESC, name"""
    },
)

# Its own settings are known only where the library was loaded as the server started. What is called is the extension's
# own: somebody may have put another one of that name into its schema.
STATE = Query(
    "pg_stat_statements (is it there)",
    {
        OLDEST: """
WITH own AS (
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
   WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_stat_statements'
)
SELECT e.extversion AS version, n.nspname AS schema, session_user AS role,
       EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = 'pg_stat_statements') AS available,
       EXISTS (SELECT FROM pg_settings s WHERE s.name = 'pg_stat_statements.max') AS loaded,
       has_schema_privilege(n.oid, 'USAGE')
         AND coalesce((SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE'))
                         FROM own o JOIN pg_proc p ON p.oid = o.objid AND o.classid = 'pg_proc'::regclass
                        WHERE p.proname IN ('pg_stat_statements', 'pg_stat_statements_info')), false)
         AND coalesce((SELECT bool_and(has_table_privilege(c.oid, 'SELECT'))
                         FROM own o JOIN pg_class c ON c.oid = o.objid AND o.classid = 'pg_class'::regclass
                        WHERE c.relname IN ('pg_stat_statements', 'pg_stat_statements_info')), false) AS readable,
       EXISTS (SELECT FROM own o JOIN pg_class c ON c.oid = o.objid AND o.classid = 'pg_class'::regclass
                WHERE c.relname = 'pg_stat_statements_info') AS has_info,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all
  FROM (VALUES (1)) always (there)
  LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements'
  LEFT JOIN pg_namespace n ON n.oid = e.extnamespace"""
    },
)

# By the names of the columns that are there: they are those of the extension's version, which may be older than the
# server's (after pg_upgrade). total_time is of 1.7 and older, blk_read_time of 1.10 and older (PostgreSQL 16).
TOP = Query(
    "pg_stat_statements",
    {
        OLDEST: """
WITH counted AS MATERIALIZED (
  SELECT to_jsonb(s) AS s FROM %(schema)s.pg_stat_statements s
), entries AS (
  SELECT s ->> 'queryid' AS query_id, (s ->> 'userid')::oid AS userid, (s ->> 'dbid')::oid AS dbid,
         s ->> 'query' AS query, (s ->> 'toplevel')::bool AS toplevel, (s ->> 'calls')::int8 AS calls,
         (s ->> 'rows')::int8 AS rows, coalesce(s ->> 'total_exec_time', s ->> 'total_time')::float8 AS total_ms,
         coalesce(s ->> 'mean_exec_time', s ->> 'mean_time')::float8 AS mean_ms,
         coalesce(s ->> 'stddev_exec_time', s ->> 'stddev_time')::float8 AS stddev_ms,
         coalesce(s ->> 'max_exec_time', s ->> 'max_time')::float8 AS max_ms,
         (s ->> 'shared_blks_hit')::int8 AS hit, (s ->> 'shared_blks_read')::int8 AS read,
         (s ->> 'temp_blks_written')::int8 AS temp_blocks,
         coalesce(s ->> 'shared_blk_read_time', s ->> 'blk_read_time')::float8 AS read_ms, s ->> 'stats_since' AS since
    FROM counted
), ranked AS (
  SELECT e.*, row_number() OVER (ORDER BY mean_ms DESC, total_ms DESC, query_id) AS mean_rank,
         row_number() OVER (ORDER BY total_ms DESC, mean_ms DESC, query_id) AS total_rank,
         sum(total_ms) OVER () AS all_ms, count(*) OVER () AS entries
    FROM entries e WHERE calls > 0 -- planned only
)
SELECT q.query_id, q.query, r.rolname AS user, d.datname AS database, q.toplevel, q.calls, q.rows,
       round(q.total_ms::numeric, 3) AS total_ms, round(q.mean_ms::numeric, 3) AS mean_ms,
       round(q.stddev_ms::numeric, 3) AS stddev_ms, round(q.max_ms::numeric, 3) AS max_ms,
       round((100 * q.total_ms / nullif(q.all_ms, 0))::numeric, 1) AS share_percent,
       round(100.0 * q.hit / nullif(q.hit + q.read, 0), 1) AS cache_hit_percent, q.temp_blocks,
       CASE WHEN current_setting('track_io_timing')::bool THEN round(q.read_ms::numeric, 3) END AS read_ms, q.since,
       q.mean_rank, q.total_rank, q.all_ms, q.entries
  FROM ranked q
  LEFT JOIN pg_roles r ON r.oid = q.userid
  LEFT JOIN pg_database d ON d.oid = q.dbid
 WHERE q.mean_rank <= %(top)s OR q.total_rank <= %(top)s"""
    },
)

INFO = Query(
    "pg_stat_statements_info",
    {OLDEST: "SELECT i.stats_reset AS since, i.dealloc AS evicted FROM %(schema)s.pg_stat_statements_info i"},
)

# A row without backend_type is one that the role may not see.
ACTIVE = Query(
    "active sessions",
    {
        OLDEST: """
SELECT CASE WHEN a.wait_event_type IS NULL THEN 'cpu' WHEN a.wait_event_type = 'IO' THEN 'io'
            WHEN a.wait_event_type IN ('LWLock', 'BufferPin', 'Buffer') THEN 'lwlock'
            WHEN a.wait_event_type = 'Lock' THEN 'lock' WHEN a.wait_event_type = 'Client' THEN 'client'
            ELSE 'other' END AS wait_class,
       a.wait_event AS event, a.backend_type IS NULL AS hidden, count(*) AS sessions
  FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid() AND a.application_name IS DISTINCT FROM 'oncall'
   AND (a.backend_type IS NULL
        OR a.state = 'active' AND a.backend_type IN ('client backend', 'parallel worker'))
 GROUP BY 1, 2, 3
 ORDER BY 4 DESC, 1, 2"""
    },
)

# A size asks for a lock: of what somebody else has locked, none is asked.
TABLES = Query(
    "tables",
    {
        OLDEST: """
WITH locked AS MATERIALIZED (
  SELECT relation FROM pg_locks
   WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), tables AS MATERIALIZED (
  SELECT relid, format('%%I.%%I', schemaname, relname) AS name, seq_scan, seq_tup_read,
         coalesce(idx_scan, 0) AS idx_scan, n_live_tup, n_dead_tup,
         greatest(last_vacuum, last_autovacuum) AS last_vacuum, last_autovacuum,
         greatest(last_analyze, last_autoanalyze) AS last_analyze, last_autoanalyze
    FROM pg_stat_user_tables
), large AS (
  SELECT t.*, pg_table_size(t.relid) AS bytes
    FROM (SELECT * FROM tables WHERE seq_tup_read > 0 AND relid NOT IN (SELECT relation FROM locked)
           ORDER BY seq_tup_read DESC, name LIMIT 20 * %(top)s) t
)
SELECT current_database() AS name,
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS since,
       (SELECT coalesce(json_agg(json_build_object(
                 'name', name, 'bytes', bytes, 'seq_scans', seq_scan, 'seq_rows_read', seq_tup_read,
                 'rows_per_seq_scan', round(seq_tup_read::numeric / greatest(seq_scan, 1), 1), 'index_scans', idx_scan,
                 'seq_percent', round(100.0 * seq_scan / greatest(seq_scan + idx_scan, 1), 1))
                 ORDER BY seq_tup_read DESC, name), '[]')
          FROM (SELECT * FROM large WHERE bytes >= %(least_bytes)s ORDER BY seq_tup_read DESC, name LIMIT %(top)s) l
       ) AS scanned,
       (SELECT coalesce(json_agg(json_build_object(
                 'name', name, 'live_rows', n_live_tup, 'dead_rows', n_dead_tup,
                 'dead_percent', round(100.0 * n_dead_tup / (n_live_tup + n_dead_tup), 1),
                 'last_vacuum', last_vacuum, 'last_autovacuum', last_autovacuum,
                 'last_analyze', last_analyze, 'last_autoanalyze', last_autoanalyze)
                 ORDER BY n_dead_tup DESC, name), '[]')
          FROM (SELECT * FROM tables WHERE n_dead_tup > 0 ORDER BY n_dead_tup DESC, name LIMIT %(top)s) d
       ) AS dead"""
    },
)
