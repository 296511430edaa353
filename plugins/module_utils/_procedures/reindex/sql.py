# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Indexes that may be wrong, what a rebuild of them would meet, and the rebuild.

A name is shown quoted, as ``integrity_info`` prints it, and comes apart for the statement, which quotes it again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Mapping, Sequence

from ..._gather.session.bind import identifier
from ..._gather.sql.collations import MOVED
from ..._gather.sql.others_code import OTHERS_CODE
from ..._gather.sql.query import OLDEST, Query

SERVER = Query(
    "reindex server",
    {
        OLDEST: """
SELECT pg_is_in_recovery() AS in_recovery, current_user AS us, current_database() AS database,
       CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END AS directory"""
    },
)

# NULLS NOT DISTINCT came with 15; reading the catalog's row as JSON needs no text of its own for that.
_INDEXES = """
WITH RECURSIVE {others_code}, {moved},
locked AS MATERIALIZED (
  SELECT l.relation FROM pg_locks l
   WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
     AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
),
named AS (
  SELECT c.oid, format('%%I.%%I', n.nspname, c.relname) AS name, n.nspname, c.relname, c.relkind, c.relowner,
         c.reltablespace, c.relfilenode, c.relpersistence
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
),
asked AS MATERIALIZED (
  SELECT x.oid, x.name FROM named x
   WHERE x.relkind IN ('i', 'I') AND current_database() || '.' || x.name = ANY (%(indexes)s)
),
leaves AS MATERIALIZED (
  SELECT a.oid, a.name FROM asked a UNION SELECT p.relid, a.name FROM asked a, pg_partition_tree(a.oid) p WHERE p.isleaf
),
found AS MATERIALIZED (
  SELECT i.indrelid, x.*,
         ARRAY(SELECT m.name::text FROM moved m JOIN sorted s ON s.order_of = m.oid
                WHERE s.oid = i.indexrelid ORDER BY 1) AS collations,
         NOT (i.indisvalid AND i.indisready) AND x.relname ~ '_cc(new|old)[0-9]*$'
         AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
         AND EXISTS (SELECT FROM pg_index o JOIN pg_class c ON c.oid = o.indexrelid
                      WHERE o.indrelid = i.indrelid AND o.indexrelid <> i.indexrelid AND o.indisvalid
                        AND (c.relname = b.base
                           OR octet_length(x.relname) > 60 AND starts_with(c.relname::text, b.base))) AS leftover
    FROM pg_index i JOIN named x ON x.oid = i.indexrelid
   CROSS JOIN LATERAL (SELECT regexp_replace(x.relname::text, '_cc(new|old)[0-9]*$', '') AS base) b
   WHERE x.relkind = 'i' AND x.relpersistence <> 't'
     AND NOT (NOT (i.indisvalid AND i.indisready) AND x.relname ~ '_cc(new|old)[0-9]*$' -- of one that is running
              AND EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid))
)
SELECT json_build_object(
  'named', (SELECT coalesce(json_agg(a.name), '[]') FROM asked a),
  'collations', (
    SELECT coalesce(json_agg(json_build_object(
             'oid', m.oid::bigint, 'name', m.name, 'schema', m.schema, 'recorded_version', m.recorded_version,
             'actual_version', m.actual_version,
             'ours', CASE WHEN m.oid = 100
                          THEN (SELECT pg_has_role(d.datdba, 'USAGE') FROM pg_database d
                                 WHERE d.datname = current_database())
                          ELSE (SELECT pg_has_role(c.collowner, 'USAGE') FROM pg_collation c WHERE c.oid = m.oid) END)
             ORDER BY m.oid <> 100 DESC, m.name), '[]')
      FROM moved m),
  'stale', (SELECT count(*) FROM found f WHERE f.collations <> '{}' AND NOT f.leftover),
  'partitioned_by', (
    SELECT coalesce(json_agg(t.name ORDER BY t.name), '[]')
      FROM pg_partitioned_table p JOIN named t ON t.oid = p.partrelid
     WHERE p.partstrat = 'r' AND EXISTS (SELECT FROM moved m WHERE m.oid = ANY (p.partcollation))),
  'amcheck', (
    SELECT json_build_object('version', e.extversion, 'schema', n.nspname)
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'amcheck' AND has_schema_privilege(n.oid, 'USAGE')
       AND (SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE')) FROM pg_proc p
             WHERE p.pronamespace = n.oid AND p.proname = 'bt_index_check')),
  'open', (
    SELECT coalesce(json_agg(json_build_object(
             'pid', a.pid, 'user', a.usename, 'application', a.application_name,
             'seconds', extract(epoch FROM now() - a.xact_start)) ORDER BY a.xact_start), '[]')
      FROM pg_stat_activity a
     WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
       AND a.xact_start < now() - %(seconds)s * interval '1 second'),
  'prepared', (
    SELECT coalesce(json_agg(p.gid ORDER BY p.prepared), '[]') FROM pg_prepared_xacts p
     WHERE p.database = current_database() AND p.prepared < now() - %(seconds)s * interval '1 second'),
  'indexes', (
    SELECT coalesce(json_agg(json_build_object(
             'oid', f.oid::bigint, 'table_oid', f.indrelid::bigint, 'name', f.name, 'schema', f.nspname,
             'index', f.relname, 'table', t.name, 'table_schema', t.nspname, 'table_name', t.relname,
             'method', am.amname, 'unique', i.indisunique, 'exclusion', i.indisexclusion,
             'plain', i.indexprs IS NULL AND i.indpred IS NULL
                      AND t.oid NOT IN (SELECT x.oid FROM others_code x),
             'nulls_equal', coalesce((to_json(i) ->> 'indnullsnotdistinct')::bool, false),
             'columns', ARRAY(SELECT a.attname::text FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k (attnum, place)
                                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                               WHERE k.place <= i.indnkeyatts ORDER BY k.place),
             'valid', i.indisvalid AND i.indisready, 'leftover', f.leftover, 'collations', f.collations,
             'catalog', f.oid < 16384 OR f.nspname = 'pg_catalog', 'toast', f.nspname = 'pg_toast',
             'ours', pg_has_role(t.relowner, 'USAGE') AND has_table_privilege(t.oid, 'SELECT'),
             'file', f.relfilenode::bigint,
             'tablespace', pg_tablespace_location(coalesce(nullif(f.reltablespace, 0),
               (SELECT d.dattablespace FROM pg_database d WHERE d.datname = current_database()))),
             'bytes', CASE WHEN NOT EXISTS (SELECT FROM locked l WHERE l.relation IN (f.oid, t.oid))
                           THEN pg_relation_size(f.oid) END) ORDER BY f.name), '[]')
      FROM found f JOIN pg_index i ON i.indexrelid = f.oid JOIN named t ON t.oid = i.indrelid
      JOIN pg_class c ON c.oid = f.oid JOIN pg_am am ON am.oid = c.relam
     WHERE CASE WHEN %(all)s THEN f.leftover OR f.collations <> '{}' ELSE f.oid IN (SELECT l.oid FROM leaves l) END)
) AS document"""
_INDEXES = _INDEXES.replace("{others_code}", OTHERS_CODE)
INDEXES = Query("reindex indexes", {least: _INDEXES.replace("{moved}", moved) for least, moved in MOVED.items()})

# As it is now: its file is another one once it was rebuilt. What else is on its table and not valid, is a leftover.
NOW = Query(
    "reindex now",
    {
        OLDEST: """
SELECT c.oid::bigint AS oid, format('%%I.%%I', n.nspname, c.relname) AS name, n.nspname AS schema, c.relname AS index,
       c.relfilenode::bigint AS file, i.indisvalid AND i.indisready AS valid, pg_relation_size(c.oid) AS bytes
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.indrelid = %(table)s::text::oid AND (NOT (i.indisvalid AND i.indisready)
       OR (n.nspname, c.relname) = (%(schema)s::text, %(index)s::text))"""
    },
)
# Ours has a name that nobody else has.
OURS = Query(
    "reindex ours", {OLDEST: "SELECT a.pid FROM pg_stat_activity a WHERE a.application_name = %(application)s"}
)
CANCEL = Query(
    "reindex cancel",
    {
        OLDEST: """
SELECT pg_cancel_backend(a.pid) FROM pg_stat_activity a
 WHERE a.application_name = %(application)s AND a.pid <> pg_backend_pid()"""
    },
)

REINDEX = Query("reindex", {OLDEST: "REINDEX INDEX CONCURRENTLY %(schema)s.%(index)s"}, alone=True)
REINDEX_ALONE = Query("reindex alone", {OLDEST: "REINDEX INDEX %(schema)s.%(index)s"}, alone=True)  # all wait
DROP = Query("drop index", {OLDEST: "DROP INDEX CONCURRENTLY %(schema)s.%(index)s"}, alone=True)
REFRESH_COLLATION = Query("refresh collation", {OLDEST: "ALTER COLLATION %(schema)s.%(name)s REFRESH VERSION"})
REFRESH_DATABASE = Query("refresh database", {OLDEST: "ALTER DATABASE %(name)s REFRESH COLLATION VERSION"})

# Not by the index, which is what may be wrong. What a policy hides would be missed, so it is an error instead.
_BY_THE_TABLE = {
    "enable_indexscan": "off",
    "enable_indexonlyscan": "off",
    "enable_bitmapscan": "off",
    "row_security": "off",
    "constraint_exclusion": "off",  # it would run what CHECK constraints call
}


_TWICE = """
SELECT ARRAY[%s] AS key, count(*) AS rows FROM ONLY %%(schema)s.%%(table)s%s
 GROUP BY %s HAVING count(*) > 1 LIMIT %d"""


def twice(columns: Sequence[str], nulls_equal: bool, most: int) -> Query:
    """Values that more than one row has. Parameters: ``schema``, ``table``, and ``keys(columns)``."""
    keys: List[str] = ["%%(key%d)s" % number for number in range(len(columns))]
    where = "" if nulls_equal else " WHERE %s" % " AND ".join("%s IS NOT NULL" % key for key in keys)
    # A cast to text may be anybody's function; format() asks the type itself.
    shown = ", ".join(
        "CASE WHEN %s IS NULL THEN 'NULL' ELSE left(format('%%%%s', %s), 100) END" % (key, key) for key in keys
    )
    text = _TWICE % (shown, where, ", ".join(keys), most)
    return Query("values twice", {OLDEST: text}, settings=_BY_THE_TABLE, tables_only=True)


def keys(columns: Sequence[str]) -> Mapping[str, str]:
    return {"key%d" % number: identifier(column) for number, column in enumerate(columns)}


def patient(query: Query, application: str, lock_seconds: float, seconds: float) -> Query:
    """``query`` with its own times instead of the session's, under a name by which its backend is found."""
    own = {
        "application_name": application,
        "lock_timeout": "%d" % (lock_seconds * 1000),
        "statement_timeout": "%d" % (seconds * 1000),
    }
    return replace(query, settings={**query.settings, **own})
