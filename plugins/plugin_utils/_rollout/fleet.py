# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server comes after which, and in which batches. Pure.

A standby must run with at least its primary's values of five settings, or it stops replaying: raised on standbys first,
lowered on the primary first (PostgreSQL's manual, "Hot Standby Administrator's Overview").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Set

from ...module_utils._core.text import names

SERIAL = "1,10%,100%"


@dataclass(frozen=True)
class Member:
    """``identifier``: of its cluster, None where nobody knows. ``running``, ``wanted``: the five settings, as the
    server uses them and as far as they are to change. ``strangers``: what streams from it and is no host of this run.
    """

    host: str
    identifier: Optional[str]
    in_recovery: bool
    running: Mapping[str, int]
    wanted: Mapping[str, int]
    strangers: Sequence[str] = ()

    def then(self, name: str) -> int:
        return self.wanted.get(name, self.running[name])

    def raised(self) -> Set[str]:
        return {name for name, value in self.wanted.items() if value > self.running[name]}

    def lowered(self) -> Set[str]:
        return {name for name, value in self.wanted.items() if value < self.running[name]}


@dataclass(frozen=True)
class Order:
    """``after``: of a host, those that must be done before it. ``left``: host -> setting -> why it stays as it is."""

    hosts: Sequence[str]
    after: Mapping[str, Sequence[str]]
    left: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def arrange(members: Sequence[Member]) -> Order:
    """In the order given, but for what has to come first."""
    after: Dict[str, Set[str]] = {}
    left: Dict[str, Dict[str, str]] = {}
    clusters: Dict[str, List[Member]] = {}
    for each in members:
        clusters.setdefault(each.identifier or " " + each.host, []).append(each)
    for cluster in clusters.values():
        primaries = [each for each in cluster if not each.in_recovery]
        standbys = [each for each in cluster if each.in_recovery]
        if not primaries:
            for each in standbys:
                _leave(
                    left, each, each.lowered(), "its primary is not among the hosts of this run: lower it there first"
                )
        for primary in primaries:  # several are copies of one cluster: nobody knows whose standby is whose
            _pair(primary, standbys, after, left)
    return Order(
        _sorted([each.host for each in members], after), {host: sorted(each) for host, each in after.items()}, left
    )


def _pair(
    primary: Member, standbys: Sequence[Member], after: Dict[str, Set[str]], left: Dict[str, Dict[str, str]]
) -> None:
    if primary.strangers:
        _leave(
            left,
            primary,
            primary.raised(),
            "%s may be a standby, which has to be raised first" % names(primary.strangers),
        )
    for name in primary.raised() - set(left.get(primary.host, ())):
        low = [each.host for each in standbys if each.then(name) < primary.then(name)]
        if low:
            _leave(left, primary, {name}, "%s would run with less: raise it there, and restart that first" % names(low))
    rising = primary.raised() - set(left.get(primary.host, ()))
    for each in standbys:
        floor = {
            name: primary.then(name) if name not in left.get(primary.host, ()) else primary.running[name]
            for name in each.wanted
        }
        _leave(
            left, each, {n for n in each.lowered() if each.then(n) < floor[n]}, "its primary %s has more" % primary.host
        )
        sinking = {n for n in each.lowered() - set(left.get(each.host, ())) if each.then(n) < primary.running[n]}
        if rising and sinking:
            _leave(left, each, sinking, "others have to be raised first: run it again when that is done")
            sinking = set()
        if rising:
            after.setdefault(primary.host, set()).add(each.host)
        elif sinking:
            after.setdefault(each.host, set()).add(primary.host)


def _leave(left: Dict[str, Dict[str, str]], member: Member, settings: Collection[str], why: str) -> None:
    for name in settings:
        left.setdefault(member.host, {})[name] = why


def _sorted(hosts: Sequence[str], after: Mapping[str, Collection[str]]) -> List[str]:
    place = {host: number for number, host in enumerate(hosts)}
    found: Dict[str, None] = {}

    def add(host: str) -> None:
        if host not in found:
            for first in sorted(after.get(host, ()), key=place.__getitem__):
                add(first)
            found[host] = None

    for host in hosts:
        add(host)
    return list(found)


def serial(given: Any) -> List[str]:
    """What oncall_serial says: counts and percentages. Raises ValueError for what is none."""
    words = given if isinstance(given, (list, tuple)) else re.split(r"[\s,]+", str(given).strip())
    found = [str(each).strip() for each in words]
    for each in found:
        if not re.fullmatch(r"0*[1-9]\d*|0*([1-9]\d?|100)%", each):
            raise ValueError("oncall_serial has %r: give numbers of hosts or percentages, such as 1,10%%,100%%" % each)
    return found


def batches(hosts: Sequence[str], after: Mapping[str, Collection[str]], given: Any) -> List[List[str]]:
    """``hosts``, in their order: as many in each batch as ``given``, of which the last goes on. None has a host and one
    that must be done before it: that one's place is filled by the next, or a fleet of pairs would be batches of two.
    """
    found: List[List[str]] = []
    rest = list(hosts)
    steps = [max(1, len(rest) * int(each[:-1]) // 100) if each.endswith("%") else int(each) for each in serial(given)]
    while rest:
        most, waiting = steps[min(len(found), len(steps) - 1)], set(rest)
        taken: List[str] = []
        for host in rest:
            if len(taken) == most:
                break
            if waiting.isdisjoint(after.get(host, ())):  # none of them is in this batch or a later one
                taken.append(host)
        chosen = set(taken)
        rest = [host for host in rest if host not in chosen]
        found.append(taken)
    return found
