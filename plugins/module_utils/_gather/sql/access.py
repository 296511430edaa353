# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May they log in: the roles and databases that clients ask for, memberships and the CONNECT privilege.

Only ROLES and VERIFIERS read pg_authid, which superusers alone may.
"""

from __future__ import annotations

# UNION, not UNION ALL: ends even where memberships came to form a circle.
MEMBERSHIPS = """
memberships (member, granted) AS (
  SELECT r.oid, m.roleid FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid WHERE r.rolname = ANY ({roles})
  UNION
  SELECT up.member, m.roleid FROM memberships up JOIN pg_auth_members m ON m.member = up.granted
)"""

_ROLES = """(
  SELECT coalesce(json_agg(json_build_object(
           'name', asked.name, 'exists', r.oid IS NOT NULL, 'can_login', r.rolcanlogin, 'superuser', r.rolsuper,
           'valid_until', CASE WHEN isfinite(r.rolvaliduntil) THEN r.rolvaliduntil END,
           'expired', CASE WHEN r.oid IS NOT NULL THEN coalesce(r.rolvaliduntil < now(), false) END,
           'connection_limit', r.rolconnlimit,
           'verifier', {verifier}, 'settable', {settable},
           'member_of', (SELECT coalesce(json_agg(g.rolname ORDER BY g.rolname), '[]')
                           FROM memberships m JOIN pg_roles g ON g.oid = m.granted WHERE m.member = r.oid),
           'sessions', {sessions}, 'own', {own})
           ORDER BY asked.ordinality), '[]')
    FROM unnest({roles}) WITH ORDINALITY AS asked (name, ordinality)
    LEFT JOIN {catalog} r ON r.rolname = asked.name)"""

_VERIFIER = """CASE WHEN r.oid IS NULL THEN null
                            WHEN r.rolpassword IS NULL THEN 'none'
                            WHEN r.rolpassword LIKE 'SCRAM-SHA-256$%%' THEN 'scram-sha-256'
                            ELSE 'md5' END"""

# Since PostgreSQL 16 CREATEROLE needs ADMIN OPTION on the role, too.
_SETTABLE = """(
             SELECT me.rolsuper OR (me.rolcreaterole AND NOT r.rolsuper
                                    AND (current_setting('server_version_num')::int < 160000
                                         OR pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')))
               FROM pg_roles me WHERE me.rolname = current_user AND r.oid IS NOT NULL)"""

# Those that have logged in, standbys among them; a parallel worker has its leader's role, and has not.
ROLE_SESSIONS = """(
             SELECT coalesce(json_agg(u ORDER BY u.client_address, u.database, u.application), '[]')
               FROM (SELECT s.client_address, s.database, s.application, count(*) AS sessions FROM sessions s
                      WHERE s.user_name = {role}
                        AND coalesce(s.backend_type, 'walsender') IN ('client backend', 'walsender')
                      GROUP BY 1, 2, 3) u)"""

# How we are logged in ourselves, where it is as that role.
OWN_SESSION = """(
             SELECT json_build_object('client_address', host(inet_client_addr()), 'database', current_database(),
                                      'application', current_setting('application_name'), 'sessions', 1)
              WHERE session_user = {role})"""

DATABASES = """(
  SELECT coalesce(json_agg(json_build_object(
           'name', asked.name, 'exists', d.oid IS NOT NULL, 'allows_connections', d.datallowconn,
           'connection_limit', d.datconnlimit,
           'connect_privilege', (
             SELECT coalesce(json_object_agg(w.name, has_database_privilege(r.oid, d.oid, 'CONNECT')), '{}')
               FROM unnest({roles}) AS w (name) LEFT JOIN pg_roles r ON r.rolname = w.name))
           ORDER BY asked.ordinality), '[]')
    FROM unnest({databases}) WITH ORDINALITY AS asked (name, ordinality)
    LEFT JOIN pg_database d ON d.datname = asked.name)"""

# Not part of the facts: compared with the clients' passwords, then forgotten.
VERIFIERS = """(
  SELECT coalesce(json_object_agg(rolname, rolpassword), '{}')
    FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname = ANY ({roles}))"""


def _bound(text: str) -> str:
    return text.replace("{roles}", "CAST(%(roles)s AS text[])").replace("{databases}", "CAST(%(databases)s AS text[])")


MEMBERSHIPS, DATABASES, VERIFIERS = _bound(MEMBERSHIPS), _bound(DATABASES), _bound(VERIFIERS)
_ROLES = _ROLES.replace("{sessions}", ROLE_SESSIONS).replace("{own}", OWN_SESSION).replace("{role}", "asked.name")
ROLES = _bound(
    _ROLES.replace("{verifier}", _VERIFIER).replace("{settable}", _SETTABLE).replace("{catalog}", "pg_authid")
)
ROLES_LIMITED = _bound(
    _ROLES.replace("{verifier}", "null").replace("{settable}", "false").replace("{catalog}", "pg_roles")
)
