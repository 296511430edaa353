# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server has to work with: beside it, by SQL, and by what was declared. Reads only."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from ..._core.errors import OncallError, TargetError
from ..sql.capacity import DATABASE_BYTES, SETTINGS, WAL
from .shown import shown
from .told import CAPACITY_SH, Told

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.capacity import Capacity, WalRate
    from ..target import Target

LEAST_SECONDS = 3600  # what was counted for less says nothing of a day


def capacity(target: Target, deadline: Deadline) -> Tuple[Capacity, List[str]]:
    """What was read, and what was not looked at."""
    missing: List[str] = []

    def tried(what: str, work: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return work()
        except OncallError as error:
            missing.append("%s: %s" % (what, error))
            return otherwise

    directory = target.runtime.session_settings().get("data_directory") or ""
    told = tried("host", lambda: _beside(target, directory, deadline), Told(""))
    if not told.knows_limits and not missing:
        missing.append("memory: the server's cgroup cannot be read: run this as root, or as the server's OS user")
    found: Capacity = {
        "memory": told.memory(),
        "cpus": told.cpus(),
        "shared_memory": told.shared_memory(),
        "huge_pages": told.huge_pages(),
        "data": told.storage("data"),
        "wal": told.storage("wal"),
        "database_bytes": None,
        "wal_rate": None,
        "clients": 0,
        "settings": tried("settings", lambda: _settings(target, deadline, missing), {}),
    }
    if found["settings"]:
        found["database_bytes"] = tried("databases", lambda: _database_bytes(target, deadline, missing), None)
        found["wal_rate"] = tried("wal_rate", lambda: _wal_rate(target, deadline, missing), None)
    if not target.runtime.seen_by_wire:  # elsewhere than here nobody knows who shares its host
        found["clients"] = tried("clients", lambda: len(target.runtime.clients()), 0)
    return found, missing


def _beside(target: Target, directory: str, deadline: Deadline) -> Told:
    done = target.runtime.run_beside(["sh", "-c", CAPACITY_SH, "-", directory], deadline)
    if done.code:
        raise TargetError(
            "reading it beside the server failed: %s" % (done.err.strip().splitlines() or ["no reason given"])[-1]
        )
    return Told(done.out)


def _settings(target: Target, deadline: Deadline, missing: List[str]) -> Dict[str, str]:
    rows = sorted(target.session.query(SETTINGS, deadline), key=itemgetter("name"))
    hidden = [row["name"] for row in rows if row["value"] is None]
    if hidden:
        missing.append(
            "settings: the login role or its database has its own %s: set login_user to another one" % ", ".join(hidden)
        )
    return {row["name"]: shown(row["value"], row["unit"]) for row in rows if row["value"] is not None}


def _database_bytes(target: Target, deadline: Deadline, missing: List[str]) -> Optional[int]:
    row = target.session.query(DATABASE_BYTES, deadline)[0]
    if row["hidden"]:
        missing.append(
            "databases: the login role may not see the size of %d: GRANT pg_read_all_stats to it, as a superuser"
            % row["hidden"]
        )
        return None
    return int(row["bytes"])


def _wal_rate(target: Target, deadline: Deadline, missing: List[str]) -> Optional[WalRate]:
    row = target.session.query(WAL, deadline)[0]
    if row["bytes"] is None:
        missing.append("wal_rate: a standby writes none: read it on the primary")
        return None
    if row["seconds"] is None or row["seconds"] < LEAST_SECONDS:
        missing.append("wal_rate: counted for less than an hour: too short to be an average")
        return None
    seconds = float(row["seconds"])
    return {
        "bytes_per_second": round(float(row["bytes"]) / seconds, 1),
        "seconds": round(seconds, 1),
        "source": row["source"],
    }
