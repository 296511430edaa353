# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension amcheck: what there is to read in a database, and the reading of it.

AccessShareLock only, and each function gives its own back when it is done (PostgreSQL's manual, "amcheck"): nothing
that compares a parent with its children, which would keep writers out.

Each call has the arguments' very types, and all of them: whoever may create functions in the extension's schema could
else put one there that fits better, and have it run as us.
"""

from __future__ import annotations

from .integrity import MEMORY
from .query import OLDEST, Query

# Catalogs first; then what is written most, then the largest. A size asks for a lock, so none of what is locked.
OBJECTS = Query(
    "amcheck objects",
    {
        OLDEST: """
WITH locked AS MATERIALIZED (
  SELECT relation FROM pg_locks
   WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
     AND database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
)
SELECT c.oid::text AS oid, format('%%I.%%I', n.nspname, c.relname) AS name,
       CASE c.relkind WHEN 'i' THEN 'index' ELSE 'table' END AS kind, m.amname AS method,
       n.nspname = 'pg_catalog' OR coalesce(o.relnamespace = 'pg_catalog'::regnamespace, false) AS catalog,
       coalesce(i.indisunique, false) AS unique,
       CASE WHEN NOT EXISTS (SELECT FROM locked l WHERE l.relation IN (c.oid, i.indrelid))
            THEN pg_relation_size(c.oid) END AS bytes,
       CASE WHEN c.relkind IN ('r', 'm') AND c.reltoastrelid <> 0
             AND NOT EXISTS (SELECT FROM locked l WHERE l.relation IN (c.oid, c.reltoastrelid))
            THEN pg_relation_size(c.reltoastrelid) ELSE 0 END AS toast_bytes
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am m ON m.oid = c.relam
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_class o ON n.nspname = 'pg_toast' AND o.reltoastrelid = coalesce(i.indrelid, c.oid)
  LEFT JOIN pg_stat_all_tables s ON s.relid = coalesce(i.indrelid, c.oid)
 WHERE c.relpersistence <> 't' AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
   AND (c.relkind IN ('r', 'm', 't') OR c.relkind = 'i' AND i.indisvalid AND i.indisready)
 ORDER BY catalog DESC, coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0) DESC, bytes DESC NULLS LAST, name"""
    },
    settings=MEMORY,
)

# Of whom we may not see what they do, nobody knows that they are idle.
AT_WORK = Query(
    "sessions at work",
    {
        OLDEST: """
SELECT count(*) AS sessions FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid() AND a.usename IS NOT NULL
   AND coalesce(a.backend_type, 'client backend') = 'client backend' AND coalesce(a.state, 'active') = 'active'"""
    },
)

_EACH = """
SELECT count(%%(schema)s.%s) AS checked
  FROM unnest(%%(oids)s) u (oid) JOIN pg_index i ON i.indexrelid = u.oid::oid"""
BTREE = Query("bt_index_check", {OLDEST: _EACH % "bt_index_check(i.indexrelid::regclass)"})
# Since amcheck 1.4: no value twice in a unique one.
BTREE_UNIQUE = Query("bt_index_check", {OLDEST: _EACH % "bt_index_check(i.indexrelid::regclass, false, i.indisunique)"})
GIN = Query("gin_index_check", {OLDEST: _EACH % "gin_index_check(i.indexrelid::regclass)"})  # since amcheck 1.5
# Since amcheck 1.3. Reports instead of failing, but for a page that cannot be read at all.
_HEAP = """
SELECT u.oid, v.blkno AS block, v.msg AS message
  FROM unnest(%(oids)s) u (oid) JOIN pg_class c ON c.oid = u.oid::oid,
       LATERAL %(schema)s.verify_heapam(
         c.oid::regclass, true, {toast}, 'none'::text, NULL::bigint, NULL::bigint) v -- on_error_stop, check_toast, skip
 LIMIT 200"""
HEAP = Query("verify_heapam", {OLDEST: _HEAP.replace("{toast}", "false")})
TOAST = Query("verify_heapam with TOAST", {OLDEST: _HEAP.replace("{toast}", "true")})  # slow: each value by its index
