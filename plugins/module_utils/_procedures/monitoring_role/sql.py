# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role that monitoring logs in with: what it is, who may change it, and to change it."""

from __future__ import annotations

from ..._gather.sql.query import OLDEST, Query

# ``memberships``: those of the predefined roles that the server knows; the second one since 16 (reserved_connections).
LOOK = Query(
    "the monitoring role",
    {
        OLDEST: """
SELECT pg_is_in_recovery() AS in_recovery, me.rolname AS us, me.rolsuper OR me.rolcreaterole AS may,
       has_table_privilege('pg_authid', 'SELECT') AS reads_verifiers,
       CAST(coalesce(current_setting('scram_iterations', true), '4096') AS int) AS iterations,
       (SELECT json_agg(g.rolname) FROM pg_roles g WHERE g.rolname IN ('pg_monitor', 'pg_use_reserved_connections'))
         AS memberships,
       (SELECT json_build_object(
                 'mark', shobj_description(r.oid, 'pg_authid'),
                 'plain', r.rolcanlogin AND coalesce(r.rolvaliduntil = 'infinity', true),
                 'powerful', r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls,
                 'limit', r.rolconnlimit,
                 'member_of', (SELECT coalesce(json_agg(g.rolname), '[]')
                                 FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid))
          FROM pg_roles r WHERE r.rolname = %(role)s) AS role
  FROM pg_roles me WHERE me.rolname = current_user"""
    },
)
# Only where pg_authid may be read.
VERIFIER = Query(
    "its verifier", {OLDEST: "SELECT r.rolpassword AS verifier FROM pg_authid r WHERE r.rolname = %(role)s"}
)

CREATE = Query("make the monitoring role", {OLDEST: "CREATE ROLE %(role)s"})
COMMENT = Query("mark it as ours", {OLDEST: "COMMENT ON ROLE %(role)s IS %(mark)s"})
GRANT = Query("let it see", {OLDEST: "GRANT %(membership)s TO %(role)s"})
# Before PostgreSQL 16 only a superuser may so much as say these words.
POWERLESS = Query(
    "the powers of the monitoring role",
    {OLDEST: "ALTER ROLE %(role)s NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS"},
)
DROP = Query("drop the monitoring role", {OLDEST: "DROP ROLE %(role)s"})


def plain(limit: int) -> Query:
    """Its attributes; a connection limit is no value to be bound, but a number of the grammar."""
    return Query(
        "the attributes of the monitoring role",
        {
            OLDEST: "ALTER ROLE %%(role)s LOGIN CONNECTION LIMIT %d VALID UNTIL 'infinity'" % limit,
        },
    )
