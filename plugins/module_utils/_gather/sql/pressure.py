# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A query that is as small as one can be and still says how many clients are connected."""

from __future__ import annotations

from .query import OLDEST, Query

# The kind of backend is hidden where the login role may not see others; what has no database is no client.
PROBE = Query(
    "probe",
    {
        OLDEST: """
SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS in_recovery,
       pg_postmaster_start_time() AS started, current_setting('log_destination') AS log_destination,
       (SELECT count(*) FROM pg_stat_activity
         WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
           AND pid <> pg_backend_pid()) AS connections"""
    },
)
