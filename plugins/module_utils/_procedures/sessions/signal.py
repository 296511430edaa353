# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions cancelled or ended, and what became of each: one statement signals all of them, then they are waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, List, Optional, Sequence

from ..._core.deadline import Deadline
from ..._core.errors import OncallError
from ..._core.wait import Waited, wait_for
from . import free_slot
from .guard import CANCELLED, IDLE, SYNC, Request, Row
from .shown import GONE, REFUSED, STILL_THERE, TERMINATED, Outcome
from .sql import CANCEL, TERMINATE, THERE

if TYPE_CHECKING:
    from ..._gather.target import Target

Ask = Callable[..., List[Dict[str, Any]]]  # (query, **parameters) -> rows

AT_WORK_AGAIN = "has become active again since it was checked"
_SPARED = {**SYNC, "task": "has started maintenance or a backup since it was checked"}


def cancel(target: Target, ask: Ask, rows: Sequence[Row], request: Request, seconds: float) -> Outcome:
    """The queries that were seen, and no others. STILL_THERE: it goes on with it."""
    outcome = Outcome()
    if not rows:
        return outcome
    queries = [row["query_start"] for row in rows]
    answers = {row["pid"]: row for row in ask(CANCEL, **_arrays(rows, request, queries=queries))}
    sent = {pid for pid, answer in answers.items() if answer["sent"]}
    waited = _wait(target, rows, request, sent, seconds, queries=True)
    for row in rows:
        pid = row["pid"]
        there = pid in waited.last
        if pid in sent:
            outcome.of[pid] = STILL_THERE if there else CANCELLED
        else:
            outcome.of[pid] = REFUSED if there else GONE
            if there:
                outcome.reasons[pid] = _SPARED.get(str(answers.get(pid, {}).get("spared")), AT_WORK_AGAIN)
    return outcome


def end(
    target: Target, ask: Ask, rows: Sequence[Row], request: Request, cancel_seconds: float, seconds: float
) -> Outcome:
    """Cancel what is at work, then end all of them. STILL_THERE: it was told to end and has not.

    Through a pooler, whose connection may serve another client once a query has ended, only while none has begun.
    """
    outcome = Outcome()
    if not rows:
        return outcome
    # A cancelled query tells its client more than a connection that is gone.
    before = cancel(target, ask, [row for row in rows if row["state"] == "active"], request, cancel_seconds)
    rows_left = [row for row in rows if before.of.get(row["pid"]) != REFUSED]
    as_seen = target.session.pooled or request.by_query()
    changes = [row["state_change"] if (as_seen or request.by_state()) and _is_idle(row) else None for row in rows_left]
    queries = [row["query_start"] if as_seen and not _is_idle(row) else None for row in rows_left]
    arrays = _arrays(rows_left, request, changes=changes, queries=queries)
    answers = {row["pid"]: row for row in ask(TERMINATE, **arrays)}
    sent = {pid for pid, answer in answers.items() if answer["sent"]}
    # Those that were not signalled are checked, too: gone, or at work again.
    waited = _wait(target, rows_left, request, sent, seconds, queries=False)
    for row in rows:
        pid = row["pid"]
        if row not in rows_left:
            outcome.of[pid], outcome.reasons[pid] = REFUSED, before.reasons[pid]
        elif pid in waited.last:
            was_cancelled = before.of.get(pid) == CANCELLED
            outcome.of[pid] = STILL_THERE if pid in sent else CANCELLED if was_cancelled else REFUSED
            if pid not in sent:
                outcome.reasons[pid] = _SPARED.get(str(answers.get(pid, {}).get("spared")), AT_WORK_AGAIN)
        else:
            outcome.of[pid] = TERMINATED if pid in sent else before.of.get(pid, GONE)
    return outcome


def _wait(
    target: Target, rows: Sequence[Row], request: Request, sent: Collection[int], seconds: float, queries: bool
) -> "Waited[Collection[int]]":
    """Until none of those that were signalled is there; ``last`` are the pids of ``rows`` that still are."""
    arrays = _arrays(rows, request, queries=[row["query_start"] for row in rows] if queries else None)

    def there() -> Collection[int]:
        deadline = Deadline(target.deadline_seconds)
        try:
            return {row["pid"] for row in target.session.query(THERE, deadline, **arrays)}
        except OncallError:
            # Others may have taken every slot that was freed: no slot for the proof either, but the processes tell.
            try:
                running = {one.backend.pid for one in free_slot.roll(target, deadline)}
            except OncallError:
                return {row["pid"] for row in rows}
            return {row["pid"] for row in rows if row["pid"] in running}

    return wait_for(there, lambda pids: not any(pid in sent for pid in pids), seconds)


def _arrays(
    rows: Sequence[Row],
    request: Request,
    changes: Optional[Sequence[Optional[str]]] = None,
    queries: Optional[Sequence[Optional[str]]] = None,
) -> Dict[str, List[Optional[str]]]:
    nothing: List[Optional[str]] = [None] * len(rows)
    return {
        "pids": [str(row["pid"]) for row in rows],
        "starts": [row["backend_start"] for row in rows],
        "changes": list(changes) if changes is not None else nothing,
        "queries": list(queries) if queries is not None else nothing,
        "named": ["t" if request.names(row["pid"]) else "f" for row in rows],
    }


def _is_idle(row: Row) -> bool:
    return (row["state"] or "").startswith(IDLE)
