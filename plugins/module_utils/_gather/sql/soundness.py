# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data, disk and replication: checksums, ages, standbys, slots, the receiver of a standby, moved collations."""

from __future__ import annotations

# pg_current_wal_lsn() is an error during recovery; CASE keeps it from being called.
_HERE = "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)"

# On a standby that has replayed all it received, the time of the last transaction only says how quiet the primary is.
SOUNDNESS = """json_build_object(
  'checksum_failures', (
    SELECT coalesce(json_agg(json_build_object('database', d.datname, 'count', d.checksum_failures,
                                               'last_failure', d.checksum_last_failure) ORDER BY d.datname), '[]')
      FROM counters d WHERE d.checksum_failures > 0),
  'transaction_age', (
    SELECT coalesce(json_agg(json_build_object('database', d.datname, 'xid_age', d.xid_age,
                                               'multixact_age', d.multixact_age)), '[]')
      FROM (SELECT datname, age(datfrozenxid) AS xid_age, mxid_age(datminmxid) AS multixact_age
              FROM pg_database ORDER BY 2 DESC, 3 DESC, 1) d),
  'autovacuum_freeze_max_age', current_setting('autovacuum_freeze_max_age')::bigint,
  'standbys', (
    SELECT coalesce(json_agg(json_build_object(
             'application', coalesce(r.application_name, ''), 'client_address', host(r.client_addr),
             'state', coalesce(r.state, 'unknown'), 'sync_state', coalesce(r.sync_state, 'unknown'),
             'replay_lag_seconds', round(extract(epoch FROM r.replay_lag)::numeric, 3),
             'replay_lag_bytes', pg_wal_lsn_diff({here}, r.replay_lsn)::bigint)
             ORDER BY r.application_name, r.pid), '[]')
      FROM (SELECT a.pid, a.application_name, a.client_addr, w.state, w.sync_state, w.replay_lag, w.replay_lsn
              FROM pg_stat_get_activity(NULL) a JOIN pg_stat_get_wal_senders() w ON w.pid = a.pid) r),
  'slots', (
    SELECT coalesce(json_agg(json_build_object(
             'name', s.slot_name, 'type', s.slot_type, 'active', s.active,
             'retained_bytes', pg_wal_lsn_diff({here}, s.restart_lsn)::bigint,
             'wal_status', s.wal_status) ORDER BY s.slot_name), '[]')
      FROM pg_get_replication_slots() s),
  'receiver', CASE WHEN pg_is_in_recovery() THEN (
    SELECT json_build_object(
             'status', w.status, 'sender_host', w.sender_host,
             'replay_lag_seconds', CASE WHEN pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() THEN
               round(greatest(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)::numeric, 3) END)
      FROM (SELECT) AS always LEFT JOIN pg_stat_wal_receiver w ON true) END,
  'collations', {moved_collations}
)""".replace("{here}", _HERE)
