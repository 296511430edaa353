# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sessions do and wait for: long queries, the blocking tree, prepared transactions, conflicts."""

from __future__ import annotations

from .connections import SESSION

# pg_locks shows who waits to every role, pg_stat_activity only to pg_read_all_stats.
WAITING = """
locks AS MATERIALIZED (SELECT l.*, (to_jsonb(l) ->> 'waitstart')::timestamptz AS since FROM pg_locks l),
waiting AS MATERIALIZED (
  SELECT DISTINCT ON (l.pid)
         l.pid, l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid,
         l.objsubid, l.mode, s.is_client,
         round(greatest(extract(epoch FROM now() - coalesce(l.since, s.state_change, s.query_start)), 0)::numeric, 3)
           AS seconds
    FROM locks l JOIN sessions s ON s.pid = l.pid
   WHERE NOT l.granted AND coalesce(s.wait_event_type, 'Lock') = 'Lock'
)"""

# PostgreSQL, "Explicit Locking", table 13.2.
_HELD = """CASE w.mode
  WHEN 'AccessShareLock' THEN '{AccessExclusiveLock}'
  WHEN 'RowShareLock' THEN '{ExclusiveLock,AccessExclusiveLock}'
  WHEN 'RowExclusiveLock' THEN '{ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'
  WHEN 'ShareUpdateExclusiveLock' THEN
   '{ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'
  WHEN 'ShareLock' THEN
   '{RowExclusiveLock,ShareUpdateExclusiveLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'
  WHEN 'ShareRowExclusiveLock' THEN
   '{RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'
  WHEN 'ExclusiveLock' THEN
   '{RowShareLock,RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'
  WHEN 'AccessExclusiveLock' THEN
   '{AccessShareLock,RowShareLock,RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'
END"""

# pg_blocking_pids says 0 for a prepared transaction: which one is found by the lock that it holds on what the blocked
# session waits for; its name by the lock that each transaction holds on its own number. In a long queue everyone waits
# for all who came before: of them five are kept, first those who wait for nobody, then those who have waited the
# longest, so every root stays reachable.
EDGES = """
edges AS MATERIALIZED (
  SELECT * FROM (
    SELECT e.*, row_number() OVER (PARTITION BY e.blocked_pid
                                   ORDER BY other.pid IS NOT NULL, other.seconds DESC, e.blocking_pid, e.gid) AS rank
      FROM (SELECT DISTINCT w.pid AS blocked_pid, b.pid AS blocking_pid, w.is_client, w.seconds, w.mode,
                            w.locktype, p.gid
              FROM waiting w
             CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b(pid)
              LEFT JOIN LATERAL (
                SELECT x.gid
                  FROM locks h
                  JOIN locks own ON own.pid IS NULL AND own.virtualtransaction = h.virtualtransaction
                  JOIN pg_prepared_xact() x ON x.transaction = own.transactionid
                 WHERE h.granted AND h.pid IS NULL AND b.pid = 0 AND h.mode = ANY (CAST({held} AS text[]))
                   AND (h.locktype, h.database, h.relation, h.page, h.tuple, h.virtualxid, h.transactionid, h.classid,
                        h.objid, h.objsubid)
                       IS NOT DISTINCT FROM
                       (w.locktype, w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid,
                        w.objid, w.objsubid)) p ON true
             WHERE b.pid <> pg_backend_pid()) e
      LEFT JOIN waiting other ON other.pid = e.blocking_pid) ranked
   WHERE rank <= 5
)""".replace("{held}", _HELD)

# The columns of pg_stat_database that are asked for, by the functions under it.
COUNTERS = """
counters AS (
  SELECT d.datname, pg_stat_get_db_deadlocks(d.oid) AS deadlocks,
         pg_stat_get_db_checksum_failures(d.oid) AS checksum_failures,
         pg_stat_get_db_checksum_last_failure(d.oid) AS checksum_last_failure
    FROM (SELECT 0::oid AS oid, NULL::name AS datname UNION ALL SELECT oid, datname FROM pg_database) d
)"""

# A waiting autovacuum hurts nobody unless somebody waits for it in turn.
BLOCKS = """
blocks AS MATERIALIZED (
  SELECT * FROM edges e WHERE e.is_client OR e.blocked_pid IN (SELECT blocking_pid FROM edges)
)"""

# The columns of pg_stat_database_conflicts; the last came with PostgreSQL 16.
CONFLICTS = """
        ('tablespace', pg_stat_get_db_conflict_tablespace(d.oid)), ('lock', pg_stat_get_db_conflict_lock(d.oid)),
        ('snapshot', pg_stat_get_db_conflict_snapshot(d.oid)), ('bufferpin', pg_stat_get_db_conflict_bufferpin(d.oid)),
        ('deadlock', pg_stat_get_db_conflict_startup_deadlock(d.oid))"""
CONFLICTS_16 = CONFLICTS + ", ('active_logicalslot', pg_stat_get_db_conflict_logicalslot(d.oid))"

# Only our own database's relations have names
# here. Who waits for a row waits for a transaction, and holds a lock on the tuple: that names the relation.
ACTIVITY = """json_build_object(
  'long_queries', (
    SELECT coalesce(json_agg({session}), '[]')
      FROM (SELECT * FROM clients WHERE query_seconds >= %(long_query_seconds)s
             ORDER BY query_start, pid LIMIT 50) s),
  'blocking', (
    SELECT coalesce(json_agg(json_build_object(
             'blocked_pid', e.blocked_pid, 'blocking_pid', e.blocking_pid, 'blocking_gid', e.gid,
             'blocked_seconds', e.seconds, 'lock_type', e.locktype, 'lock_mode', e.mode, 'relation', (
               SELECT CASE WHEN l.database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                           THEN l.relation::regclass::text
                           ELSE format('oid %%s in database %%s', l.relation,
                                       (SELECT datname FROM pg_database WHERE oid = l.database)) END
                 FROM locks l
                WHERE l.pid = e.blocked_pid AND l.relation IS NOT NULL AND (NOT l.granted OR l.locktype = 'tuple')
                ORDER BY l.granted LIMIT 1))
             ORDER BY e.seconds DESC, e.blocked_pid, e.rank), '[]')
      FROM blocks e),
  'involved', (
    SELECT coalesce(json_agg({session} ORDER BY s.pid), '[]')
      FROM sessions s
     WHERE s.pid IN (SELECT unnest(ARRAY[e.blocked_pid, e.blocking_pid]) FROM blocks e)),
  'prepared', (
    SELECT coalesce(json_agg(json_build_object('gid', x.gid, 'owner', x.owner, 'database', x.database, 'age_seconds',
             round(greatest(extract(epoch FROM now() - x.prepared), 0)::numeric, 3),
             'ours', x.owner = current_user OR current_setting('is_superuser') = 'on',
             'here', x.database = current_database())), '[]')
      FROM (SELECT p.gid, p.prepared, pg_get_userbyid(p.ownerid) AS owner, d.datname AS database
              FROM pg_prepared_xact() p LEFT JOIN pg_database d ON d.oid = p.dbid ORDER BY p.prepared LIMIT 50) x),
  'wait_events', (
    SELECT coalesce(json_agg(json_build_object(
             'type', e.wait_event_type, 'event', e.wait_event, 'sessions', e.sessions)), '[]')
      FROM (SELECT wait_event_type, wait_event, count(*) AS sessions
              FROM clients WHERE state = 'active' AND wait_event IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2) e),
  'sync_replication', (
    SELECT json_build_object(
             'waiting', count(*), 'longest_seconds', max(c.query_seconds),
             'standby_names', current_setting('synchronous_standby_names'))
      FROM clients c WHERE c.wait_event = 'SyncRep'),
  'deadlocks', (
    SELECT coalesce(json_agg(json_build_object('database', d.datname, 'count', d.deadlocks) ORDER BY d.datname), '[]')
      FROM counters d WHERE d.deadlocks > 0),
  'conflicts', (
    SELECT coalesce(json_agg(json_build_object(
             'database', d.datname, 'kind', k.kind, 'count', k.count) ORDER BY d.datname, k.kind), '[]')
      FROM pg_database d CROSS JOIN LATERAL (VALUES {conflicts}) k (kind, count)
     WHERE pg_is_in_recovery() AND k.count <> 0)
)""".replace("{session}", SESSION)
