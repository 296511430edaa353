# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that belong to nothing any more: what a crash leaves behind. Reads names, sizes and times of files only."""

from __future__ import annotations

from . import rights
from .integrity import MEMORY
from .query import OLDEST, Query

# Asked before the files are: whatever a transaction makes that is still open is younger than it is. The times of files
# are told in whole seconds.
BEFORE = Query(
    "the oldest open transaction",
    {
        OLDEST: """
SELECT CAST(date_trunc('second', least(now() - make_interval(secs => %(old_seconds)s), min(a.xact_start)))
            - interval '1 second' AS text) AS before, -- a file's time is up to a tick of the kernel's behind the clock
       pg_is_in_recovery() AS in_recovery, EXISTS (SELECT FROM pg_prepared_xacts) AS prepared
  FROM pg_stat_activity a"""
    },
    needs=(rights.ALL_STATS,),
)

# The catalog is read as it was when the statement began: a table that was made or rewritten since has a young file.
# One that was dropped is empty until the next checkpoint unlinks it. Mapped catalogs have no relfilenode of their own.
ORPHANS = Query(
    "pg_ls_dir",
    {
        OLDEST: """
WITH here AS (SELECT d.oid, d.dattablespace FROM pg_database d WHERE d.datname = current_database()),
places AS MATERIALIZED (
  SELECT t.oid AS tablespace,
         CASE WHEN t.spcname = 'pg_default' THEN format('base/%%s', h.oid)
              ELSE format('pg_tblspc/%%s/PG_%%s_%%s/%%s', t.oid,
                          CAST(current_setting('server_version_num') AS int) / 10000, c.catalog_version_no, h.oid)
         END AS path
    FROM pg_tablespace t CROSS JOIN here h CROSS JOIN pg_control_system() c WHERE t.spcname <> 'pg_global'
),
known AS MATERIALIZED (
  SELECT coalesce(nullif(c.reltablespace, 0), h.dattablespace) AS tablespace,
         coalesce(nullif(c.relfilenode, 0), pg_relation_filenode(c.oid)) AS node
    FROM pg_class c CROSS JOIN here h
),
files AS (
  SELECT p.tablespace, p.path || '/' || f.name AS path, CAST(substring(f.name FROM '^[0-9]+') AS oid) AS node
    FROM places p CROSS JOIN LATERAL pg_ls_dir(p.path, true, false) AS f (name)
   WHERE f.name ~ '^[0-9]{1,9}(_(fsm|vm|init))?([.][0-9]+)?$'
)
SELECT f.path, s.size AS bytes
  FROM files f CROSS JOIN LATERAL pg_stat_file(f.path, true) s
 WHERE NOT EXISTS (SELECT FROM known k WHERE k.tablespace = f.tablespace AND k.node = f.node)
   AND s.size > 0 AND s.modification < CAST(%(before)s AS timestamptz)
 ORDER BY s.size DESC, f.path
 LIMIT 20"""
    },
    needs=(rights.LS_DIR, rights.STAT_FILE, rights.CONTROL),
    settings=MEMORY,
)

# A server process removes its own when it ends. Which processes there are, everybody may see.
TEMPORARY = Query(
    "pg_ls_tmpdir",
    {
        OLDEST: """
SELECT f.name AS path, f.size AS bytes
  FROM pg_tablespace t CROSS JOIN LATERAL pg_ls_tmpdir(t.oid) f
 WHERE t.spcname <> 'pg_global' AND f.name ~ '^pgsql_tmp[0-9]{1,9}[.]'
   AND f.modification < now() - make_interval(secs => %(old_seconds)s)
   AND NOT EXISTS (SELECT FROM pg_stat_activity a
                    WHERE a.pid = CAST(substring(f.name FROM '^pgsql_tmp([0-9]+)') AS int))
 ORDER BY f.size DESC, f.name
 LIMIT 20"""
    },
    needs=(rights.LS_TMPDIR,),
)
