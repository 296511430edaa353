# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells whether the data is whole, database by database: collations, indexes, constraints, sequences, ages.

Reads catalogs and statistics, nothing of the data itself. One statement a database; column ``document``, of the shape
``_model.integrity.DatabaseFacts``. The session brings search_path = pg_catalog.
"""

from __future__ import annotations

from .collations import MOVED
from .query import OLDEST, Query

# No temporary files: the disk may be full, the role's own memory small.
MEMORY = {"work_mem": "16MB"}

CHECKSUMS = Query("data_checksums", {OLDEST: "SELECT current_setting('data_checksums')::bool AS on"})

IDENTIFIER = Query(
    "system_identifier", {OLDEST: "SELECT system_identifier::text AS identifier FROM pg_control_system()"}
)

ARCHIVER = Query(
    "pg_stat_archiver",
    {
        OLDEST: """
SELECT current_setting('archive_mode') AS mode,
       a.last_failed_time > coalesce(a.last_archived_time, '-infinity') IS TRUE AS failing,
       a.last_archived_wal AS last_wal, a.last_archived_time AS last_at,
       a.last_failed_wal AS failed_wal, a.last_failed_time AS failed_at, a.failed_count AS failures
  FROM pg_stat_archiver a"""
    },
)

# Which databases there are. What allows no connections cannot be checked, and is said. datcollversion came with 15.
_DATABASES = """
SELECT d.oid::text AS oid, d.datname AS name, d.datallowconn AS open, d.datconnlimit = -2 AS invalid,
       has_database_privilege(d.oid, 'CONNECT') AS may_connect,
       d.datistemplate AS template, %(version)s AS recorded_version, %(actual)s AS actual_version,
       d.datcollate AS collation, age(d.datfrozenxid) AS xid_age, mxid_age(d.datminmxid) AS multixact_age,
       CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
            THEN pg_database_size(d.oid) END AS bytes
  FROM pg_database d
 ORDER BY d.datname"""
DATABASES = Query(
    "databases",
    {
        OLDEST: _DATABASES.replace("%(version)s", "NULL::text").replace("%(actual)s", "NULL::text"),
        150000: _DATABASES.replace("%(version)s", "d.datcollversion").replace(
            "%(actual)s", "pg_database_collation_actual_version(d.oid)"
        ),
    },
)

_DOCUMENT = """
WITH RECURSIVE {moved},
locked AS MATERIALIZED (
  SELECT l.relation, l.mode FROM pg_locks l
   WHERE l.locktype = 'relation'
     AND l.database IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
     AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock')
),
named AS (
  SELECT c.oid, format('%%I.%%I', n.nspname, c.relname) AS name, c.relkind, c.relpersistence
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
),
counted AS ( -- a database has this time only after a reset since 15: before one, its statistics are the server's
  SELECT extract(epoch FROM now() - coalesce(d.stats_reset, b.stats_reset))::numeric AS seconds
    FROM pg_stat_database d, pg_stat_bgwriter b WHERE d.datname = current_database()
)
SELECT json_build_object(
  'collations', (
    SELECT coalesce(json_agg(json_build_object('name', m.name, 'recorded_version', m.recorded_version,
                                               'actual_version', m.actual_version) ORDER BY m.name), '[]')
      FROM moved m),
  'stale_indexes', (
    SELECT coalesce(json_agg(json_build_object(
             'name', x.name, 'table', t.name, 'unique', i.indisunique, 'bytes', {bytes},
             'collations', (SELECT json_agg(DISTINCT m.name) FROM moved m JOIN sorted s ON s.order_of = m.oid
                             WHERE s.oid = i.indexrelid))
             ORDER BY {bytes} DESC, x.name), '[]')
      FROM pg_index i JOIN named x ON x.oid = i.indexrelid JOIN named t ON t.oid = i.indrelid
     WHERE i.indexrelid IN (SELECT s.oid FROM sorted s) AND x.relkind = 'i'),
  'invalid_indexes', (
    SELECT coalesce(json_agg(json_build_object(
             'name', x.name, 'table', t.name, 'ready', i.indisready, 'bytes', {bytes})
             ORDER BY x.name), '[]')
      FROM pg_index i JOIN named x ON x.oid = i.indexrelid JOIN named t ON t.oid = i.indrelid
     WHERE NOT (i.indisvalid AND i.indisready) AND x.relkind = 'i'
       AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p
                        WHERE p.index_relid = i.indexrelid
                           OR p.relid = i.indrelid AND x.name ~ '_cc(new|old)[0-9]*"?$')), -- a rebuild's, in any phase
  'unchecked_constraints', (
    SELECT coalesce(json_agg(json_build_object('name', k.conname, 'table', t.name, 'type', k.contype)
                             ORDER BY t.name, k.conname), '[]')
      FROM pg_constraint k JOIN named t ON t.oid = k.conrelid
     WHERE NOT k.convalidated AND coalesce((to_json(k) ->> 'conenforced')::bool, true)), -- since 18; never validated
  'sequences', (
    SELECT coalesce(json_agg(json_build_object(
             'name', x.name, 'last', s.last, 'limit', s.most, 'used_percent', trunc(100 * s.used, 1),
             'days_left', floor((s.most::numeric - s.last) / s.step * drawn.seconds / drawn.rows / 86400),
             'seconds_counted', round(drawn.seconds))
             ORDER BY s.used DESC, x.name), '[]')
      FROM (SELECT q.seqrelid, q.seqincrement AS step, v.last, r.most,
                   CASE WHEN (v.last::numeric + q.seqincrement - r.most) * sign(q.seqincrement) > 0 THEN 1
                        WHEN q.seqincrement > 0
                        THEN (v.last::numeric - q.seqmin + 1) / (r.most::numeric - q.seqmin + 1)
                        ELSE (q.seqmax - v.last::numeric + 1) / (q.seqmax::numeric - r.most + 1) END AS used
              FROM pg_sequence q
             CROSS JOIN LATERAL ( -- the columns that it is the default of
               SELECT min(CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END)
                      AS most
                 FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
                 JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
                WHERE d.classid = 'pg_attrdef'::regclass
                  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = q.seqrelid) h
             CROSS JOIN LATERAL (
               SELECT CASE WHEN q.seqincrement > 0 THEN least(q.seqmax, h.most)
                           ELSE greatest(q.seqmin, -h.most - 1) END AS most) r
             CROSS JOIN LATERAL (
               SELECT CASE WHEN has_sequence_privilege(q.seqrelid, 'USAGE, SELECT')
                            AND q.seqrelid NOT IN (SELECT relation FROM locked)
                           THEN pg_sequence_last_value(q.seqrelid) END AS last) v
             WHERE NOT q.seqcycle AND v.last IS NOT NULL) s
      LEFT JOIN LATERAL ( -- each row inserted took a value; those of a partitioned table are its partitions'
       WITH RECURSIVE tables AS (
         SELECT d.refobjid AS oid FROM pg_depend d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid
            AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
          UNION
         SELECT f.adrelid FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
          WHERE d.classid = 'pg_attrdef'::regclass
            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.seqrelid
          UNION
         SELECT p.inhrelid FROM pg_inherits p JOIN tables t ON t.oid = p.inhparent)
       SELECT c.seconds, sum(pg_stat_get_tuples_inserted(t.oid)) AS rows FROM tables t, counted c
        GROUP BY 1 HAVING sum(pg_stat_get_tuples_inserted(t.oid)) > 0) drawn ON true
      JOIN named x ON x.oid = s.seqrelid AND x.relpersistence = 'p'
     WHERE s.used >= %(sequence_percent)s / 100.0),
  'unseen_sequences', (
    SELECT count(*) FROM pg_sequence q
     WHERE NOT has_sequence_privilege(q.seqrelid, 'USAGE, SELECT')
        OR q.seqrelid IN (SELECT relation FROM locked)),
  'unlogged_tables', (
    SELECT coalesce(json_agg(t.name ORDER BY t.name), '[]')
      FROM named t WHERE t.relkind = 'r' AND t.relpersistence = 'u'),
  'user_tables', (
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'),
  'oldest_tables', (
    SELECT coalesce(json_agg(json_build_object('name', o.name, 'xid_age', o.xid_age,
                                               'multixact_age', o.multixact_age)), '[]')
      FROM (SELECT t.name, age(c.relfrozenxid) AS xid_age, mxid_age(c.relminmxid) AS multixact_age
              FROM pg_class c JOIN named t ON t.oid = c.oid
             WHERE c.relkind IN ('r', 'm', 't') ORDER BY 2 DESC, 3 DESC, 1 LIMIT 5) o),
  'vacuums', (
    SELECT coalesce(json_agg(json_build_object(
             'pid', p.pid, 'table', t.name, 'automatic', a.backend_type = 'autovacuum worker', 'phase', p.phase,
             'percent', trunc(100.0 * p.heap_blks_scanned / nullif(p.heap_blks_total, 0), 1)) ORDER BY p.pid), '[]')
      FROM pg_stat_progress_vacuum p JOIN named t ON t.oid = p.relid LEFT JOIN pg_stat_activity a ON a.pid = p.pid
     WHERE p.datname = current_database()),
  'amcheck', (
    SELECT json_build_object(
             'version', e.extversion, 'schema', n.nspname,
             'allowed', has_schema_privilege(n.oid, 'USAGE')
                        AND (SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE')) FROM pg_proc p
                          WHERE p.pronamespace = n.oid AND p.proname IN ('bt_index_check', 'verify_heapam')),
             'available', EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = 'amcheck'))
      FROM (SELECT) AS always
      LEFT JOIN pg_extension e ON e.extname = 'amcheck' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace)
) AS document"""
# Null where somebody has, or waits for, the lock that a size would wait for.
_BYTES = """CASE WHEN i.indexrelid NOT IN (SELECT relation FROM locked WHERE mode = 'AccessExclusiveLock')
                  THEN pg_relation_size(i.indexrelid) END"""
DOCUMENT = Query(
    "integrity",
    {least: _DOCUMENT.replace("{moved}", moved).replace("{bytes}", _BYTES) for least, moved in MOVED.items()},
    settings=MEMORY,
)

# A file only gets shorter by what writes down its new length: VACUUM, and whatever makes a new one. Who is at it has a
# lock. The counts of catalogs that all databases share are each database's own, and a crash empties unlogged tables.
# A table grows by up to 512 pages at once, and those that were never written are not on a standby, nor restored.
SHORT = Query(
    "short_files",
    {
        OLDEST: """
WITH busy AS MATERIALIZED (
  SELECT l.relation FROM pg_locks l
   WHERE l.locktype = 'relation' AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
     AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
)
SELECT s.kind, s.name, s.bytes, s.counted_bytes
  FROM (SELECT CASE c.relkind WHEN 'i' THEN 'index' ELSE 'table' END AS kind,
               format('%%I.%%I', n.nspname, c.relname) AS name, c.reltuples,
               c.relpages * current_setting('block_size')::bigint AS counted_bytes,
               CASE WHEN NOT EXISTS (SELECT FROM busy b WHERE b.relation = c.oid) THEN pg_relation_size(c.oid) END
                 AS bytes
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam
         WHERE c.relpages > 0 AND NOT c.relisshared AND c.relpersistence = 'p'
           AND (c.relkind = 'i' OR c.relkind IN ('r', 'm', 't') AND m.amname = 'heap')) s
 WHERE s.bytes + 512 * current_setting('block_size')::bigint < s.counted_bytes
    OR s.bytes = 0 AND s.counted_bytes > 0 AND s.reltuples > 0
 ORDER BY s.counted_bytes - s.bytes DESC, s.name
 LIMIT 20"""
    },
    settings=MEMORY,
)

# Whose file it is now: a table that was rewritten since has another one. pg_default, which has the path base/, is 0.
RELATION = Query(
    "pg_filenode_relation",
    {
        OLDEST: """
SELECT format('%%I.%%I', n.nspname, c.relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = pg_filenode_relation(%(tablespace)s::oid, %(filenode)s::oid)"""
    },
)

# What holds back the oldest row version that VACUUM may remove. PostgreSQL, "Preventing Transaction ID Wraparound
# Failures": sessions, prepared transactions, replication slots, and standbys with hot_standby_feedback.
HORIZON = Query(
    "horizon",
    {
        OLDEST: """
SELECT 'session' AS kind, a.pid::text AS name, greatest(age(a.backend_xid), age(a.backend_xmin)) AS age,
       coalesce(a.usename, a.backend_type) AS detail
  FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid() AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
   AND a.backend_type IS DISTINCT FROM 'walsender'
UNION ALL
SELECT 'prepared_transaction', p.gid, age(p.transaction), p.owner FROM pg_prepared_xacts p
UNION ALL
SELECT 'slot', s.slot_name, greatest(age(s.xmin), age(s.catalog_xmin)), s.slot_type
  FROM pg_replication_slots s WHERE s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL
UNION ALL
SELECT 'standby', coalesce(r.application_name, r.pid::text), age(r.backend_xmin), host(r.client_addr)
  FROM pg_stat_replication r WHERE r.backend_xmin IS NOT NULL
 ORDER BY 3 DESC NULLS LAST, 1, 2
 LIMIT 20"""
    },
)
