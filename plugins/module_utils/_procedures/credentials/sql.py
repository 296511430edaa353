# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's password: who may change it, what is stored now, and to store another verifier. Never a password itself."""

from __future__ import annotations

from ..._gather.sql import access, configured, connections, rights
from ..._gather.sql.query import OLDEST, Query

SESSION = Query(
    "who may change a password",
    {
        OLDEST: """
SELECT current_user AS name, %s AS own, r.rolsuper AS superuser, r.rolcreaterole AS createrole,
       pg_is_in_recovery() AS in_recovery,
       has_table_privilege('pg_authid', 'SELECT') AS reads_verifiers,
       CAST(coalesce(current_setting('scram_iterations', true), '4096') AS int) AS iterations,
       (SELECT json_agg(s.name || ' = ' || s.setting ORDER BY s.name) FROM pg_settings s
         WHERE (s.name = 'log_transaction_sample_rate' AND CAST(s.setting AS float8) > 0)
            OR (NOT r.rolsuper
                AND ((s.name = 'log_statement' AND s.setting <> 'none')
                     OR (s.name IN ('log_min_duration_statement', 'log_min_duration_sample') AND s.setting <> '-1')
                     OR (s.name = 'pg_stat_statements.track_utility' AND s.setting = 'on'))))
         AS writes
  FROM pg_roles r WHERE r.rolname = current_user""".replace("%s", access.OWN_SESSION.replace("{role}", "%(role)s"))
    },
)

# Nothing, in as many messages as a new password takes.
NOTHING = Query("a transaction of several messages", {OLDEST: "SELECT 1"}, unlogged=True)

# Needs SELECT on pg_authid; ``asked_past``: the wished end is no future one.
ROLE = Query(
    "the role",
    {
        OLDEST: """
SELECT r.rolcanlogin AS can_login, r.rolsuper AS superuser, r.rolpassword AS verifier,
       coalesce(CAST(r.rolvaliduntil AS text), 'infinity') AS valid_until,
       coalesce(r.rolvaliduntil <= now(), false) AS expired,
       coalesce(CAST(%(valid_until)s AS timestamptz) <= now(), false) AS asked_past,
       coalesce(CAST(%(valid_until)s AS timestamptz) = coalesce(r.rolvaliduntil, 'infinity'), true) AS asked_same,
       CAST(CAST(%(valid_until)s AS timestamptz) AS text) AS asked
  FROM pg_authid r WHERE r.rolname = %(role)s"""
    },
)

SET_VERIFIER = Query("a new password", {OLDEST: "ALTER ROLE %(role)s PASSWORD %(verifier)s"}, unlogged=True)

SET_BOTH = Query(
    "a new password and its end",
    {OLDEST: "ALTER ROLE %(role)s PASSWORD %(verifier)s VALID UNTIL %(valid_until)s"},
    unlogged=True,
)

# What triage's snapshot says of it as well. Our own sessions are called oncall, wherever they come from.
SESSIONS = Query(
    "the role's sessions",
    {
        OLDEST: "WITH %s\nSELECT %s AS sessions"
        % (connections.SESSIONS, access.ROLE_SESSIONS.replace("{role}", "%(role)s"))
    },
)

GATE = Query(
    "pg_hba.conf",
    {
        OLDEST: """
WITH RECURSIVE {memberships}
SELECT {hba_rules} AS rules, {hba_loaded} AS loaded,
       {hba_file} AS hba_file,
       (SELECT coalesce(json_agg(DISTINCT g.rolname), '[]') FROM memberships m JOIN pg_roles g ON g.oid = m.granted)
         AS member_of""".replace("{hba_file}", configured.HBA_FILE)
        .replace("{memberships}", access.MEMBERSHIPS)
        .replace("{hba_rules}", configured.HBA_RULES)
        .replace("{hba_loaded}", configured.HBA_LOADED)
    },
    needs=(rights.HBA_RULES, rights.STAT_FILE),
)
