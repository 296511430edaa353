# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are known by their ``application_name``: long by nature, and never to be ended by the way."""

from __future__ import annotations

from typing import Sequence

BACKUPS = (
    "pg_dump",  # and pg_dumpall
    "pg_basebackup",
    "pg_receivewal",
    "pg_probackup",
    "pgbackrest",
    "pghoard",
    "barman",
    "wal-g",
    "wal-e",
)
# What restores, copies or fails a cluster over
KEEPERS = ("pg_restore", "pg_recvlogical", "pg_rewind", "pg_upgrade", "patroni", "repmgr")
PROTECTED = BACKUPS + KEEPERS


def is_any(tools: Sequence[str], application: str) -> bool:
    """Tools put their name first: ``pgBackRest [backup]``, ``barman_receive_wal``, ``pg_dumpall``."""
    name = application.strip().lower()
    return any(tool and name.startswith(tool.lower()) for tool in tools)
