# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which indexes are rebuilt, which are not and why, and what may be called refreshed afterwards. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import RefusedError
from ..._core.text import count, duration, line, names, size
from ..procedure import Change

MARGIN_SHARE, MARGIN_BYTES = 0.02, 1024**3  # as triage calls a disk full
REBUILD, DROP, REFUSE = "rebuild", "drop", "refuse"
ROOM_FACTOR = 2  # the new index, and the sort that makes it


@dataclass(frozen=True)
class Database:
    """``document``: of ``sql.INDEXES``. ``twice``: index oid -> rows of ``sql.twice``, or why they were not read."""

    name: str
    document: Mapping[str, Any]
    twice: Mapping[int, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """``free``: directory -> (free bytes, total bytes), None where that is not known."""

    server: Mapping[str, Any]
    databases: Sequence[Database]
    free: Mapping[str, Optional[Tuple[int, int]]]
    pooled: bool = False


@dataclass(frozen=True)
class Step:
    """One index. ``what``: REBUILD, DROP or REFUSE; ``why``: of a refusal."""

    database: str
    index: Mapping[str, Any]
    what: str
    why: str = ""
    keys: Sequence[Mapping[str, Any]] = ()

    @property
    def name(self) -> str:
        return "%s.%s" % (self.database, self.index["name"])

    def row(self) -> Dict[str, Any]:
        """As the result has it."""
        return {
            "name": self.name,
            "table": self.index["table"],
            "state": {REBUILD: "rebuilt", DROP: "dropped", REFUSE: "refused"}[self.what],
            "why": self.why or None,
            "collations": list(self.index["collations"]),
            "bytes": self.index["bytes"],
            "bytes_after": None,
            "seconds": None,
            "proved_by": None,
            "duplicates": [dict(each) for each in self.keys],
        }


@dataclass(frozen=True)
class Refresh:
    """A version to be written anew: of a collation, or of the database's own (``name`` default)."""

    database: str
    schema: str
    name: str
    recorded_version: str
    actual_version: Optional[str]

    @property
    def shown(self) -> str:
        return "%s.%s" % (self.database, self.name)


@dataclass(frozen=True)
class Plan:
    steps: Tuple[Step, ...]
    refreshes: Tuple[Refresh, ...]
    kept: Tuple[str, ...]  # versions that are not refreshed, and why
    needed_bytes: int
    amcheck: Mapping[str, Optional[Mapping[str, Any]]]  # by database: {version, schema}; None where it cannot be had
    lock_seconds: float
    seconds: float  # for one index
    home: str  # the database that the target's own session is in

    @property
    def empty(self) -> bool:
        return not self.refreshes and all(step.what == REFUSE for step in self.steps)

    def foreseen(self) -> Change:
        rows = [step.row() for step in self.steps]
        return change(self, rows, [each.shown for each in self.refreshes])


def change(plan: Plan, rows: Sequence[Mapping[str, Any]], refreshed: Sequence[str]) -> Change:
    """``rows``: of the result. The diff is the same for a plan and for what became of it."""
    done = [row for row in rows if row["state"] in ("rebuilt", "dropped")]
    before = {
        "indexes": {row["name"]: "as it was" for row in done},
        "versions": {each.shown: each.recorded_version for each in plan.refreshes if each.shown in refreshed},
    }
    after = {
        "indexes": {row["name"]: row["state"] for row in done},
        "versions": {each.shown: each.actual_version for each in plan.refreshes if each.shown in refreshed},
    }
    details = {
        "msg": told(rows, refreshed, plan.kept),
        "indexes": [dict(row) for row in rows],
        "refreshed": list(refreshed),
        "not_refreshed": list(plan.kept),
        "needed_bytes": plan.needed_bytes,
    }
    return Change(bool(done or refreshed), before, after, details)


def told(rows: Sequence[Mapping[str, Any]], refreshed: Sequence[str], kept: Sequence[str]) -> str:
    """The outcome in one line."""
    parts = []
    for state, words in (("rebuilt", "rebuilt"), ("dropped", "dropped: left by a rebuild that failed")):
        some = [row for row in rows if row["state"] == state]
        if some:
            parts.append(
                "%s (%s) %s: %s"
                % (
                    count(len(some), "index", "indexes"),
                    size(sum(row["bytes"] or 0 for row in some)),
                    words,
                    names([row["name"] for row in some], 3),
                )
                if state == "rebuilt"
                else "%s %s (%s)" % (count(len(some), "index", "indexes"), words, names([r["name"] for r in some], 3))
            )
    parts += ["%s %s: %s" % (row["name"], row["state"], row["why"]) for row in rows if row["why"]]
    if refreshed:
        parts.append("version refreshed of %s" % names(refreshed))
    parts += kept
    return "; ".join(parts) or "No index sorts by a collation that has moved, and none is left of a rebuild that failed"


def decide(state: State, options: Mapping[str, Any]) -> Plan:
    """Raises RefusedError where nothing may be touched."""
    if state.server["in_recovery"]:
        raise RefusedError("This server is a standby: its indexes are those of its primary", "Run it on the primary.")
    if state.pooled:
        raise RefusedError(
            "Rebuilding is refused through a connection pooler: its times would stay with another client's connection",
            "Log in to the server itself (login_host, login_port).",
        )
    _known(state, options)
    steps = [
        _step(one, index, options["block_writers"]) for one in state.databases for index in one.document["indexes"]
    ]
    refreshes, kept = _refreshes(state, steps, options)
    room = _room(state, steps, options["disk_checked"])
    plan = Plan(
        tuple(steps),
        tuple(refreshes),
        tuple(kept),
        room,
        {one.name: one.document["amcheck"] for one in state.databases},
        options["lock_timeout_seconds"],
        options["timeout_seconds"],
        state.server["database"],
    )
    if steps and all(step.what == REFUSE for step in steps):
        raise RefusedError(plan.foreseen().details["msg"], "Nothing was touched.", details=plan.foreseen().details)
    _in_the_way(state, plan, options["transaction_minutes"])
    return plan


def _known(state: State, options: Mapping[str, Any]) -> None:
    found = ["%s.%s" % (one.name, name) for one in state.databases for name in one.document["named"]]
    missing = [name for name in options["indexes"] if name not in found]
    if missing:
        raise RefusedError(
            "There is no index %s" % names(missing),
            "Name it as integrity_check prints it: database.schema.index.",
        )


def _step(one: Database, index: Mapping[str, Any], block_writers: bool) -> Step:
    why, keys = "", []  # type: str, Sequence[Mapping[str, Any]]
    plain = "REINDEX INDEX %s;" % index["name"]
    if index["catalog"]:
        why = (
            "an index of a system catalog cannot be rebuilt beside its users: in a maintenance window, in database %s, "
            "run %s as a superuser (if the server does not start a session any more: single-user mode with -P)"
            % (one.name, plain)
        )
    elif index["toast"]:
        why = "it belongs to a TOAST table: run REINDEX TABLE CONCURRENTLY on the table that owns it"
    elif index["exclusion"] and not block_writers:
        why = (
            "it enforces an exclusion constraint, which cannot be rebuilt beside users of its table: run this again in "
            "a maintenance window with -e oncall_block_writers=true (readers wait, too)"
        )
    elif not index["ours"]:
        why = "only the owner of %s or a superuser can rebuild it: set login_user to one of them" % index["table"]
    elif index["bytes"] is None:
        why = "it is locked: run this again when the lock is gone"
    elif not index["leftover"]:
        twice = one.twice.get(index["oid"], [])
        if isinstance(twice, str):
            why = "values that are there twice could not be looked for: %s" % line(twice, 300)
        elif twice:
            keys = twice
            why = "%s holds values twice that it has to hold once (%s): correct the rows, then run this again" % (
                index["table"],
                names(["(%s): %s rows" % (", ".join(each["key"]), each["rows"]) for each in twice], 3),
            )
    if why:
        return Step(one.name, index, REFUSE, why, keys)
    return Step(one.name, index, DROP if index["leftover"] else REBUILD)


def _refreshes(state: State, steps: Sequence[Step], options: Mapping[str, Any]) -> Tuple[List[Refresh], List[str]]:
    """Only where every index that depends is rebuilt by this run; nothing else proves its order."""
    found: List[Refresh] = []
    kept: List[str] = []
    for one in state.databases:
        rebuilt = [step for step in steps if step.database == one.name and step.what == REBUILD]
        all_of_it = sum(1 for step in rebuilt if step.index["collations"]) == one.document["stale"]
        for each in one.document["collations"]:
            shown = "%s.%s" % (one.name, each["name"])
            if not options["refresh"]:
                kept.append("version of %s not refreshed: refresh is false" % shown)
            elif one.document["partitioned_by"]:
                kept.append(
                    "version of %s not refreshed: %s may hold rows in the wrong partition (partitioned by range)"
                    % (shown, names(one.document["partitioned_by"], 3))
                )
            elif not all_of_it:
                kept.append("version of %s not refreshed: not every index that depends on it is rebuilt" % shown)
            elif each["actual_version"] is None:
                kept.append("version of %s not refreshed: the operating system has none" % shown)
            elif not each["ours"]:
                raise RefusedError(
                    "Only the owner of collation %s or a superuser can refresh its version" % shown
                    if each["name"] != "default"
                    else "Only the owner of database %s or a superuser can refresh its version" % one.name,
                    "Set login_user to one of them; or rebuild only (oncall_refresh=false).",
                )
            else:
                found.append(
                    Refresh(one.name, each["schema"], each["name"], each["recorded_version"], each["actual_version"])
                )
    return found, kept


def _room(state: State, steps: Sequence[Step], checked: bool) -> int:
    """What the largest rebuild takes: one comes after the other. Raises RefusedError where it is not there."""
    largest: Dict[str, int] = {}
    for step in steps:
        if step.what == REBUILD:
            where = step.index["tablespace"] or state.server["directory"] or ""
            largest[where] = max(largest.get(where, 0), (step.index["bytes"] or 0) * ROOM_FACTOR)
    for where, needed in largest.items():
        room = state.free.get(where)
        if checked:
            continue
        if room is None:
            raise RefusedError(
                "The rebuild needs %s on the disk of %s, and how much is free there is not known"
                % (size(needed), where or "the data directory"),
                "Check it on the server, then add -e oncall_disk_checked=true.",
                details={"needed_bytes": needed},
            )
        free, total = room
        margin = int(min(total * MARGIN_SHARE, MARGIN_BYTES))
        if free < needed + margin:
            raise RefusedError(
                "The rebuild needs %s on the disk of %s (and %s have to stay free), and %s are free"
                % (size(needed), where, size(margin), size(free)),
                "Free space there, or name smaller indexes first (oncall_indexes).",
                details={"needed_bytes": needed},
            )
    return max(largest.values(), default=0)


def _in_the_way(state: State, plan: Plan, minutes: float) -> None:
    """A rebuild waits until everybody who was there before it is done: nobody is cut off for it."""
    used = {step.database for step in plan.steps if step.what != REFUSE}
    held = []
    for one in state.databases:
        if one.name in used:
            held += [
                "pid %s (%s, %s), open for %s"
                % (each["pid"], each["user"], each["application"] or "no name", duration(each["seconds"]))
                for each in one.document["open"]
            ]
            held += ["prepared transaction '%s'" % gid for gid in one.document["prepared"]]
    if held:
        raise RefusedError(
            "A rebuild would wait for transactions that have been open for more than %s: %s"
            % (duration(minutes * 60), names(held, 5)),
            "End them, or wait; or raise oncall_transaction_minutes.",
        )
