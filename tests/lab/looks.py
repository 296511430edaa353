# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be the same before and after a look."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from .stack import Stack, docker

# A running server writes these by itself.
_ITS_OWN = (
    "base",
    "global",
    "pg_wal",
    "pg_stat",
    "pg_stat_tmp",
    "pg_xact",
    "pg_subtrans",
    "pg_multixact",
    "pg_logical",
)


def containers(stack: Stack) -> dict[str, Any]:
    """Everything of the project, and every container that a look at it may have left behind."""
    label = "label=com.docker.compose.project=" + stack.project
    ours = docker("ps", "-aq", "--no-trunc", "--filter", label).split()
    kept: dict[str, Any] = {}
    if not ours:
        return kept
    for one in [*json.loads(docker("inspect", *ours)), *toolboxes(stack.project)]:
        state, networks = one["State"], sorted(one["NetworkSettings"]["Networks"])
        kept[one["Name"]] = (one["Id"], state["Status"], state["StartedAt"], one["RestartCount"], networks)
    return kept


def toolboxes(project: str, *filters: str) -> list[dict[str, Any]]:
    """Our own containers beside those of the project; on the same engine there may be others' at any time."""
    ours = docker("ps", "-aq", "--no-trunc", "--filter", "label=com.docker.compose.project=" + project).split()
    found = docker("ps", "-aq", "--no-trunc", "--filter", "label=oncall.postgresql", *filters).split()
    # Somebody else's may be gone by now; what is left is printed all the same.
    inspected = json.loads(docker("inspect", *found, check=False)) if found else []
    return [one for one in inspected if any(name in json.dumps(one["HostConfig"]) for name in (project, *ours))]


# Of the cluster's files those that a server removes by itself: WAL and what is only for the moment.
_PASSING = ("pg_wal", "pg_stat", "pg_stat_tmp", "pg_subtrans", "pg_notify", "pg_serial", "pg_twophase", "pg_logical")
_OF_A_SESSION = re.compile(r"pg_internal\.init|pgsql_tmp|t\d+_\d+|postmaster\.pid")


def cluster(stack: Stack) -> set[str]:
    """The names of the files that no procedure and no server removes."""
    root = stack.data()
    found = set()
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not (Path(place) == root and name in _PASSING)]
        found |= {str(Path(place, name)) for name in names if not _OF_A_SESSION.match(name)}
    return found


def files(stack: Stack) -> dict[str, Any]:
    """The data directory's files; of a live server those that it does not write by itself."""
    try:
        root = stack.data()
    except AssertionError:
        return {}
    live = stack.state()["Running"]
    found: dict[str, Any] = {}
    for place, folders, names in os.walk(root):
        if live and Path(place) == root:
            folders[:] = [name for name in folders if name not in _ITS_OWN]
        for name in [*folders, *names]:
            path = Path(place) / name
            try:
                seen = path.stat()
            except FileNotFoundError:
                continue
            time = None if live and (path.is_dir() or name == "postmaster.pid") else seen.st_mtime_ns
            found[str(path)] = (seen.st_mode, seen.st_uid, seen.st_size, time)
    return found
