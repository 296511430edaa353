# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a server before anything is changed: all sessions, all locks, the settings; one statement."""

from __future__ import annotations

from .query import OLDEST, Query

# By functions, where there is one, and never waiting: pg_locks is read as it is. A column of a later version by its
# name in the row's JSON.
EVIDENCE = Query(
    "evidence",
    {
        OLDEST: """
SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS in_recovery,
  pg_has_role('pg_read_all_stats', 'USAGE') AS reads_sessions,
  pg_has_role('pg_read_all_settings', 'USAGE') AS reads_settings,
  (SELECT coalesce(json_agg(json_build_object(
     'pid', s.pid, 'backend_type', s.backend_type, 'user', s.rolname, 'database', s.datname,
     'application', coalesce(s.application_name, ''), 'client', host(s.client_addr) || ':' || s.client_port,
     'state', s.state, 'wait_event', s.wait_event_type || ': ' || s.wait_event, 'backend_start', s.backend_start,
     'xact_start', s.xact_start, 'query_start', s.query_start, 'state_change', s.state_change,
     'backend_xid', s.backend_xid::text, 'backend_xmin', s.backend_xmin::text,
     'query', left(nullif(s.query, '<insufficient privilege>'), 4000))), '[]')
     FROM (SELECT a.*, d.datname, o.rolname
             FROM pg_stat_get_activity(NULL) a
             LEFT JOIN pg_database d ON d.oid = a.datid
             LEFT JOIN pg_roles o ON o.oid = a.usesysid
            WHERE a.pid <> pg_backend_pid() AND coalesce(a.application_name, '') <> 'oncall'
            ORDER BY a.state = 'idle', a.xact_start, a.state_change, a.pid LIMIT %(sessions)s) s) AS sessions,
  (SELECT coalesce(json_agg(json_build_object(
     'pid', l.pid, 'granted', l.granted, 'mode', l.mode, 'locktype', l.locktype, 'database', l.datname,
     'relation', CASE WHEN l.here THEN l.relation::regclass::text ELSE l.relation::text END,
     'transaction', coalesce(l.transactionid::text, l.virtualxid), 'holder', l.virtualtransaction,
     'since', to_jsonb(l) ->> 'waitstart')), '[]')
     FROM (SELECT a.*, d.datname,
                  a.database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AS here
             FROM pg_locks a LEFT JOIN pg_database d ON d.oid = a.database
            WHERE a.pid IS DISTINCT FROM pg_backend_pid()
            ORDER BY a.granted, a.pid LIMIT %(locks)s) l) AS locks,
  (SELECT coalesce(json_agg(json_build_object(
     'name', g.name, 'value', g.setting || coalesce(' ' || g.unit, ''), 'source', g.source,
     'pending_restart', g.pending_restart) ORDER BY g.name), '[]')
     FROM pg_settings g WHERE g.source NOT IN ('default', 'session', 'client')) AS settings"""
    },
)
