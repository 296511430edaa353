# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a primary and its standbys must agree on."""

from __future__ import annotations

# A standby replays only while it has at least its primary's (PostgreSQL's manual, "Hot Standby Administrator's
# Overview").
OF_STANDBYS = (
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
)
