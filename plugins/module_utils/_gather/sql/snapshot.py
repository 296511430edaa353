# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All facts that SQL can give, in one statement: one round trip, one point in time, one JSON document.

Parameters: idle_minutes, idle_in_transaction_seconds, long_query_seconds, roles, databases. Columns: ``snapshot``, of
the shape ``_facts.Snapshot`` (texts of queries not masked yet), and ``verifiers``, {role: stored verifier}: no fact.
The session brings search_path = pg_catalog and TimeZone = UTC.
"""

from __future__ import annotations

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


def _compose(settings: str, configured_json: str, roles: str, verifiers: str) -> str:
    text = _STATEMENT
    for name, part in {
        "settings": settings,
        "sessions": connections.SESSIONS,
        "clients": connections.CLIENTS,
        "waiting": activity.WAITING,
        "edges": activity.EDGES,
        "memberships": access.MEMBERSHIPS,
        "connections": connections.CONNECTIONS,
        "limits": connections.LIMITS,
        "activity": activity.ACTIVITY,
        "configured": configured_json,
        "roles": roles,
        "databases": access.DATABASES,
        "soundness": soundness.SOUNDNESS,
        "verifiers": verifiers,
    }.items():
        text = text.replace("{%s}" % name, part)
    return text


SNAPSHOT = Query(
    "snapshot", {OLDEST: _compose(configured.SETTINGS, configured.CONFIGURED, access.ROLES, access.VERIFIERS)}
)
# For login roles that are no superuser: without pg_authid, pg_file_settings and pg_hba_file_rules.
SNAPSHOT_LIMITED = Query(
    "snapshot_limited",
    {OLDEST: _compose(configured.SETTINGS_LIMITED, configured.CONFIGURED_LIMITED, access.ROLES_LIMITED, "'{}'::json")},
)
