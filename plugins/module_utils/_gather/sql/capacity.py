# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tuning has to know of a server: its settings, the size of its databases, how much WAL it writes."""

from __future__ import annotations

from .query import OLDEST, Query

NAMES = (
    "autovacuum_max_workers",
    "autovacuum_work_mem",
    "checkpoint_completion_target",
    "checkpoint_timeout",
    "default_statistics_target",
    "dynamic_shared_memory_type",
    "effective_cache_size",
    "effective_io_concurrency",
    "hash_mem_multiplier",
    "huge_pages",
    "idle_in_transaction_session_timeout",
    "maintenance_work_mem",
    "max_connections",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_wal_size",
    "max_worker_processes",
    "random_page_cost",
    "shared_buffers",
    "statement_timeout",
    "wal_buffers",
    "work_mem",
)

# Null where the login role, the database or the connection has a value of its own, which hides the server's.
SETTINGS = Query(
    "settings",
    {
        OLDEST: """
SELECT name, unit,
       CASE WHEN source NOT IN ('database', 'user', 'database user', 'client', 'session') THEN setting END AS value
  FROM pg_settings WHERE name IN (%s)"""
        % ", ".join("'%s'" % name for name in NAMES)
    },
    bare=True,
)

DATABASE_BYTES = Query(
    "databases (their size)",
    {
        OLDEST: """
SELECT coalesce(sum(CASE WHEN may THEN pg_database_size(oid) END), 0) AS bytes,
       count(*) FILTER (WHERE NOT may) AS hidden
  FROM (SELECT d.oid, has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') AS may
          FROM pg_database d WHERE d.datconnlimit <> -2) d"""
    },
)

# Before 14: all since the cluster was made. When that was is in the upper half of its identifier (BootStrapXLOG).
WAL = Query(
    "wal_rate",
    {
        OLDEST: """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') END AS bytes,
       extract(epoch FROM now())::bigint - (system_identifier >> 32) AS seconds, 'position' AS source
  FROM pg_control_system()""",
        140000: """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN wal_bytes END AS bytes,
       extract(epoch FROM now() - stats_reset)::bigint AS seconds, 'pg_stat_wal' AS source
  FROM pg_stat_wal""",
    },
)
