# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How two baselines differ, in words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple

from .._core.text import number, size

if TYPE_CHECKING:
    from .._model.baseline import Change, Sized

SCHEMA = 1
MOST_SIZES = 20
NOISE_BYTES = 1 << 20  # statistics and free space maps come and go
UNREADABLE = "it is not a baseline that this version can read"
ODD = (AttributeError, KeyError, TypeError, ValueError)  # what comparing raises where somebody has edited one by hand
DATABASES, SERVER = ("databases",), ("settings", "roles", "hba")


def foreign(before: Mapping[str, Any], now: Mapping[str, Any]) -> Optional[str]:
    """Why ``before`` is no baseline of the server of ``now``; None when it is one."""
    if before.get("schema") != SCHEMA or not isinstance(before.get("databases"), list):
        return UNREADABLE
    ours, theirs = now["system_identifier"], before.get("system_identifier")
    if ours is None or theirs is None:
        return "the system identifier is not known: the login role may not execute pg_control_system()"
    if ours != theirs:
        return "it is of another cluster: its system identifier is %s, this server's is %s" % (theirs, ours)
    return None


def told(change: Change) -> str:
    """``~ shop:public.orders: 1,000 rows, was 2,000 (-50.0 %)``"""
    mark = {"appeared": "+", "vanished": "-"}.get(change["kind"], "~")
    if change["kind"] in ("appeared", "vanished"):
        detail = change["after"] or change["before"] or ""
        return "%s %s%s" % (mark, change["what"], " (%s)" % detail if detail else "")
    percent = " (%+.1f %%)" % change["percent"] if change["percent"] is not None else ""
    if change["before"] is None and change["after"] is None:
        return "%s %s: its definition has changed" % (mark, change["what"])
    return "%s %s: %s, was %s%s" % (mark, change["what"], change["after"], change["before"], percent)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> List[Change]:
    """Of what both hold: what only one could read is no change."""
    found = list(_databases(before["databases"], now["databases"]))
    if "settings" in before and "settings" in now:
        found += _plain("setting ", before["settings"], now["settings"])
        found += _plain("role ", _roles(before["roles"]), _roles(now["roles"]))
    if before.get("hba") is not None and now.get("hba") is not None:
        found += _lines("hba rule ", before["hba"], now["hba"])
    return found


def sizes(before: Mapping[str, Any], now: Mapping[str, Any]) -> List[Sized]:
    """The databases, and of their tables those that were counted and the largest, each then and now."""
    old, new = ({one["name"]: one for one in each["databases"]} for each in (before, now))
    databases, tables = [], []
    for name in {*old, *new}:
        databases.append(_sized(name, None, old.get(name), new.get(name)))
        was, is_ = ({one["name"]: one for one in each.get(name, {}).get("tables", [])} for each in (old, new))
        tables += [_sized(name, table, was.get(table), is_.get(table)) for table in {*was, *is_}]
    databases.sort(key=_largest)
    tables.sort(key=lambda each: (each["rows_before"] is None and each["rows"] is None, _largest(each)))
    return databases[:MOST_SIZES] + tables[:MOST_SIZES]


def _sized(
    database: str, table: Optional[str], was: Optional[Mapping[str, Any]], is_: Optional[Mapping[str, Any]]
) -> Sized:
    before: Mapping[str, Any] = was or {}
    after: Mapping[str, Any] = is_ or {}
    return {
        "kind": "vanished" if is_ is None else "appeared" if was is None else "kept",
        "database": database,
        "table": table,
        "bytes_before": before.get("bytes"),
        "bytes": after.get("bytes"),
        "rows_before": before["rows"] if before.get("exact") else None,
        "rows": after["rows"] if after.get("exact") else None,
    }


def _largest(each: Sized) -> Tuple[int, str, str]:
    return (-max(each["bytes_before"] or 0, each["bytes"] or 0), each["database"], each["table"] or "")


def _databases(before: List[Any], now: List[Any]) -> Iterator[Change]:
    old, new = ({one["name"]: one for one in each} for each in (before, now))
    for name in sorted({*old, *new}):
        if name not in new or name not in old:
            kind = "appeared" if name in new else "vanished"
            yield _one_side(kind, "database %s" % name, size((new.get(name) or old[name])["bytes"]))
            continue
        yield from _bytes("database %s" % name, old[name], new[name])
        yield from _tables(name, old[name], new[name])
        yield from _plain("%s: extension " % name, old[name]["extensions"], new[name]["extensions"])
        was, is_ = old[name]["objects"], new[name]["objects"]
        if was is None or is_ is None:
            continue
        relations = tuple("%s " % kind for kind in ("table", "partitioned table", "materialized view"))
        for each in sorted({*was, *is_}):
            there = each in was and each in is_
            if there and was[each] != is_[each]:
                yield _change("schema", "%s: %s" % (name, each))
            elif not there and not each.startswith(relations):  # those are told with their sizes
                yield _change("appeared" if each in is_ else "vanished", "%s: %s" % (name, each))


def _tables(database: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    was, is_ = ({one["name"]: one for one in each["tables"]} for each in (old, new))
    for name in sorted({*was, *is_}):
        what = "%s: table %s" % (database, name)
        if name not in is_ or name not in was:
            kind, one = ("appeared", is_[name]) if name in is_ else ("vanished", was[name])
            rows = "" if one["rows"] is None else "%s, " % _rows(one["rows"])
            yield _one_side(kind, what, rows + size(one["bytes"]), one["exact"])
            continue
        before, after = was[name], is_[name]
        known = before["rows"] is not None and after["rows"] is not None and before["exact"] == after["exact"]
        if known and before["rows"] != after["rows"]:
            yield _change(
                "emptied" if not after["rows"] and after["exact"] else "rows",
                what,
                _rows(before["rows"]),
                _rows(after["rows"]),
                _percent(before["rows"], after["rows"]),
                after["exact"],
            )
        if before["exact"] and not after["exact"]:
            yield _change("uncounted", what, _rows(before["rows"]), "not counted")
        yield from _bytes(what, before, after, after["exact"])


def _bytes(what: str, before: Mapping[str, Any], after: Mapping[str, Any], counted: bool = False) -> Iterator[Change]:
    was, is_ = before["bytes"], after["bytes"]
    if was is not None and is_ is not None and abs(was - is_) >= NOISE_BYTES:
        yield _change("bytes", what, size(was), size(is_), _percent(was, is_), counted)


def _plain(what: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*before, *now}):
        if name not in now or name not in before:
            kind = "appeared" if name in now else "vanished"
            yield _one_side(kind, what + name, now.get(name) or before.get(name) or "")
        elif before[name] != now[name]:
            yield _change("changed", what + name, before[name], now[name])


def _lines(what: str, before: List[str], now: List[str]) -> Iterator[Change]:
    for line in dict.fromkeys([*before, *now]):
        if line not in now or line not in before:
            yield _change("appeared" if line in now else "vanished", what + line)
    kept = [line for line in before if line in now]
    if kept != [line for line in now if line in before]:
        yield _change("changed", what + "order", "another", "changed: the first rule that fits counts")


def _roles(roles: List[Any]) -> Dict[str, str]:
    found = {}
    for each in roles:
        words = [*each["attributes"]]
        words += ["connection limit %d" % each["connection_limit"]] if each["connection_limit"] >= 0 else []
        words += ["valid until %s" % each["valid_until"]] if each["valid_until"] else []
        words += ["member of %s" % ", ".join(each["member_of"])] if each["member_of"] else []
        found[each["name"]] = "; ".join([*words, *each["settings"]]) or "no attribute"
    return found


def _one_side(kind: str, what: str, words: str, counted: bool = False) -> Change:
    here = kind == "appeared"
    return _change(kind, what, None if here else words, words if here else None, None, counted)


def _rows(count: int) -> str:
    return "%s row%s" % (number(count), "" if count == 1 else "s")


def _percent(before: float, after: float) -> Optional[float]:
    return round(100.0 * (after - before) / before, 1) if before else None


def _change(
    kind: str,
    what: str,
    before: Optional[str] = None,
    after: Optional[str] = None,
    percent: Optional[float] = None,
    counted: bool = False,
) -> Change:
    return {
        "kind": kind,
        "what": what,
        "counted": counted,
        "before": before,
        "after": after,
        "percent": percent,
    }
