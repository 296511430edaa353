# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements around a restart."""

from __future__ import annotations

from ..._gather.sql.query import OLDEST, Query

CHECKPOINT = Query("checkpoint", {OLDEST: "CHECKPOINT"}, alone=True)
STARTED = Query("started", {OLDEST: "SELECT pg_postmaster_start_time() AS started_at"})
