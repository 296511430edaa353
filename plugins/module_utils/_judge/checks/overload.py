# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether cancel_queries has anything to cancel where all are busy: a command that would do nothing is not printed.
Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

from ..._core.text import duration
from .. import caps, titles
from . import spared
from .blocking import incidents, roots
from .pool import MOST_ROWS

if TYPE_CHECKING:
    from ..._model.answers import Thresholds
    from ..._model.facts import Facts, SeenSession, Snapshot


def instead(facts: Facts, thresholds: Thresholds) -> str:
    """What a person has to do; empty: some query may be cancelled."""
    snapshot = facts["snapshot"]
    if snapshot is None:
        return "none is left for us either: stop a client that holds them, then cancel the longest queries"
    rows = _meant(snapshot, thresholds)
    why = [(row, spared.why(row, facts["clients"])) for row in rows]
    if len(rows) >= MOST_ROWS or any(reason is None for _row, reason in why):
        return ""
    if not why:
        seconds = duration(thresholds.overload_seconds)
        return "none has run for %s: check again, or stop a client that sends them" % seconds
    row, reason = why[0]
    return "none may be cancelled; the longest is pid %d (%s), %s" % (row["pid"], row["user"] or "unknown user", reason)


def most_sessions(snapshot: Optional[Snapshot], thresholds: Thresholds, active: int) -> Optional[int]:
    """How many it has to be allowed to cancel; None: no more than it may anyway. ``active``: all that are."""
    rows = _meant(snapshot, thresholds) if snapshot else []
    return active + len(rows) if len(rows) >= MOST_ROWS and caps.exceeds(active) else None


def _meant(snapshot: Snapshot, thresholds: Thresholds) -> List[SeenSession]:
    """The longest first, then the root blockers, as cancel_queries takes them without pids."""
    blockers = {root.pid for root in roots(incidents(snapshot["activity"]["blocking"])) if root.gid is None}
    found = {row["pid"]: row for row in snapshot["connections"]["active"]}
    for row in snapshot["activity"]["involved"]:
        idle = row["state"] in (titles.IDLE_IN_TRANSACTION, titles.ABORTED)
        lasts = (row["state_seconds"] or 0) >= thresholds.blocked_seconds
        if row["pid"] in blockers and (lasts or not idle):
            found.setdefault(row["pid"], row)
    return list(found.values())
