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
           'verifier', {verifier},
           'member_of', (SELECT coalesce(json_agg(g.rolname ORDER BY g.rolname), '[]')
                           FROM memberships m JOIN pg_roles g ON g.oid = m.granted WHERE m.member = r.oid))
           ORDER BY asked.ordinality), '[]')
    FROM unnest({roles}) WITH ORDINALITY AS asked (name, ordinality)
    LEFT JOIN {catalog} r ON r.rolname = asked.name)"""

_VERIFIER = """CASE WHEN r.oid IS NULL THEN null
                            WHEN r.rolpassword IS NULL THEN 'none'
                            WHEN r.rolpassword LIKE 'SCRAM-SHA-256$%%' THEN 'scram-sha-256'
                            ELSE 'md5' END"""

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
ROLES = _bound(_ROLES.replace("{verifier}", _VERIFIER).replace("{catalog}", "pg_authid"))
ROLES_LIMITED = _bound(_ROLES.replace("{verifier}", "null").replace("{catalog}", "pg_roles"))
