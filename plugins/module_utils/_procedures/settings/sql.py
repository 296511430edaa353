# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters as the files give them and as the server uses them; who may change them; and ALTER SYSTEM.

``names`` are in small letters: the server takes a parameter's name in any.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple

from ..._gather.session.bind import identifier
from ..._gather.sql import rights
from ..._gather.sql.configured import PENDING
from ..._gather.sql.query import OLDEST, Query
from ..._model.standby import OF_STANDBYS
from ..configuration import sql as configuration

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._gather.session.base import Session

NEEDED = (rights.ALL_SETTINGS, *rights.TO_RELOAD)

# The right to one parameter came with 15. Before, only a superuser has it.
_WHO = """
SELECT current_user::text AS user, current_database()::text AS database,
       current_setting('is_superuser') = 'on' AS superuser, pg_is_in_recovery() AS in_recovery,
       CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE')
            THEN (SELECT system_identifier::text FROM pg_control_system()) END AS system_identifier,
       current_setting('server_version_num')::int AS version_num,
       current_setting('allow_alter_system', true) AS allow_alter_system,
       string_to_array({missing}, ' ') AS missing,
       (SELECT coalesce(json_agg(n ORDER BY n), '[]') FROM unnest(%(names)s) n
         WHERE current_setting('is_superuser') <> 'on' AND NOT {may}) AS may_not_alter"""
_WHO = _WHO.replace("{missing}", rights.missing(NEEDED))
WHO = Query(
    "who may change settings",
    {
        OLDEST: _WHO.replace("{may}", "false"),
        150000: _WHO.replace("{may}", "has_parameter_privilege(n, 'ALTER SYSTEM')"),
    },
)

FILES = replace(configuration.FILES, bare=True)

# pg_file_settings comes first, as in ``configuration``. A file that decides who gets in would be loaded as well: one
# that was changed within the second of the last load cannot be told from one before it, and is passed over.
NOW = Query(
    "settings now",
    {
        OLDEST: r"""
WITH files AS MATERIALIZED (SELECT * FROM pg_file_settings),
settings AS MATERIALIZED (SELECT * FROM pg_settings WHERE (SELECT count(*) FROM files) >= 0),
paths AS (
  SELECT setting AS path FROM settings WHERE name IN ('hba_file', 'ident_file')
  UNION SELECT to_jsonb(h) ->> 'file_name' FROM pg_hba_file_rules h WHERE to_jsonb(h) ->> 'file_name' IS NOT NULL)
SELECT
  (SELECT json_agg(s.name ORDER BY s.name) FROM settings s) AS known,
  (SELECT s.setting || '/postgresql.auto.conf' FROM settings s WHERE s.name = 'data_directory') AS auto_file,
  (SELECT coalesce(json_agg(json_build_object(
            'name', s.name, 'setting', s.setting, 'unit', s.unit, 'type', s.vartype, 'context', s.context,
            'min', s.min_val, 'max', s.max_val, 'enum', s.enumvals, 'default', s.boot_val, 'source', s.source,
            'file', s.sourcefile, 'line', s.sourceline, 'pending_restart', {pending})), '[]')
     FROM settings s WHERE lower(s.name) = ANY (%(names)s)) AS rows,
  (SELECT coalesce(json_agg(json_build_object(
            'name', lower(f.name), 'value', f.setting, 'file', f.sourcefile, 'line', f.sourceline)
            ORDER BY f.seqno), '[]')
     FROM files f WHERE lower(f.name) = ANY (%(names)s)) AS entries,
  (SELECT coalesce(json_agg(json_build_object(
            'name', lower(split_part(c.entry, '=', 1)), 'value', substr(c.entry, strpos(c.entry, '=') + 1),
            'role', a.rolname, 'database', d.datname) ORDER BY a.rolname, d.datname), '[]')
     FROM pg_db_role_setting l CROSS JOIN LATERAL unnest(l.setconfig) c (entry)
     LEFT JOIN pg_roles a ON a.oid = l.setrole LEFT JOIN pg_database d ON d.oid = l.setdatabase
    WHERE lower(split_part(c.entry, '=', 1)) = ANY (%(names)s)) AS levels,
  (SELECT coalesce(json_agg(p.path ORDER BY p.path), '[]') FROM paths p, pg_stat_file(p.path, true) f
    WHERE greatest(f.change, f.modification) > pg_conf_load_time()) AS unloaded,
  (SELECT json_object_agg(s.name, s.setting::int) FROM settings s WHERE s.name = ANY (%(of_standbys)s)) AS of_standbys
""".replace("{pending}", PENDING)
    },
    bare=True,
)

# A superuser's alone, too. For what our own role or database hides of it.
COMMAND_LINE = Query("command line", {OLDEST: "SELECT pg_read_file('postmaster.opts', 0, 100000, true) AS text"})

# Only a superuser may ask where libraries are; and names that lead elsewhere are not looked for.
MISSING_LIBRARIES = Query(
    "missing libraries",
    {
        OLDEST: r"""
SELECT l.name FROM pg_config c, (SELECT regexp_replace(n, '^\$libdir/|\.so$', '', 'g') AS name
                                   FROM unnest(%(libraries)s) n) l
 WHERE c.name = 'PKGLIBDIR' AND l.name !~ '/' AND current_setting('dynamic_library_path') = '$libdir'
   AND (SELECT size FROM pg_stat_file(c.setting || '/' || l.name || '.so', true)) IS NULL"""
    },
)

# A path that leads nowhere, or is of the data directory, as the server takes it.
MISSING_FILES = Query(
    "missing files",
    {
        OLDEST: """
SELECT f.name FROM unnest(%(names)s, %(paths)s) f (name, path)
 WHERE (SELECT size FROM pg_stat_file(f.path, true)) IS NULL"""
    },
)


def now(session: Session, deadline: Deadline, names: Sequence[str]) -> Dict[str, Any]:
    return session.query(NOW, deadline, names=names, of_standbys=OF_STANDBYS)[0]


def alter(name: str, value: Optional[Sequence[str]]) -> Tuple[Query, Dict[str, Any]]:
    """``value``: its elements, one where it is no list of names; None: reset."""
    text, params = configuration.assigned("ALTER SYSTEM", value)
    query = Query("alter system: %s" % name, {OLDEST: text}, alone=True)
    return query, {"name": identifier(name), **params}
