# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the servers' settings: a host variable's rows without their secrets, equal ones together. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ...module_utils._core.mask import MASK, mask, setting
from .words import printable


class State(NamedTuple):
    said: str
    many: str  # after a number
    status: str  # whose colour it has


STATES = {  # worst first
    "failed": State("failed", "failed", "critical"),
    "put_back": State("put back", "put back", "warning"),
    "skipped": State("skipped", "skipped", "skip"),
    "waits_for_restart": State("waits for a restart", "waiting for a restart", "warning"),
    "planned": State("planned", "planned", "warning"),
    "left": State("left as it is", "left as they are", "skip"),
    "tuned": State("tuned", "tuned", "ok"),
    "restored": State("restored", "restored", "ok"),
    "unchanged": State("unchanged", "unchanged", "skip"),
}
_CHANGES = ("failed", "put_back", "waits_for_restart", "planned", "tuned", "restored")
_ORDER = tuple(STATES)
_UNSET = "not set"


@dataclass(frozen=True)
class Setting:
    """``before`` and ``after`` as in postgresql.auto.conf; None where it is not in there."""

    name: str
    before: Optional[str]
    after: Optional[str]
    state: str
    why: str = ""

    @property
    def telling(self) -> bool:
        return self.state != "unchanged"

    @property
    def changes(self) -> bool:
        """Whether the server is another one by it, or was meant to be."""
        return self.state in _CHANGES

    @property
    def shown(self) -> State:
        word = printable(self.state).replace("_", " ")
        return STATES.get(self.state, State(word, word, "warning"))

    @property
    def values(self) -> Tuple[str, ...]:
        """In words: before and after, or only one where it stayed. What is masked may have changed; of what was
        passed over without a value nothing is known."""
        if not self.changes and self.before is self.after is None:
            return ("",)
        before, after = (_UNSET if each is None else printable(each) or "''" for each in (self.before, self.after))
        return (before,) if before == after and MASK not in before else (before, after)

    @property
    def change(self) -> str:
        """``not set → 256MB``"""
        return " → ".join(self.values)


class Group(NamedTuple):
    hosts: Tuple[str, ...]
    rows: Tuple[Setting, ...]

    @property
    def worst(self) -> Setting:
        return min(self.rows, key=_rank)


def read(value: Any) -> Tuple[Setting, ...]:
    """The rows that a host has in a variable. What is no row is passed over."""
    given = value if isinstance(value, (list, tuple)) else ()
    return tuple(_row(each) for each in given if isinstance(each, Mapping) and each.get("name"))


def _row(given: Mapping[str, Any]) -> Setting:
    name = str(given["name"])
    before, after = (
        None if value is None else setting(name, str(value)) for value in (given.get("before"), given.get("after"))
    )
    return Setting(name, before, after, str(given.get("state") or "unchanged"), mask(str(given.get("why") or "")))


def groups(settings: Mapping[str, Sequence[Setting]]) -> List[Group]:
    """Hosts whose rows say the same, the worst first; without the rows that say nothing."""
    found: Dict[Tuple[Setting, ...], List[str]] = {}
    for host, rows in settings.items():
        telling = tuple(row for row in rows if row.telling)
        if telling:
            found.setdefault(telling, []).append(host)
    made = [Group(tuple(hosts), rows) for rows, hosts in found.items()]
    return sorted(made, key=lambda group: _rank(group.worst))


def counts(settings: Mapping[str, Sequence[Setting]]) -> List[Tuple[int, Setting]]:
    """How many hosts have which state at worst, the worst first: (how many, a row of that state)."""
    worst = [min(rows, key=_rank) for rows in settings.values() if rows]
    by_state = {row.state: row for row in worst}
    number = Counter(row.state for row in worst)
    return [(number[state], row) for state, row in sorted(by_state.items(), key=lambda each: _rank(each[1]))]


def tally(rows: Sequence[Setting]) -> str:
    """``1 waits for a restart, 3 tuned``"""
    return ", ".join(counted(number, row) for number, row in counts({str(n): [row] for n, row in enumerate(rows)}))


def counted(number: int, row: Setting) -> str:
    return "%d %s" % (number, row.shown.said if number == 1 else row.shown.many)


def _rank(row: Setting) -> int:
    return _ORDER.index(row.state) if row.state in STATES else 0
