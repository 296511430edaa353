# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose queries are cancelled, and which root blockers are ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Collection, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import OptionsError, RefusedError
from ..procedure import Change
from ..sessions.guard import (
    ABSENT,
    CANCELLED,
    IDLE_IN_TRANSACTION,
    Looked,
    Request,
    Rules,
    Selection,
    over,
    select,
)
from ..sessions.plan import Job, State, nothing_frees, refuse_all
from ..sessions.shown import TERMINATED, Outcome, line, merged, summary_of

NOTHING_TO_CANCEL = "has no query to cancel"
Step = Tuple[Selection, Outcome]


@dataclass(frozen=True)
class Wish:
    """What is asked for. ``pids`` None: whoever is in the way."""

    job: Job
    pids: Optional[FrozenSet[int]]
    query_seconds: float
    blocked_seconds: float
    end_blockers: bool

    @property
    def roots(self) -> Request:
        return Request(CANCELLED, self.pids, blocking=True)

    @property
    def idle_roots(self) -> Request:
        """One in between two statements goes on by itself, unless it was named."""
        idle_seconds = self.blocked_seconds if self.pids is None else None
        return Request(ABSENT, self.pids, (IDLE_IN_TRANSACTION,), idle_seconds, blocking=True)

    @property
    def any_root(self) -> Request:
        return Request(ABSENT, self.pids, blocking=True)

    @property
    def long(self) -> Request:
        return Request(CANCELLED, self.pids, query_seconds=self.query_seconds)


@dataclass(frozen=True)
class Plan:
    wish: Wish
    rules: Rules
    looked: Looked
    cancel: Selection
    end: Selection
    long: Selection

    @property
    def empty(self) -> bool:
        return not (self.cancel.take or self.end.take or self.long.take)

    def foreseen(self) -> Change:
        steps = [
            (self.cancel, Outcome.expected(self.cancel.take, CANCELLED)),
            (self.end, Outcome.expected(self.end.take, TERMINATED)),
            (self.long, Outcome.expected(self.long.take, CANCELLED)),
        ]
        # Where nothing is to be done, what waits goes on waiting.
        return result(self.looked, steps, self.looked.blocked if self.empty else None)


def wish_of(options: Mapping[str, Any], blocked_seconds: float) -> Wish:
    pids = options["pids"]
    if pids is not None and not pids:
        raise OptionsError(
            "pids is empty, so it names no session",
            "Leave it out to mean every session that blocks others or runs too long.",
        )
    seconds = options["query_seconds"]
    job = Job(
        True,
        tuple(options["protect_applications"]),
        tuple(options["protect_users"]),
        options["max_sessions"],
        options["max_percent"],
        False,
        options["cancel_wait_seconds"],
        options["timeout_seconds"],
    )
    named = frozenset(pids) if pids is not None else None
    return Wish(
        job,
        named,
        options["long_query_seconds"] if seconds is None else seconds,
        blocked_seconds,
        options["end_blockers"],
    )


def decide(state: State, wish: Wish) -> Plan:
    """Raises RefusedError where no slot is left, the limits forbid it, or all that is meant must be left alone."""
    looked, rules = state.looked, state.rules
    if looked is None:
        raise nothing_frees("cancelling a query frees none", {"sessions": []})
    cancel = select(looked, wish.roots, rules)
    end = idle_roots(looked, wish, rules)
    long = without(select(looked, wish.long, rules), _pids(cancel) | _pids(end))
    plan = Plan(wish, rules, looked, cancel, end, long)
    number = len(cancel.take) + len(end.take) + len(long.take)
    why = over(number, looked, wish.long, rules)
    if why:
        raise RefusedError(
            "Refused: it would cancel or end %s" % why,
            "Check the sessions listed, narrow the selection, or raise the limit.",
            details=plan.foreseen().details,
        )
    if plan.empty:
        refused = cancel.refused + (long.refused if wish.pids is not None else ())
        if refused:
            refuse_all(Selection(refused=refused), plan.foreseen().details)
    return plan


def idle_roots(looked: Looked, wish: Wish, rules: Rules) -> Selection:
    return select(looked, wish.idle_roots, rules) if wish.end_blockers else Selection()


def deaf(looked: Looked, wish: Wish, rules: Rules, pids: Collection[int]) -> Selection:
    """Of ``pids``, which ignored the cancelling, those that still hold others up."""
    if not wish.end_blockers or not pids:
        return Selection()
    found = select(looked, wish.any_root, rules)
    return Selection(tuple(row for row in found.take if row["pid"] in pids))


def both(one: Selection, other: Selection) -> Selection:
    there = _pids(one)
    return Selection(
        one.take + tuple(row for row in other.take if row["pid"] not in there),
        one.refused + other.refused,
        one.idle + other.idle,
    )


def without(selection: Selection, pids: Collection[int]) -> Selection:
    return Selection(
        tuple(row for row in selection.take if row["pid"] not in pids),
        selection.refused,
        tuple(row for row in selection.idle if row["pid"] not in pids),
        selection.absent_pids,
    )


def result(looked: Looked, steps: Sequence[Step], blocked_after: Optional[int]) -> Change:
    """``steps``: root blockers cancelled, root blockers ended, long queries cancelled."""
    sessions = merged(steps, NOTHING_TO_CANCEL)
    absent = sorted({pid for selection, _outcome in steps for pid in selection.absent_pids})
    lines: List[List[str]] = [
        [line(row) for row in selection.take if row["pid"] in outcome.of] for selection, outcome in steps
    ]
    details: Dict[str, Any] = {
        "sessions": sessions,
        "blocked": {"before": looked.blocked, "after": blocked_after},
        "msg": "; ".join(summary_of(sessions, 0, absent)) or "No query blocks others or runs too long",
    }
    changed = any(outcome.changed for _selection, outcome in steps)
    before = {"queries": list(dict.fromkeys(lines[0] + lines[2])), "sessions": lines[1]}
    return Change(changed, before, {"queries": [], "sessions": []}, details)


def _pids(selection: Selection) -> FrozenSet[int]:
    return frozenset(row["pid"] for row in selection.take)
