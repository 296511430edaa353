# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a baseline holds: tables, sizes and definitions, exact counts in an exported snapshot, settings, roles.

Reads catalogs, and of the data only what is to be counted. The session brings search_path = pg_catalog.
"""

from __future__ import annotations

from . import rights
from .others_code import OTHERS_CODE
from .query import OLDEST, Query

# Who exports a snapshot holds it by staying in its transaction: its statement waits until a session that calls itself
# ``over`` is there. The number and its clock: 50 ms each. What sessions there are is asked anew each time (nullif).
EXPORT = Query(
    "pg_export_snapshot",
    {
        OLDEST: """
WITH RECURSIVE held (n) AS (
  SELECT length(set_config('application_name', %(name)s || ' ' || pg_export_snapshot(), true)) * 0
  UNION ALL
  SELECT h.n + 1 FROM held h
   WHERE h.n < %(turns)s AND pg_sleep(0.05) IS NOT NULL AND pg_stat_clear_snapshot() IS NOT NULL
     AND NOT EXISTS (SELECT FROM pg_stat_get_activity(nullif(h.n, h.n)) a WHERE a.application_name = %(over)s)
)
SELECT max(n) AS turns FROM held"""
    },
)
EXPORTED = Query(
    "exported_snapshot",
    {
        OLDEST: """
SELECT substr(a.application_name, length(%(name)s) + 2) AS snapshot FROM pg_stat_get_activity(NULL) a
 WHERE starts_with(a.application_name, %(name)s || ' ')"""
    },
)
# Bounded: 5 s.
END = Query(
    "end_of_snapshot",
    {
        OLDEST: """
WITH RECURSIVE waiting (n) AS (
  SELECT length(set_config('application_name', %(over)s, true)) * 0
  UNION ALL
  SELECT w.n + 1 FROM waiting w
   WHERE w.n < 100 AND pg_sleep(0.05) IS NOT NULL AND pg_stat_clear_snapshot() IS NOT NULL
     AND EXISTS (SELECT FROM pg_stat_get_activity(nullif(w.n, w.n)) a
                  WHERE starts_with(a.application_name, %(name)s || ' '))
)
SELECT max(n) AS turns FROM waiting"""
    },
)

COUNT = Query(
    "count",
    {OLDEST: "SELECT count(*) AS rows FROM %(schema)s.%(table)s"},
    settings={"row_security": "off"},  # what a policy hides is an error
    snapshot=True,
    tables_only=True,
)

# Of what an extension brought, its version tells. Definitions are put into words by functions that lock tables: where
# somebody has one locked, they are left out.
_DOCUMENT = """
WITH RECURSIVE {others_code},
locked AS MATERIALIZED (
  SELECT l.relation FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
     AND l.database IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
     AND n.nspname !~ '^pg_temp_|^pg_toast_temp_' AND l.pid <> pg_backend_pid()
),
brought AS MATERIALIZED (SELECT d.classid, d.objid FROM pg_depend d WHERE d.deptype = 'e'),
spaces AS MATERIALIZED (
  SELECT n.oid, n.nspname, format('%%I', n.nspname) AS name FROM pg_namespace n
   WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
),
named AS MATERIALIZED (
  SELECT c.*, s.nspname, format('%%s.%%I', s.name, c.relname) AS name
    FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
   WHERE NOT EXISTS (SELECT FROM brought b WHERE b.classid = 'pg_class'::regclass AND b.objid = c.oid)
),
tables AS (
  SELECT c.*, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'm' THEN 'materialized view'
                             WHEN 'v' THEN 'view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence'
                             ELSE 'type' END || ' ' || c.name AS object
    FROM named c WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S', 'c')
),
lines (object, line) AS (
  SELECT t.object, format('%%s persistence=%%s partition=%%s options=%%s rls=%%s,%%s', t.object, t.relpersistence,
                          pg_get_expr(t.relpartbound, t.oid), t.reloptions, t.relrowsecurity, t.relforcerowsecurity)
    FROM tables t
  UNION ALL
  SELECT t.object, format('column %%s %%I %%s notnull=%%s identity=%%s generated=%%s collation=%%s default=%%s',
                          row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), a.attname,
                          format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                          (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation),
                          pg_get_expr(f.adbin, f.adrelid))
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
   WHERE t.relkind <> 'S'
  UNION ALL
  SELECT t.object, format('sequence %%s start=%%s by=%%s min=%%s max=%%s cycle=%%s', format_type(q.seqtypid, NULL),
                          q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle)
    FROM tables t JOIN pg_sequence q ON q.seqrelid = t.oid
  UNION ALL
  SELECT t.object, format('constraint %%I %%s', k.conname, pg_get_constraintdef(k.oid))
    FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid
  UNION ALL
  SELECT t.object, format('index %%s valid=%%s', pg_get_indexdef(i.indexrelid), i.indisvalid)
    FROM tables t JOIN pg_index i ON i.indrelid = t.oid
  UNION ALL
  SELECT t.object, format('trigger %%s enabled=%%s', pg_get_triggerdef(g.oid), g.tgenabled)
    FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
  UNION ALL
  SELECT t.object, format('policy %%I %%s %%s %%s %%s', p.polname, p.polcmd, p.polpermissive,
                          pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM tables t JOIN pg_policy p ON p.polrelid = t.oid
  UNION ALL
  SELECT t.object, pg_get_viewdef(t.oid) FROM tables t WHERE t.relkind IN ('v', 'm')
  UNION ALL
  SELECT format('function %%s.%%I(%%s)', s.name, p.proname, pg_get_function_identity_arguments(p.oid)),
         format('%%s %%s %%s', pg_get_function_arguments(p.oid), p.prokind,
                CASE WHEN p.prokind IN ('f', 'p', 'w') THEN pg_get_functiondef(p.oid) END)
    FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace
   WHERE NOT EXISTS (SELECT FROM brought b WHERE b.classid = 'pg_proc'::regclass AND b.objid = p.oid)
  UNION ALL
  SELECT format('type %%s.%%I', s.name, t.typname),
         format('%%s %%s notnull=%%s default=%%s labels=%%s checks=%%s', t.typtype,
                CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END, t.typnotnull,
                t.typdefault,
                (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
                   FROM pg_enum e WHERE e.enumtypid = t.oid),
                (SELECT string_agg(format('%%I %%s', k.conname, pg_get_constraintdef(k.oid)), ',' ORDER BY k.conname)
                   FROM pg_constraint k WHERE k.contypid = t.oid))
    FROM pg_type t JOIN spaces s ON s.oid = t.typnamespace
   WHERE t.typtype IN ('d', 'e', 'r')
     AND NOT EXISTS (SELECT FROM brought b WHERE b.classid = 'pg_type'::regclass AND b.objid = t.oid)
),
described AS (
  SELECT l.object, string_agg(l.line, E'\\n' ORDER BY l.line COLLATE "C") AS text FROM lines l GROUP BY l.object
)
SELECT json_build_object(
  'extensions', (
    SELECT coalesce(json_object_agg(e.extname, e.extversion ORDER BY e.extname), '{}') FROM pg_extension e),
  'tables', (
    SELECT coalesce(json_agg(json_build_object(
             'name', t.name, 'schema', t.nspname, 'table', t.relname, 'kind', t.relkind,
             'bytes', CASE WHEN NOT busy.busy THEN pg_total_relation_size(t.oid) END,
             'estimate', CASE WHEN t.reltuples >= 0 THEN round(t.reltuples::numeric) END,
             'why', CASE WHEN NOT has_schema_privilege(t.relnamespace, 'USAGE')
                           OR NOT has_any_column_privilege(t.oid, 'SELECT') THEN 'the login role may not read it'
                         WHEN t.oid IN (SELECT x.oid FROM others_code x)
                         THEN 'functions of another role, in its indexes or statistics, would run as the login role'
                         WHEN EXISTS (SELECT FROM parts p JOIN pg_class c ON c.oid = p.part
                                       WHERE p.oid = t.oid AND c.relkind = 'f')
                         THEN 'a part of it is a foreign table'
                         WHEN row_security_active(t.oid) THEN 'row security hides rows from the login role'
                         WHEN t.relkind = 'm' AND NOT t.relispopulated THEN 'it has never been filled'
                         WHEN t.relpersistence = 'u' AND pg_is_in_recovery()
                         THEN 'it is unlogged, and this is a standby'
                         WHEN busy.busy THEN 'it is locked' END) ORDER BY t.name COLLATE "C"), '[]')
      FROM named t CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM locked l WHERE l.relation IN (t.oid, t.reltoastrelid)
                          OR l.relation IN (SELECT i.indexrelid FROM pg_index i
                                             WHERE i.indrelid IN (t.oid, t.reltoastrelid))) AS busy) busy
     WHERE t.relkind IN ('r', 'p', 'm')),
  'locked', (SELECT coalesce(json_agg(DISTINCT l.relation::regclass::text), '[]') FROM locked l),
  'objects', CASE WHEN NOT EXISTS (SELECT FROM locked) THEN (
    SELECT coalesce(json_object_agg(d.object, left(encode(sha256(convert_to(d.text, 'UTF8')), 'hex'), 16)
                                    ORDER BY d.object COLLATE "C"), '{}') FROM described d) END
) AS document"""
_DOCUMENT = _DOCUMENT.replace("{others_code}", OTHERS_CODE)
DOCUMENT = Query("baseline", {OLDEST: _DOCUMENT})
DOCUMENT_IN_SNAPSHOT = Query("baseline", {OLDEST: _DOCUMENT}, snapshot=True)

SERVER = Query(
    "baseline_server",
    {
        OLDEST: """
SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS in_recovery,
       (SELECT json_object_agg(s.name, s.setting || coalesce(s.unit, '') ORDER BY s.name) FROM pg_settings s
         WHERE s.source IN ('configuration file', 'command line', 'environment variable')) AS settings,
       (SELECT coalesce(json_agg(json_build_object(
                 'name', r.rolname,
                 'attributes', array_remove(ARRAY[
                   CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolcanlogin THEN 'login' END,
                   CASE WHEN r.rolreplication THEN 'replication' END, CASE WHEN r.rolcreatedb THEN 'createdb' END,
                   CASE WHEN r.rolcreaterole THEN 'createrole' END, CASE WHEN r.rolbypassrls THEN 'bypassrls' END,
                   CASE WHEN NOT r.rolinherit THEN 'noinherit' END], NULL),
                 'connection_limit', r.rolconnlimit, 'valid_until', r.rolvaliduntil::text,
                 'member_of', (SELECT coalesce(json_agg(DISTINCT g.rolname), '[]') FROM pg_auth_members m
                                 JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid),
                 'settings', (SELECT coalesce(json_agg(c || coalesce(' in ' || d.datname, '')
                                                       ORDER BY d.datname, c), '[]')
                                FROM pg_db_role_setting x LEFT JOIN pg_database d ON d.oid = x.setdatabase
                               CROSS JOIN unnest(x.setconfig) c WHERE x.setrole = r.oid))
                 ORDER BY r.rolname), '[]')
          FROM pg_roles r WHERE r.rolname !~ '^pg_') AS roles"""
    },
)
IDENTIFIER = Query(
    "system_identifier",
    {OLDEST: "SELECT system_identifier::text AS identifier FROM pg_control_system()"},
    needs=(rights.CONTROL,),
)
HBA = Query(
    "pg_hba_file_rules",
    {
        OLDEST: """
SELECT h.type, h.database, h.user_name, h.address, h.netmask, h.auth_method, h.options, h.error
  FROM pg_hba_file_rules h ORDER BY h.line_number"""
    },
    needs=(rights.HBA_RULES,),
)
