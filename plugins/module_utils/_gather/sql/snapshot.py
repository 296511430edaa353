# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All facts that SQL can give, in one statement: one round trip, one point in time, one JSON document.

Parameters: idle_minutes, idle_in_transaction_seconds, long_query_seconds, roles, databases. Columns: ``snapshot``, of
the shape ``_facts.Snapshot`` (texts of queries not masked yet), and ``verifiers``, {role: stored verifier}: no fact.
The session brings search_path = pg_catalog and TimeZone = UTC.
"""

from __future__ import annotations

from typing import Mapping

from . import access, activity, configured, connections, soundness
from .query import OLDEST, Query

_STATEMENT = """
WITH RECURSIVE {settings},
{sessions},
{clients},
{waiting},
{edges},
{memberships}
SELECT json_build_object(
  'at', now(),
  'version', split_part(current_setting('server_version'), ' ', 1),
  'version_num', current_setting('server_version_num')::int,
  'started_at', pg_postmaster_start_time(),
  'in_recovery', pg_is_in_recovery(),
  'limited', NOT pg_has_role('pg_read_all_stats', 'USAGE'),
  'connections', {connections},
  'limits', {limits},
  'activity', {activity},
  'configured', {configured},
  'roles', {roles},
  'databases', {databases},
  'soundness', {soundness}
) AS snapshot, {verifiers} AS verifiers
"""
_PARTS = {
    "settings": configured.SETTINGS,
    "sessions": connections.SESSIONS,
    "clients": connections.CLIENTS,
    "waiting": activity.WAITING,
    "edges": activity.EDGES,
    "memberships": access.MEMBERSHIPS,
    "connections": connections.CONNECTIONS,
    "limits": connections.LIMITS,
    "activity": activity.ACTIVITY,
    "configured": configured.CONFIGURED,
    "roles": access.ROLES,
    "databases": access.DATABASES,
    "soundness": soundness.SOUNDNESS,
    "verifiers": access.VERIFIERS,
}
# For login roles that are no superuser: without pg_authid, pg_file_settings and pg_hba_file_rules.
_LIMITED = {
    "settings": configured.SETTINGS_LIMITED,
    "configured": configured.CONFIGURED_LIMITED,
    "roles": access.ROLES_LIMITED,
    "verifiers": "'{}'::json",
}
# Where no client was declared there is nobody to ask for, which spares the server an eighth of the work.
_NOBODY = {
    "memberships": "memberships AS (SELECT)",
    "roles": "'[]'::json",
    "databases": "'[]'::json",
    "verifiers": "'{}'::json",
}


def _compose(name: str, *instead: Mapping[str, str]) -> Query:
    parts = dict(_PARTS)
    for each in instead:
        parts.update(each)
    text = _STATEMENT
    for part, sql in parts.items():
        text = text.replace("{%s}" % part, sql)
    return Query(name, {OLDEST: text})


_SNAPSHOTS = {
    (limited, asked): _compose(
        "snapshot_limited" if limited else "snapshot", _LIMITED if limited else {}, {} if asked else _NOBODY
    )
    for limited in (False, True)
    for asked in (False, True)
}


def snapshot(limited: bool, asked: bool) -> Query:
    """``asked``: whether any role or database is asked for."""
    return _SNAPSHOTS[limited, asked]
