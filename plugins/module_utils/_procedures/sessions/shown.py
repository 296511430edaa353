# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of sessions: the result's rows, the lines of a diff, one line that says what came of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .by_title import Titled
from .guard import Row, Selection

TERMINATED, GONE, STILL_THERE, REFUSED = "terminated", "gone_by_itself", "still_there", "refused"
NOTHING_TO_CANCEL = "has no query to cancel; state=absent ends it"
TO_FREE_A_SLOT = "to free a slot for SQL"
_HIDDEN = ("own", "may_signal", "sync", "task", "state_change", "query_start", "replication")


@dataclass
class Outcome:
    """What became of the sessions taken, by pid; in check mode, what would."""

    of: Dict[int, str] = field(default_factory=dict)
    reasons: Dict[int, str] = field(default_factory=dict)

    @classmethod
    def expected(cls, rows: Iterable[Row], outcome: str) -> Outcome:
        return cls({row["pid"]: outcome for row in rows})

    def are(self, outcome: str) -> List[int]:
        return [pid for pid, each in self.of.items() if each == outcome]

    @property
    def changed(self) -> bool:
        return any(outcome in ("cancelled", TERMINATED, STILL_THERE) for outcome in self.of.values())


def records(selection: Selection, outcome: Outcome, nothing: str = NOTHING_TO_CANCEL) -> List[Dict[str, Any]]:
    taken = [
        record(row, outcome.of[row["pid"]], outcome.reasons.get(row["pid"]))
        for row in selection.take
        if row["pid"] in outcome.of
    ]
    taken += [record(row, REFUSED, reason) for row, reason in selection.refused]
    return taken + [record(row, REFUSED, nothing) for row in selection.idle]


def merged(steps: Iterable[Tuple[Selection, Outcome]], nothing: str = NOTHING_TO_CANCEL) -> List[Dict[str, Any]]:
    """Of several steps on the same sessions: each once, with what became of it last."""
    found: Dict[int, Dict[str, Any]] = {}
    for selection, outcome in steps:
        for each in records(selection, outcome, nothing):
            if each["outcome"] != REFUSED or each["pid"] not in found:
                found[each["pid"]] = dict(each)
    return list(found.values())


def record(row: Row, outcome: str, reason: Optional[str]) -> Dict[str, Any]:
    shown: Dict[str, Any] = {name: value for name, value in row.items() if name not in _HIDDEN}
    shown["backend_start"] = row["backend_start"] or ""
    return dict(shown, outcome=outcome, reason=reason)


def titled(one: Titled, outcome: str, reason: str) -> Dict[str, Any]:
    """The record of a session of which only its process title is seen: the rest is unknown."""
    unknown = ("state_seconds", "transaction_seconds", "query_seconds", "wait_event_type", "wait_event", "superuser")
    seen = {name: value for name, value in freed(one, outcome, reason).items() if name != "age_seconds"}
    return dict(
        dict.fromkeys((*unknown, "query")), backend_start="", backend_type="client backend", application="", **seen
    )


def freed(one: Titled, outcome: str = TERMINATED, reason: str = TO_FREE_A_SLOT) -> Dict[str, Any]:
    backend = one.backend
    return {
        "pid": backend.pid,
        "user": backend.user,
        "database": backend.database,
        "client_address": backend.address,
        "state": backend.state,
        "age_seconds": round(one.age_seconds, 1),
        "outcome": outcome,
        "reason": reason,
    }


def line(row: Row) -> str:
    """For the diff: nothing that passes with time, so that check mode and the real run show the same."""
    words = (
        row["pid"],
        row["user"],
        row["database"],
        row["client_address"] or "local",
        row["application"],
        row["state"],
    )
    return "pid %s %s@%s from %s %s %s" % words


def title_line(one: Titled) -> str:
    backend = one.backend
    words = (backend.pid, backend.user, backend.database, backend.address or "local", backend.state)
    return "pid %s %s@%s from %s %s" % words


def summary_of(sessions: Sequence[Mapping[str, Any]], freed_slots: int, absent: Sequence[int]) -> List[str]:
    """The parts of one line, of records."""
    refused = [(one, one["reason"]) for one in sessions if one["outcome"] == REFUSED]
    done = {one["pid"]: str(one["outcome"]) for one in sessions if one["outcome"] != REFUSED}
    return summary(done, freed_slots, refused, absent)


def summary(outcomes: Mapping[int, str], freed_slots: int, refused: Sequence[Any], absent: Sequence[int]) -> List[str]:
    """The parts of one line. ``refused``: (row, reason)."""
    counts: Dict[str, int] = {}
    for outcome in outcomes.values():
        counts[outcome] = counts.get(outcome, 0) + 1
    parts = ["%d %s" % (number, outcome.replace("_", " ")) for outcome, number in sorted(counts.items())]
    if freed_slots:
        parts.append("%d ended %s" % (freed_slots, TO_FREE_A_SLOT))
    if refused:
        row, reason = refused[0]
        parts.append("%d left alone (pid %d %s)" % (len(refused), row["pid"], reason))
    if absent:
        parts.append("not there: pid %s" % ", ".join(str(pid) for pid in absent))
    return parts
