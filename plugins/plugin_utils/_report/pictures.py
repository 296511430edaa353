# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures' geometry: numbers for the template to draw with. Widths of texts are estimates on the safe side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Set

from ...module_utils._judge.checks.blocking import Node, all_held, blocker, directly_held, roots
from . import words

if TYPE_CHECKING:
    from ...module_utils._model.facts import Blocker

# In the order they are drawn: what holds a slot without working first.
STATES = (
    ("idle in transaction", "idle-in-transaction"),
    ("idle in transaction (aborted)", "aborted"),
    ("idle", "idle"),
    ("active", "active"),
)
BAR_WIDTH, GAP = 1000.0, 3.0
ROW, INDENT, BOX, CHARACTER = 58, 34, 42, 7.0
TREE_NODES = 60  # more than this is unreadable


def connections(facts: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """``Connections`` -> one segment a state, then what is free and what is reserved: {label, css, count, x, width}."""
    counts: Dict[str, int] = {}
    for group in facts["groups"]:
        state = group["state"] if group["state"] in dict(STATES) else "other"
        counts[state] = counts.get(state, 0) + group["sessions"]
    reserved = facts["superuser_reserved"] + facts["reserved"]
    parts = [(state, css, counts.get(state, 0)) for state, css in STATES] + [("other", "other", counts.get("other", 0))]
    used = sum(part[2] for part in parts)
    # Superusers may sit on the reserved slots: then fewer are left, and none is free.
    left = max(0, facts["max_connections"] - used)
    parts += [("free", "free", max(0, left - reserved)), ("reserved", "reserved", min(left, reserved))]
    total = max(1, used + left)
    segments, at = [], 0.0
    for label, css, count in parts:
        if not count:
            continue
        width = BAR_WIDTH * count / total
        drawn = max(1.0, width - GAP)
        segments.append({"label": label, "css": css, "count": count, "x": round(at, 1), "width": round(drawn, 1)})
        at += width
    return segments


def blocking(activity: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """The blocking tree as rows, root blockers first: {nodes, width, height, left_out}; None when no session waits.

    A session that waits for several is drawn under the first and says so; a ring (a deadlock not yet resolved) is
    entered once.
    """
    edges = activity["blocking"]
    if not edges:
        return None
    sessions = {row["pid"]: row for row in activity["involved"]}
    prepared = {row["gid"]: row for row in activity["prepared"]}
    waits: Dict[Node, List[Blocker]] = {}
    for edge in edges:
        waits.setdefault(blocker(edge), []).append(edge)
    victims = directly_held(edges)
    nodes: List[Dict[str, Any]] = []
    seen: Set[Node] = set()

    def draw(holder: Node, depth: int, parent: Optional[int], edge: Optional[Blocker]) -> None:
        if holder in seen:
            return
        seen.add(holder)
        number = len(nodes)
        behind = len(all_held(holder, victims) - {holder})
        nodes.append(_node(holder, depth, parent, edge, sessions, prepared, behind))
        for each in sorted(waits.get(holder, []), key=lambda one: -one["blocked_seconds"]):
            draw((each["blocked_pid"], None), depth + 1, number, each)

    for root in roots(edges):
        draw((root.pid, root.gid), 0, None, None)
    for node in nodes:
        others = {blocker(edge) for edge in edges if edge["blocked_pid"] == node["pid"]} - {node["under"]}
        if node["pid"] and others and node["under"]:
            node["detail"] += ", and for %d more" % len(others)
    shown = nodes[:TREE_NODES]
    for row, node in enumerate(shown):
        node["x"], node["y"] = node["depth"] * INDENT + 1, row * ROW + 1
        node["width"] = round(max(len(node["title"]) * CHARACTER * 1.1, len(node["detail"]) * CHARACTER) + 28)
        if node["parent"] is not None:
            up = shown[node["parent"]]
            node["line"] = "M%d %dV%dH%d" % (up["x"] + 16, up["y"] + BOX, node["y"] + BOX // 2, node["x"])
    return {
        "nodes": shown,
        "width": max(node["x"] + node["width"] for node in shown) + 2,
        "height": len(shown) * ROW - (ROW - BOX) + 2,
        "left_out": len(nodes) - len(shown),
        "box": BOX,
    }


def _node(
    holder: Node,
    depth: int,
    parent: Optional[int],
    edge: Optional[Blocker],
    sessions: Mapping[int, Mapping[str, Any]],
    prepared: Mapping[str, Mapping[str, Any]],
    behind: int,
) -> Dict[str, Any]:
    pid, gid = holder
    if pid == 0:
        row = prepared.get(str(gid), {})
        title = "prepared transaction %s" % _short(gid, 48)
        detail = "%s@%s" % (_short(row.get("owner", "?")), _short(row.get("database", "?")))
        if row:
            detail += " · prepared for %s" % words.duration(row["age_seconds"])
    else:
        row = sessions.get(pid, {})
        title = "pid %d" % pid
        login = "%s@%s" % (_short(row.get("user") or "?"), _short(row.get("database") or "?"))
        title = " · ".join(part for part in (title, _short(row.get("application") or ""), login) if part)
        detail = _short(row.get("state") or "state unknown")
        if edge is None and row.get("state_seconds") is not None:
            detail += " for %s" % words.duration(row["state_seconds"])
    if edge is not None:
        detail = "waits for %s" % words.duration(edge["blocked_seconds"])
        if edge.get("relation"):
            detail += " on %s" % _short(edge["relation"], 40)
        if edge.get("lock_mode"):
            detail += " (%s)" % _short(edge["lock_mode"])
    if behind:
        detail += " · blocks %d" % behind
    return {
        "pid": pid,
        "depth": depth,
        "parent": parent,
        "under": blocker(edge) if edge is not None else None,
        "kind": "prepared" if pid == 0 else "root" if edge is None else "waiting",
        "title": title,
        "detail": detail,
        "line": None,
    }


def _short(text: Any, width: int = 28) -> str:
    clean = words.printable(text)
    return clean if len(clean) <= width else clean[: width - 1] + "…"
