# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures' geometry: numbers for the template to draw with. Widths of texts are estimates on the safe side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ...module_utils._core.text import number
from ...module_utils._judge.checks.blocking import Node, all_held, blocker, directly_held, roots
from ...module_utils._judge.integrity.data import KINDS
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
CHART_HEIGHT, EDGE = 200, 8
_COUNTED = ("objects", "bytes", "checked_objects", "checked_bytes")
_NO_SIZE = {"vanished": "gone", "appeared": "not there"}  # else it could not be read
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


class Point(NamedTuple):
    """The sessions of one look. ``at``: seconds; ``limit``: usable slots, where they are known."""

    at: float
    sessions: int
    limit: Optional[int]
    states: Mapping[str, int]


def over_time(
    points: Sequence[Point], acts: Sequence[Tuple[float, str]], over: Optional[float]
) -> Optional[Dict[str, Any]]:
    """Sessions by state, one on top of the other, from the first look to the last; None of fewer than two looks.

    ``acts``: when procedures ended, and which. What comes after the end of the impact (``over``) is left out, where
    there is enough before it: hours of health would leave no room for the minutes that count.
    """
    points = sorted(points, key=lambda each: each.at)
    drawn = [each for each in points if over is None or each.at <= over + 1]
    drawn = drawn if len(drawn) > 1 else points
    start, end = (drawn[0].at, drawn[-1].at) if drawn else (0.0, 0.0)
    if end <= start:
        return None
    limits = [each.limit for each in drawn if each.limit is not None]
    top = round(1.08 * max([each.sessions for each in drawn] + limits + [1]), 1)
    lines = [(_across(each.at, start, end), each) for each in drawn]
    areas, below = [], [0] * len(drawn)
    for state, css in (*STATES, ("other", "other")):
        counts = [_in_state(each, state) for each in drawn]
        above = [low + here for low, here in zip(below, counts)]
        if any(counts):
            edge = [(x, high) for (x, _each), high in zip(lines, above)] + [
                (x, low) for (x, _each), low in reversed(list(zip(lines, below)))
            ]
            areas.append({"label": state, "css": css, "path": _path(edge, top) + "Z"})
        below = above
    return {
        "height": CHART_HEIGHT,
        "areas": areas,
        "total": _path([(x, each.sessions) for x, each in lines], top),
        "dots": ["M%s %sh.01" % (x, _up(each.sessions, top)) for x, each in lines],
        "limit": _path([(x, each.limit) for x, each in lines if each.limit is not None], top) if limits else "",
        "usable": limits[-1] if limits else None,
        "acts": [{"x": _across(at, start, end), "name": name} for at, name in acts if start <= at <= end],
        "start": start,
        "end": end,
        "counts": [each.sessions for each in drawn],
        "left_out": len(points) - len(drawn),
    }


def _in_state(each: Point, state: str) -> int:
    if state != "other":
        return each.states.get(state, 0)
    return max(0, each.sessions - sum(each.states.get(name, 0) for name, _css in STATES))


def _across(at: float, start: float, end: float) -> float:
    return round(EDGE + (BAR_WIDTH - 2 * EDGE) * (at - start) / (end - start), 1)


def _up(value: float, top: float) -> float:
    return round(CHART_HEIGHT - EDGE - (CHART_HEIGHT - 2 * EDGE) * value / top, 1)


def _path(edge: Sequence[Tuple[float, float]], top: float) -> str:
    return "M" + "L".join("%s %s" % (x, _up(value, top)) for x, value in edge)


def sizes(sized: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """``Compared.sizes`` -> {name, then, now, rows, percent, then_width, now_width}: databases, then their tables.

    Databases have one scale, tables another.
    """
    made = []
    for tables in (False, True):
        group = [each for each in sized if (each["table"] is not None) is tables]
        most = max([each[key] or 0 for each in group for key in ("bytes_before", "bytes")] + [1])
        made += [
            {
                "name": ": ".join(filter(None, [each["database"], each["table"]])),
                "table": tables,
                "then": words.size(each["bytes_before"]) or _absent(each, "appeared"),
                "now": words.size(each["bytes"]) or _absent(each, "vanished"),
                "rows": _rows(each),
                "percent": _percent(each["bytes_before"], each["bytes"]),
                "then_width": round(BAR_WIDTH * (each["bytes_before"] or 0) / most, 1),
                "now_width": round(BAR_WIDTH * (each["bytes"] or 0) / most, 1),
            }
            for each in group
        ]
    return made


def _absent(each: Mapping[str, Any], kind: str) -> str:
    return _NO_SIZE[kind] if each["kind"] == kind else "not known"


def _rows(each: Mapping[str, Any]) -> str:
    before, now = each["rows_before"], each["rows"]
    if before is None and now is None:
        return ""
    told = ["not counted" if rows is None else number(rows) for rows in (before, now)]
    return "%s rows" % told[1] if told[0] == told[1] else "%s rows, was %s" % (told[1], told[0])


def _percent(before: Optional[int], now: Optional[int]) -> str:
    return "%+.1f %%" % (100.0 * (now - before) / before) if before and now is not None and now != before else ""


def coverage(databases: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """What amcheck has read of each kind of object in all ``databases``: {name, percent, whole, width}."""
    shares: Dict[str, Dict[str, int]] = {}
    for each in [share for one in databases if one["amcheck"] for share in one["amcheck"]["coverage"]]:
        sums = shares.setdefault(each["kind"], dict.fromkeys(_COUNTED, 0))
        for key in _COUNTED:
            sums[key] += each[key]
    return [
        {
            "name": KINDS.get(kind, kind).capitalize(),
            "percent": "%s of them, %.1f %% of bytes"
            % (number(each["checked_objects"]), 100.0 * each["checked_bytes"] / (each["bytes"] or 1)),
            "whole": "%s, %s" % (number(each["objects"]), words.size(each["bytes"])),
            "width": round(BAR_WIDTH * each["checked_bytes"] / (each["bytes"] or 1), 1),
        }
        for kind, each in shares.items()
    ]


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
