# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles have set for themselves (ALTER ROLE ... SET), who may change it, and to change it."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

from ..._gather.session.bind import identifier
from ..._gather.sql.query import OLDEST, Query
from ..configuration.sql import assigned

# PostgreSQL's manual, "ALTER ROLE": a superuser; the role itself; with CREATEROLE those that are no superusers, from 16
# on those that we are an admin of. Of parameters that only a superuser may set, from 15 on also by GRANT SET.
_ROLES = """
SELECT pg_is_in_recovery() AS in_recovery, me.rolname AS us,
       (SELECT json_agg(r.rolname ORDER BY r.rolname) FROM pg_roles r WHERE r.rolname !~ '^pg_') AS known,
       (SELECT coalesce(json_agg(json_build_object(
                 'role', r.rolname,
                 'ours', me.rolsuper OR r.oid = me.oid OR (me.rolcreaterole AND NOT r.rolsuper AND {admin}),
                 'settings', coalesce((SELECT s.setconfig FROM pg_db_role_setting s
                                        WHERE s.setrole = r.oid AND s.setdatabase = 0), '{}'),
                 'in_databases', (SELECT coalesce(json_agg(json_build_object('database', d.datname, 'settings',
                                                                             s.setconfig) ORDER BY d.datname), '[]')
                                    FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
                                   WHERE s.setrole = r.oid))
                 ORDER BY r.rolname), '[]')
          FROM pg_roles r WHERE r.rolname = ANY (%(roles)s)) AS roles,
       (SELECT coalesce(json_agg(json_build_object(
                 'name', p.name, 'unit', p.unit, 'type', p.vartype, 'min', p.min_val, 'max', p.max_val,
                 'enum', p.enumvals, 'of_roles', p.context IN ('user', 'superuser'),
                 'may', p.context = 'user' OR (p.context = 'superuser' AND {set}))), '[]')
          FROM pg_settings p WHERE lower(p.name) = ANY (%(names)s)) AS parameters
  FROM pg_roles me WHERE me.rolname = current_user"""
ROLES = Query(
    "role_settings",
    {
        OLDEST: _ROLES.replace("{admin}", "true").replace("{set}", "me.rolsuper"),
        150000: _ROLES.replace("{admin}", "true").replace("{set}", "has_parameter_privilege(p.name, 'SET')"),
        160000: _ROLES.replace("{admin}", "pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')").replace(
            "{set}", "has_parameter_privilege(p.name, 'SET')"
        ),
    },
)


def alter(role: str, name: str, value: Optional[Sequence[str]]) -> Tuple[Query, Dict[str, Any]]:
    """``value``: its elements, one where it is no list of names; None: reset."""
    text, params = assigned("ALTER ROLE %(role)s", value)
    return Query("alter role: %s" % name, {OLDEST: text}), {
        "role": identifier(role),
        "name": identifier(name),
        **params,
    }
