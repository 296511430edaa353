# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a client is connected again: its sessions, and the server's own clock to tell new ones from old ones."""

from __future__ import annotations

from .query import OLDEST, Query

CLOCK = Query("clock", {OLDEST: "SELECT clock_timestamp()::text AS now"})

# Without pg_read_all_stats the application's name may be seen, its session's start not.
SESSIONS = Query(
    "sessions_of_client",
    {
        OLDEST: """
SELECT count(*) AS sessions
  FROM pg_stat_activity
 WHERE application_name = %(application)s
   AND pid <> pg_backend_pid()
   AND coalesce(backend_start, 'infinity') >= coalesce(%(since)s::timestamptz, '-infinity')"""
    },
)
