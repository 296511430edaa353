# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the slots: client backends by state, the long idle ones, and the limits of roles and databases.

Used by several subjects: ``SESSIONS`` (every backend but ours) and ``CLIENTS`` (the client backends among them).
"""

from __future__ import annotations

# A cancel that arrives just before the wait ends the wait, too. So a COMMIT under way is let alone as well, and what
# writes while no synchronous standby is connected: a statement may commit by itself, and nothing shows how near it is.
SYNC = """CASE WHEN a.wait_event = 'SyncRep' THEN 'waits'
               WHEN a.state = 'active' AND current_setting('synchronous_standby_names') <> ''
                    AND (a.query ~* '^\\s*(commit|end|prepare\\s+transaction)\\M'
                         OR (a.backend_xid IS NOT NULL AND a.wait_event_type IS DISTINCT FROM 'Lock'
                             AND NOT EXISTS (SELECT FROM pg_stat_get_wal_senders()
                                              WHERE sync_state IN ('sync', 'quorum'))))
               THEN 'commits' END"""

# Of a row ``a`` of pg_stat_activity and its role ``o``: whether the current role may signal it.
MAY_SIGNAL = """coalesce(current_setting('is_superuser') = 'on'
                          OR (NOT coalesce(o.rolsuper, false)
                              AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))),
                          false)"""

# Without pg_read_all_stats other roles' rows have no backend_type: then what has a role and a database is taken for a
# client (a parallel worker would be, too). Our own sessions are never counted.
SESSIONS = """
sessions AS MATERIALIZED (
  SELECT a.pid, a.backend_start, o.rolname AS user_name, d.datname AS database, a.usesysid, a.datid,
         coalesce(a.application_name, '') AS application, host(a.client_addr) AS client_address,
         a.state, a.state_change, a.xact_start, a.query_start, a.wait_event_type, a.wait_event,
         coalesce(o.rolsuper, false) AS superuser,
         coalesce({sync}, CASE WHEN NOT {may_signal} THEN 'no_right'
                               WHEN o.rolreplication AND NOT o.rolsuper THEN 'replication' END) AS spared,
         left(nullif(a.query, '<insufficient privilege>'), 4000) AS query,
         round(greatest(extract(epoch FROM now() - a.state_change), 0)::numeric, 3) AS state_seconds,
         round(greatest(extract(epoch FROM now() - a.xact_start), 0)::numeric, 3) AS transaction_seconds,
         CASE WHEN a.state = 'active'
              THEN round(greatest(extract(epoch FROM now() - a.query_start), 0)::numeric, 3) END AS query_seconds,
         a.backend_type,
         coalesce(a.backend_type = 'client backend', a.usesysid IS NOT NULL AND a.datid IS NOT NULL) AS is_client
    FROM pg_stat_get_activity(NULL) a
    LEFT JOIN pg_database d ON d.oid = a.datid
    LEFT JOIN pg_roles o ON o.oid = a.usesysid
   WHERE a.pid <> pg_backend_pid() AND coalesce(a.application_name, '') <> 'oncall'
)""".replace("{sync}", SYNC).replace("{may_signal}", MAY_SIGNAL)

# PostgreSQL 18 shows those that have not logged in yet, our own probes among them; older ones do not.
CLIENTS = "clients AS (SELECT * FROM sessions WHERE is_client AND state IS DISTINCT FROM 'starting')"

# The JSON of one session; ``s`` is a row of SESSIONS. Its start is empty where it may not be seen.
SESSION = """json_build_object(
  'pid', s.pid, 'backend_start', coalesce(to_json(s.backend_start), '""'), 'user', s.user_name,
  'database', s.database,
  'application', s.application, 'client_address', s.client_address, 'state', s.state,
  'state_seconds', s.state_seconds, 'transaction_seconds', s.transaction_seconds, 'query_seconds', s.query_seconds,
  'wait_event_type', s.wait_event_type, 'wait_event', s.wait_event, 'backend_type', s.backend_type,
  'superuser', s.superuser, 'spared', s.spared, 'query', s.query)"""

CONNECTIONS = """json_build_object(
  'max_connections', current_setting('max_connections')::int,
  'superuser_reserved', current_setting('superuser_reserved_connections')::int,
  'reserved', coalesce(current_setting('reserved_connections', true)::int, 0),
  'used', (SELECT count(*) FROM clients),
  'groups', (
    SELECT coalesce(json_agg(json_build_object(
             'state', g.state, 'database', g.database, 'user', g.user_name, 'application', g.application,
             'client_address', g.client_address, 'sessions', g.sessions, 'longest_state_seconds', g.longest)), '[]')
      FROM (SELECT state, database, user_name, application, client_address,
                   count(*) AS sessions, max(state_seconds) AS longest
              FROM clients GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 1, 2, 3, 4, 5) g),
  'idle', (
    SELECT coalesce(json_agg({session}), '[]')
      FROM (SELECT * FROM clients WHERE state = 'idle' ORDER BY state_change, pid LIMIT 50) s),
  'idle_in_transaction', (
    SELECT coalesce(json_agg({session}), '[]')
      FROM (SELECT * FROM clients WHERE state LIKE 'idle in transaction%%' ORDER BY state_change, pid LIMIT 50) s),
  'active', (
    SELECT coalesce(json_agg({session}), '[]')
      FROM (SELECT * FROM clients WHERE query_seconds >= %(overload_seconds)s ORDER BY query_start, pid LIMIT 50) s),
  'long_idle', (
    SELECT count(*) FROM clients WHERE state = 'idle' AND state_seconds >= %(idle_minutes)s * 60),
  'long_idle_in_transaction', (
    SELECT count(*) FROM clients
     WHERE state LIKE 'idle in transaction%%' AND state_seconds >= %(idle_in_transaction_seconds)s)
)""".replace("{session}", SESSION)

# Superusers are not held to their role's limit (PostgreSQL, CREATE ROLE: "CONNECTION LIMIT").
LIMITS = """json_build_object(
  'roles', (
    SELECT coalesce(json_agg(json_build_object('name', r.rolname, 'limit', r.rolconnlimit, 'used', (
             SELECT count(*) FROM clients c WHERE c.usesysid = r.oid)) ORDER BY r.rolname), '[]')
      FROM pg_roles r WHERE r.rolconnlimit >= 0 AND r.rolcanlogin AND NOT r.rolsuper),
  'databases', (
    SELECT coalesce(json_agg(json_build_object('name', d.datname, 'limit', d.datconnlimit, 'used', (
             SELECT count(*) FROM clients c WHERE c.datid = d.oid)) ORDER BY d.datname), '[]')
      FROM pg_database d WHERE d.datconnlimit >= 0 AND d.datallowconn)
)"""
