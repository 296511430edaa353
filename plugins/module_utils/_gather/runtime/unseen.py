# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a server of which nothing has been seen yet: each runtime fills in what it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..._model.facts import ServerFacts


def unseen(name: str, state: str) -> ServerFacts:
    """Facts of a server whose process cannot be seen."""
    return {
        "name": name,
        "service": None,
        "image": None,
        "engine_command": None,
        "state": state,
        "exit_code": None,
        "signal": None,
        "out_of_memory": None,
        "engine_error": None,
        "started_at": None,
        "finished_at": None,
        "uptime_seconds": None,
        "restart_count": None,
        "restart_policy": None,
        "restart_loop": False,
        "health": None,
        "postmaster_pid": None,
        "postmaster_state": None,
        "processes": [],
        "data_directory": None,
        "program_version": None,
        "other_clusters": [],
        "directory_used_by": [],
        "directory_unseen": None,
        "obstacle": None,
        "disks": [],
        "mounts": [],
        "nofile_soft": None,
        "nofile_hard": None,
        "memory_limit_bytes": None,
        "lock_file": None,
        "control": None,
        "configuration": None,
        "altered_settings": None,
        "listening": None,
        "published": [],
        "networks": [],
        "log": [],
        "log_lines_read": 0,
        "log_source": None,
    }
