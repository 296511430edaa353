# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether pool_reset has anything that it may end or restart: a command that would be refused is not printed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from .. import caps
from . import spared
from .readings import usable_slots

if TYPE_CHECKING:
    from ..._model.answers import Thresholds
    from ..._model.facts import Facts

MOST_ROWS = 50  # that the snapshot has of a state: with as many there may be more


def helps(
    facts: Facts, thresholds: Thresholds, in_transaction: bool, user: Optional[str], database: Optional[str]
) -> bool:
    """``user`` and ``database``: of whom alone, where their own limit was reached."""
    snapshot, clients = facts["snapshot"], facts["clients"]
    states = {client["state"] for client in clients}
    if facts["target"]["runtime"] == "compose" and "running" in states and not states & {"paused", "missing"}:
        return True  # its restart frees what it holds; with one that is paused or has no container none is restarted
    if snapshot is None:
        return bool(clients)
    connections = snapshot["connections"]
    rows = connections["idle_in_transaction"] if in_transaction else connections["idle"]
    if len(rows) >= MOST_ROWS:
        return True
    return any(
        (row["state_seconds"] or 0) >= thresholds.idle_minutes * 60 or any(spared.owns(one, row) for one in clients)
        for row in rows
        if user in (None, row["user"]) and database in (None, row["database"]) and spared.why(row, clients) is None
    )


def most_sessions(facts: Facts, thresholds: Thresholds, alike: int, whole: bool) -> Optional[int]:
    """How many it has to be allowed to end; None: no more than it may anyway.

    ``alike``: those in the state that it ends; ``whole``: all idle ones of the server.
    """
    snapshot, ended = facts["snapshot"], alike
    if snapshot is not None and whole:
        connections = snapshot["connections"]
        usable = usable_slots(connections)
        ended = max(connections["long_idle"], connections["used"] - int(usable * thresholds.connection_percent / 100))
    return alike if caps.exceeds(min(ended, alike)) else None
