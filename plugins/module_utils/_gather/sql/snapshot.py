# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All facts that SQL can give, in one statement: one round trip, one point in time, one JSON document.

Views that are wide or join much are read by the functions under them: a fifth of what a new backend spends on it all.

Parameters: idle_minutes, idle_in_transaction_seconds, long_query_seconds, overload_seconds, roles, databases. Columns:
``snapshot``, of the shape ``_facts.Snapshot`` (texts of queries not masked yet), and ``verifiers``, {role: stored
verifier}: no fact.
The session brings search_path = pg_catalog and TimeZone = UTC.
"""

from __future__ import annotations

import functools
from typing import Dict, Iterable, Tuple

from . import access, activity, collations, configured, connections, rights, soundness
from .query import OLDEST, Query

_STATEMENT = """
WITH RECURSIVE {settings},
{sessions},
{clients},
{waiting},
{edges},
{blocks},
{counters},
{memberships},
{moved}
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
    "blocks": activity.BLOCKS,
    "counters": activity.COUNTERS,
    "memberships": access.MEMBERSHIPS,
    "connections": connections.CONNECTIONS,
    "limits": connections.LIMITS,
    "activity": activity.ACTIVITY,
    "configured": configured.CONFIGURED,
    "file_errors": configured.FILE_ERRORS,
    "hba_rules": configured.HBA_RULES,
    "hba_loaded": configured.HBA_LOADED,
    "roles": access.ROLES,
    "databases": access.DATABASES,
    "soundness": soundness.SOUNDNESS,
    "verifiers": access.VERIFIERS,
}
# Instead of those, where the right to read it is missing.
_WITHOUT: Dict[str, Dict[str, str]] = {
    rights.AUTHID: {"roles": access.ROLES_LIMITED, "verifiers": "'{}'::json"},
    rights.FILE_SETTINGS: {"settings": configured.SETTINGS_LIMITED, "file_errors": "'[]'::json"},
    rights.HBA_RULES: {"hba_rules": "null"},
    rights.STAT_FILE: {"hba_loaded": "null"},
}
# Where no client was declared there is nobody to ask for, which spares the server an eighth of the work.
_NOBODY = {
    "memberships": "memberships AS (SELECT)",
    "roles": "'[]'::json",
    "databases": "'[]'::json",
    "verifiers": "'{}'::json",
}


# Hash tables are made as large as they may be, and a server that allows much to a query may have no room for ours.
_MEMORY = {"work_mem": "4MB", "hash_mem_multiplier": "1", "max_parallel_workers_per_gather": "0"}


def snapshot(without: Iterable[str], asked: bool) -> Query:
    """``without``: names of ``rights`` that we lack. ``asked``: whether any role or database is asked for."""
    return _compose(tuple(sorted(without)), asked)


@functools.lru_cache(maxsize=None)
def _compose(without: Tuple[str, ...], asked: bool) -> Query:
    parts = dict(_PARTS)
    for name in without:
        parts.update(_WITHOUT[name])
    if not asked:
        parts.update(_NOBODY)
    text = _STATEMENT
    for part, sql in parts.items():
        text = text.replace("{%s}" % part, sql)
    read = [name for name in rights.ALL if name not in without and (asked or name != rights.AUTHID)]
    texts = {}
    for least in (OLDEST, 150000, 160000):
        own = {
            "conflicts": activity.CONFLICTS_16 if least >= 160000 else activity.CONFLICTS,
            "moved": collations.MOVED[min(least, 150000)],
            "moved_collations": collations.SNAPSHOT[min(least, 150000)],
        }
        texts[least] = text
        for part, sql in own.items():
            texts[least] = texts[least].replace("{%s}" % part, sql)
    return Query("snapshot_limited" if without else "snapshot", texts, needs=tuple(read), settings=_MEMORY)
