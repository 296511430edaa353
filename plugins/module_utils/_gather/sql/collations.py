# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collations whose version the operating system has moved since it was written down, as parts of a ``WITH RECURSIVE``.

Everybody may read that. A collation of its own has recorded its version when it was made; "C" and "POSIX" have none.
Hundreds come with the server: only those count that something depends on. Where the database's default has moved
(oid 100), so have the indexes that use it. datcollversion came with 15.
"""

from __future__ import annotations

from typing import Dict

from .query import OLDEST

_MOVED = """moved AS MATERIALIZED (
  SELECT c.oid, c.collname AS name, n.nspname AS schema, c.collversion AS recorded_version,
         pg_collation_actual_version(c.oid) AS actual_version
    FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
   WHERE c.collversion IS NOT NULL
     AND c.oid IN (SELECT d.refobjid FROM pg_depend d WHERE d.refclassid = 'pg_collation'::regclass)
     AND c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid){default}
)"""
# Which indexes are in such an order: by a collation of their own, of an expression or a condition (the catalog keeps
# those as trees of nodes), or within a type: of a range, of a composite type's column, and of what is made of these.
_SORTED = """,
made_of (part, whole) AS (
  SELECT t.typelem, t.oid FROM pg_type t WHERE t.typelem <> 0
  UNION ALL SELECT t.typbasetype, t.oid FROM pg_type t WHERE t.typbasetype <> 0
  UNION ALL SELECT a.atttypid, t.oid FROM pg_attribute a JOIN pg_type t ON t.typrelid = a.attrelid WHERE a.attnum > 0
  UNION ALL SELECT r.rngsubtype, r.rngtypid FROM pg_range r
  UNION ALL SELECT r.rngtypid, (to_jsonb(r) ->> 'rngmultitypid')::oid FROM pg_range r
),
inside (type, order_of) AS (
  SELECT r.rngtypid, m.oid FROM moved m JOIN pg_range r ON r.rngcollation = m.oid
  UNION
  SELECT t.oid, m.oid
    FROM moved m JOIN pg_attribute a ON a.attcollation = m.oid JOIN pg_type t ON t.typrelid = a.attrelid
  UNION
  SELECT o.whole, w.order_of FROM inside w JOIN made_of o ON o.part = w.type
),
sorted AS MATERIALIZED (
  SELECT i.indexrelid AS oid, m.oid AS order_of
    FROM moved m
    JOIN pg_index i ON m.oid = ANY (i.indcollation)
                    OR concat(i.indexprs, i.indpred) ~ concat(':inputcollid ', m.oid, '[^0-9]')
  UNION
  SELECT a.attrelid, w.order_of
    FROM inside w JOIN pg_attribute a ON a.atttypid = w.type JOIN pg_index i ON i.indexrelid = a.attrelid
)"""
_DEFAULT = """
  UNION ALL
  SELECT 100, 'default', 'pg_catalog', d.datcollversion, pg_database_collation_actual_version(d.oid)
    FROM pg_database d
   WHERE d.datname = current_database() AND d.datcollversion IS NOT NULL
     AND d.datcollversion IS DISTINCT FROM pg_database_collation_actual_version(d.oid)"""
MOVED: Dict[int, str] = {
    OLDEST: _MOVED.replace("{default}", "") + _SORTED,
    150000: _MOVED.replace("{default}", _DEFAULT) + _SORTED,
}

# In one database, and of the other databases their own collation. Sizes as the last VACUUM or ANALYZE left them: the
# real ones would take locks.
_SNAPSHOT = """(
  SELECT coalesce(json_agg(json_build_object(
           'database', m.database, 'name', m.name, 'recorded_version', m.recorded_version,
           'actual_version', m.actual_version, 'indexes', i.indexes, 'bytes', i.bytes, 'largest', i.largest)
           ORDER BY m.database <> current_database(), m.database, m.name), '[]')
    FROM (SELECT current_database() AS database, oid, name, recorded_version, actual_version FROM moved{others}) m
    LEFT JOIN LATERAL (
      SELECT count(*) AS indexes, coalesce(sum(x.bytes), 0)::bigint AS bytes,
             coalesce(json_agg(x.name ORDER BY x.place) FILTER (WHERE x.place <= 3), '[]') AS largest
        FROM (SELECT format('%%I.%%I', n.nspname, c.relname) AS name,
                     c.relpages * current_setting('block_size')::bigint AS bytes,
                     row_number() OVER (ORDER BY c.relpages DESC, c.relname) AS place
                FROM sorted s JOIN pg_class c ON c.oid = s.oid JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE s.order_of = m.oid AND c.relkind = 'i') x) i ON m.oid IS NOT NULL)"""
_OTHERS = """
          UNION ALL
          SELECT d.datname, NULL, 'default', d.datcollversion, pg_database_collation_actual_version(d.oid)
            FROM pg_database d
           WHERE d.datname <> current_database() AND d.datallowconn AND d.datcollversion IS NOT NULL
             AND d.datcollversion IS DISTINCT FROM pg_database_collation_actual_version(d.oid)"""
SNAPSHOT: Dict[int, str] = {
    OLDEST: _SNAPSHOT.replace("{others}", ""),
    150000: _SNAPSHOT.replace("{others}", _OTHERS),
}
