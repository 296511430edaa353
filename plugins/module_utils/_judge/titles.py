# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's process titles, read: the only roll of sessions there is when no slot is left to ask for one.

PostgreSQL, src/backend/tcop/backend_startup.c (postmaster.c before 17) builds
``postgres: [CLUSTER_NAME: ]USER [DATABASE ]HOST[(PORT)] ACTIVITY``; HOST is ``[local]`` on a Unix socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterable, List, Optional

from .._core.numbers import port

if TYPE_CHECKING:
    from .._model.facts import Process

IDLE, IDLE_IN_TRANSACTION, ABORTED = "idle", "idle in transaction", "idle in transaction (aborted)"
ACTIVE, AUTHENTICATION = "active", "authentication"

_PREFIX = "postgres: "
# The host is what anchors the rest: users, databases and the cluster's name may hold any character, even spaces.
_BACKEND = re.compile(
    r"^(?P<who>.+) (?P<host>\[local\]|[0-9A-Za-z.:%_-]+\((?P<port>[0-9]{1,5})\))(?: (?P<activity>.*))?$"
)
_AUXILIARY = re.compile(
    r"^(?:.*: )?(?:postmaster|checkpointer|background writer|walwriter|wal writer|walreceiver|walsummarizer|archiver"
    r"|startup|logger|stats collector|slotsync worker|io worker|autovacuum (?:launcher|worker)|bgworker|parallel worker"
    r"|logical replication|walsender|datachecksum|dead-end client backend)\b"
)
_CHECKPOINTER = re.compile(r"^postgres: (?:.*: )?checkpointer\b")
_STARTING = ("authentication", "startup", "initializing", "starting")


@dataclass(frozen=True)
class Backend:
    """A client backend as its title shows it. ``address`` is None on a Unix socket."""

    pid: int
    user: str
    database: str
    address: Optional[str]
    port: Optional[int]
    state: Optional[str]  # as pg_stat_activity's, or "authentication"; None: the title does not say
    activity: str  # the words themselves: "idle", "SELECT", "UPDATE waiting"
    waiting: bool  # for a heavyweight lock


def parse(process: Process) -> Optional[Backend]:
    """The client backend that ``process`` is, or None: the postmaster, an auxiliary process, a walsender, a worker."""
    title = process["title"].strip()
    if not title.startswith(_PREFIX):
        return None
    title = title[len(_PREFIX) :]
    if _AUXILIARY.match(title):
        return None
    found = _BACKEND.match(title)
    if not found:
        return None
    who = found.group("who").rpartition(": ")[2]  # without the cluster's name
    user, space, database = who.partition(" ")
    if not space:
        return None
    activity = (found.group("activity") or "").strip()
    host = found.group("host")
    return Backend(
        pid=process["pid"],
        user=user,
        database=database,
        address=None if host == "[local]" else host.partition("(")[0],
        port=port(found.group("port")),
        state=_state(activity),
        activity=activity,
        waiting=activity.split(" ")[-1] == "waiting",
    )


def backends(processes: Iterable[Process]) -> List[Backend]:
    """The client backends among ``processes``; zombies hold no slot."""
    parsed = (parse(process) for process in processes if process["state"][:1] != "Z")
    return [backend for backend in parsed if backend]


def is_checkpointer(process: Process) -> bool:
    return bool(_CHECKPOINTER.match(process["title"].strip()))


def startup(processes: Iterable[Process]) -> Optional[str]:
    """What the startup process (the one that replays WAL) is at: "recovering 0000...", "waiting for 0000...", or ""."""
    for process in processes:
        found = re.match(r"^postgres: (?:.*: )?startup\b(.*)$", process["title"].strip())
        if found and not _BACKEND.match(process["title"].strip()[len(_PREFIX) :]):
            return found.group(1).strip()
    return None


def _state(activity: str) -> Optional[str]:
    if activity in (IDLE, IDLE_IN_TRANSACTION, ABORTED):
        return activity
    if not activity:
        return None
    return AUTHENTICATION if activity.split(" ")[0] in _STARTING else ACTIVE
