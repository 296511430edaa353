# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checklist that closes an incident: what was found and what was given in, items out. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ...module_utils._core.text import count, did_you_mean, duration, names, nearest
from ...module_utils._judge import budget
from ...module_utils._judge.checks.readings import usable_slots

_MOST_USED_PERCENT = 80  # of the usable slots, as triage's warning
_SLOW_MS = 1000  # a statement's average


@dataclass(frozen=True)
class Item:
    """``accepted``: why it is closed all the same, where it is not done."""

    name: str
    title: str
    done: bool
    detail: str
    accepted: Optional[str] = None

    @property
    def open(self) -> bool:
        return not self.done and not self.accepted


@dataclass(frozen=True)
class Seen:
    """``triage``, ``integrity`` and ``statements``: results as registered, their facts as plain values; empty: none."""

    triage: Mapping[str, Any]
    facts: Mapping[str, Any]
    integrity: Mapping[str, Any]
    given: Mapping[str, Any]  # the options of the module
    statements: Mapping[str, Any] = field(default_factory=dict)

    @property
    def snapshot(self) -> Mapping[str, Any]:
        return self.facts.get("snapshot") or {}

    @property
    def usable(self) -> int:
        return usable_slots(self.snapshot["connections"])


_NO_SQL = "SQL did not get through, so it is not known"


def _root_cause(seen: Seen) -> Item:
    given = (seen.given.get("root_cause") or "").strip()
    return Item("root_cause", "Root cause given", bool(given), given or "give -e oncall_root_cause='...'")


def _health(seen: Seen) -> Item:
    verdict = seen.triage.get("verdict") or {}
    said = verdict.get("summary") or "triage could not check it: %s" % (seen.triage.get("msg") or "no answer")
    return Item("health", "Triage finds it healthy", verdict.get("code") == "healthy", str(said))


def _integrity(seen: Seen) -> Item:
    verdict = seen.integrity.get("verdict") or {}
    grade, why = verdict.get("cause"), seen.given.get("accept_caution")
    said = str(verdict.get("summary") or "not checked: %s" % (seen.integrity.get("msg") or "no answer"))
    accepted = why if grade == "caution" and why else None
    if grade == "caution" and not why:
        said += " (accept it with -e oncall_accept_caution='reason')"
    return Item("integrity", "Integrity check is a go", grade == "go", said, accepted)


def _sessions(seen: Seen) -> Item:
    title = "Sessions within limits"
    if not seen.snapshot:
        return Item("sessions", title, False, _NO_SQL)
    slots, limits = seen.snapshot["connections"], seen.snapshot["limits"]
    limited = [*limits["roles"], *limits["databases"]]
    reached = [each["name"] for each in limited if each["used"] >= each["limit"]]
    wrong = []
    if slots["used"] * 100 >= seen.usable * _MOST_USED_PERCENT:
        wrong.append("that is %d %% or more" % _MOST_USED_PERCENT)
    if slots["long_idle_in_transaction"]:
        wrong.append("%s idle in transaction for long" % count(slots["long_idle_in_transaction"], "session"))
    if reached:
        wrong.append("connection limit reached: %s" % names(reached))
    said = "%d of %d usable slots in use" % (slots["used"], seen.usable)
    return Item("sessions", title, not wrong, "; ".join([said, *wrong]))


def _pools(seen: Seen) -> Item:
    """What pools may grow to: as declared or in the clients' environment; of others only their owners know."""
    title = "Pool settings within the server's budget"
    if not seen.snapshot:
        return Item("pools", title, False, _NO_SQL)
    clients = seen.facts.get("clients") or []
    sizes: Dict[str, Any] = {}
    for pool in budget.pools(clients)[0]:
        sizes[pool.service] = sizes.get(pool.service, 0) + pool.most
    sizes.update(seen.given.get("pool_sizes") or {})
    unknown = sorted({each["service"] for each in clients} - set(sizes))
    if unknown:
        said = 'unknown for %s: give -e \'{"oncall_pool_sizes": {"%s": N}}\', N the most connections it may open' % (
            names(unknown),
            unknown[0],
        )
        return Item("pools", title, False, "%s; %d slots are usable" % (said, seen.usable))
    if not sizes:
        said = "no client is declared; %d of %d usable slots in use" % (
            seen.snapshot["connections"]["used"],
            seen.usable,
        )
        return Item("pools", title, True, said)
    total = sum(int(each) for each in sizes.values())
    said = "%s: %d of %d usable slots at most" % (names(sorted(sizes)), total, seen.usable)
    return Item("pools", title, total <= seen.usable, said)


def _monitoring(seen: Seen) -> Item:
    """The server's own part; whether somebody looks at it, only a person knows."""
    title = "Monitoring in place"
    where = (seen.given.get("monitoring") or "").strip()
    if where:
        return Item("monitoring", title, True, "as declared, not checked: %s" % where)
    configured = seen.snapshot.get("configured") or {}
    if not configured:
        return Item("monitoring", title, False, _NO_SQL)
    checks = {
        "pg_stat_statements is not loaded": configured.get("statements_tracked"),
        "log_lock_waits is off": configured.get("log_lock_waits"),
        "log_min_duration_statement is off": configured.get("log_min_duration_ms", -1) >= 0,
    }
    missing = [what for what, there in checks.items() if not there]
    if missing:
        said = "%s; or name what watches it: -e oncall_monitoring='...'" % ", ".join(missing)
        return Item("monitoring", title, False, said)
    said = "pg_stat_statements, log_lock_waits and log_min_duration_statement are on; alerts are not checked"
    return Item("monitoring", title, True, said)


def _slow_queries(seen: Seen) -> Item:
    """Where none is slow there is nothing to review; the others only a person can."""
    title, counted = "Slow queries reviewed", seen.statements.get("statements")
    if not counted:
        why = seen.statements.get("reason") or seen.statements.get("msg") or "they were not looked at"
        said = "which are slow is not known: %s" % str(why).rstrip(".")
    else:
        slow = [each for each in counted["by_mean"] if each["mean_ms"] >= _SLOW_MS]
        least = duration(_SLOW_MS / 1000)
        if not slow:
            all_ = count(counted["count"], "statement")
            return Item("slow_queries", title, True, "none of %s takes %s or more on average" % (all_, least))
        first = "%s on average, %s: %s" % (
            duration(slow[0]["mean_ms"] / 1000),
            count(slow[0]["calls"], "call"),
            slow[0]["query"] or "query %s" % slow[0]["query_id"],
        )
        said = "some take %s or more on average, the slowest %s" % (least, first)
    if seen.given.get("slow_queries_reviewed"):
        return Item("slow_queries", title, True, "as declared; %s" % said)
    return Item("slow_queries", title, False, "%s; give -e oncall_slow_queries_reviewed=true when they are" % said)


def _corrective_actions(seen: Seen) -> Item:
    given: Sequence[Mapping[str, Any]] = seen.given.get("corrective_actions") or []
    title = "Corrective actions with owners"
    ownerless = [str(each.get("what")) for each in given if not (each.get("owner") or "").strip()]
    if not given:
        example = '-e \'{"oncall_corrective_actions": [{"what": "...", "owner": "...", "due": "..."}]}\''
        return Item("corrective_actions", title, False, "give %s" % example)
    said = "no owner: %s" % names(ownerless) if ownerless else count(len(given), "action")
    return Item("corrective_actions", title, not ownerless, said)


ITEMS: Dict[str, Callable[[Seen], Item]] = {
    "root_cause": _root_cause,
    "health": _health,
    "integrity": _integrity,
    "sessions": _sessions,
    "pools": _pools,
    "monitoring": _monitoring,
    "slow_queries": _slow_queries,
    "corrective_actions": _corrective_actions,
}


def problems_of(close_anyway: Mapping[str, Any], sizes: Mapping[str, Any]) -> List[str]:
    """What is wrong with what was given: an item or a number that is none, no reason."""
    wrong = [each for each in sizes.items() if not _whole(each[1])]
    problems = ["oncall_pool_sizes.%s is %r. Give a whole number." % each for each in wrong]
    for name, why in close_anyway.items():
        if name not in ITEMS:
            hint = did_you_mean(nearest(str(name), ITEMS), "Give any of: %s." % ", ".join(ITEMS))
            problems.append("oncall_close_anyway has no item %s. %s" % (name, hint))
        elif not isinstance(why, str) or not why.strip():
            problems.append("oncall_close_anyway.%s needs a reason." % name)
    return problems


def _whole(value: Any) -> bool:
    return not isinstance(value, bool) and str(value).strip().isdecimal()


def checked(seen: Seen) -> List[Item]:
    anyway = seen.given.get("close_anyway") or {}
    found = [check(seen) for check in ITEMS.values()]
    return [
        Item(each.name, each.title, each.done, each.detail, anyway[each.name])
        if each.open and each.name in anyway
        else each
        for each in found
    ]


def as_values(items: Sequence[Item]) -> List[Dict[str, Any]]:
    return [asdict(each) for each in items]
