# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds up whom: the blocking tree out of its edges, whatever shape they have. Pure, and safe in cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

if TYPE_CHECKING:
    from ..._model.facts import Blocker

ADVISORY = "advisory"  # pg_locks.locktype
Node = Tuple[int, Optional[str]]  # (pid, None) or (0, gid)


class Root(NamedTuple):
    """One that waits for no session (or is in a deadlock cycle) and blocks others, directly or through others."""

    pid: int
    gid: Optional[str]
    directly: int
    holds: int  # sessions, all told
    longest_seconds: float


def roots(edges: Sequence[Blocker]) -> List[Root]:
    """The root blockers, those that hold up the most first."""
    victims = directly_held(edges)
    waiting: Dict[Node, float] = {}
    for edge in edges:
        victim: Node = (edge["blocked_pid"], None)
        if blocker(edge) != victim:
            waiting[victim] = max(waiting.get(victim, 0.0), edge["blocked_seconds"])
    found = [_root(node, victims, waiting) for node in victims if node not in waiting]
    covered = {node for node in victims if node not in waiting}
    for node in list(covered):
        covered |= all_held(node, victims)
    # What no root explains is a circle (a deadlock in the making): its first member stands for it.
    for node in sorted(victims, key=str):
        if node not in covered:
            found.append(_root(node, victims, waiting))
            covered |= all_held(node, victims) | {node}
    return sorted(found, key=lambda root: (-root.holds, -root.longest_seconds, root.gid is None, root.pid))


def incidents(edges: Sequence[Blocker]) -> List[Blocker]:
    """Without those who wait for an advisory lock: so does every candidate of a leader election, by design."""
    return [edge for edge in edges if edge.get("lock_type") != ADVISORY]


def directly_held(edges: Sequence[Blocker]) -> Dict[Node, Set[Node]]:
    victims: Dict[Node, Set[Node]] = {}
    for edge in edges:
        if blocker(edge) != (edge["blocked_pid"], None):
            victims.setdefault(blocker(edge), set()).add((edge["blocked_pid"], None))
    return victims


def blocker(edge: Blocker) -> Node:
    return (0, edge["blocking_gid"]) if edge["blocking_gid"] is not None else (edge["blocking_pid"], None)


def all_held(node: Node, victims: Mapping[Node, Set[Node]]) -> Set[Node]:
    """Directly, or through others. In a circle that is the node itself, too."""
    seen: Set[Node] = set()
    left = [node]
    while left:
        for victim in victims.get(left.pop(), ()):
            if victim not in seen:
                seen.add(victim)
                left.append(victim)
    return seen


def _root(node: Node, victims: Dict[Node, Set[Node]], waiting: Dict[Node, float]) -> Root:
    below = all_held(node, victims) - {node}
    longest = max((waiting.get(victim, 0.0) for victim in below), default=0.0)
    return Root(node[0], node[1], len(victims[node]), len(below), longest)
