# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Question 4: are connection slots available?

Ordinary roles may use ``max_connections - superuser_reserved_connections - reserved_connections`` (PostgreSQL manual,
20.3.1). SQLSTATE 53300 is also what a role's or a database's own limit says: the counts tell them apart.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..._core.text import count, duration
from ..._model.answers import NO, WARNING, YES, Answer, Finding, Thresholds, Values
from .. import budget, titles
from ..caps import allowed
from . import overload, pool
from .readings import TOO_MANY_CONNECTIONS, not_asked, refusals, usable_slots, without_snapshot

if TYPE_CHECKING:
    from ..._model.facts import Facts, RoleLimit, Snapshot

QUESTION = "connections"
ROLE_LIMIT, DATABASE_LIMIT = "role_limit", "database_limit"
IDLE, IN_TRANSACTION, ACTIVE = "idle_connections", "idle_in_transaction", "active_overload"


class Holder(NamedTuple):
    """Sessions alike, whether SQL or the process titles told of them."""

    sessions: int
    state: Optional[str]
    user: str
    database: str
    application: str
    address: str


def check(facts: Facts, thresholds: Thresholds) -> Answer:
    answer = _check(facts, thresholds)
    if answer.answer != NO:
        return answer
    cause, name = answer.cause, answer.values.name
    if cause == ACTIVE:
        advice = overload.instead(facts, thresholds)
        most = overload.most_sessions(facts["snapshot"], thresholds, _alike(facts, ACTIVE))
        values = replace(
            answer.values,
            query_seconds=None if advice else thresholds.overload_seconds,
            advice=advice,
            max_sessions=most,
            allowed=allowed(most, "cancelling"),
        )
    else:
        user, database = (name if cause == one else None for one in (ROLE_LIMIT, DATABASE_LIMIT))
        alike = _alike(facts, IN_TRANSACTION if cause == IN_TRANSACTION else IDLE, user, database)
        most = pool.most_sessions(facts, thresholds, alike, cause == IDLE)
        values = replace(
            answer.values,
            pool_helps=pool.helps(facts, thresholds, cause == IN_TRANSACTION, user, database),
            max_sessions=most,
            allowed=allowed(most, "ending"),
        )
    return replace(answer, values=values)


def _alike(facts: Facts, kind: str, user: Optional[str] = None, database: Optional[str] = None) -> int:
    """How many sessions of that kind there are, of that user and in that database."""
    return sum(
        one.sessions
        for one in _holders(facts)
        if _kind(one.state) == kind and user in (None, one.user) and database in (None, one.database)
    )


def _holders(facts: Facts) -> List[Holder]:
    if facts["snapshot"] is not None:
        return _from_groups(facts["snapshot"])
    server = facts["server"]
    found = titles.backends(server["processes"] if server else [])
    alike = Counter((one.state, one.user, one.database, "", one.address or "local socket") for one in found)
    return [Holder(number, *key) for key, number in alike.most_common()]


def _check(facts: Facts, thresholds: Thresholds) -> Answer:
    snapshot = facts["snapshot"]
    refused = refusals(facts, TOO_MANY_CONNECTIONS)
    if snapshot is None and not refused:
        return not_asked(QUESTION, without_snapshot(facts))
    said = ["%s: SQLSTATE %s: %s" % (who, TOO_MANY_CONNECTIONS, message) for who, message, _unused in refused]
    if snapshot is None:
        return _without_sql(facts, said)
    connections = snapshot["connections"]
    usable, used = usable_slots(connections), connections["used"]
    counts = _counts(snapshot)
    holders = _from_groups(snapshot)
    if used >= usable:
        evidence = [counts, *said, *_held(holders), *_long(snapshot, thresholds)]
        over = tuple(budget.findings(facts, snapshot, thresholds))
        return _no(_cause(_totals(holders), facts), evidence, "%d of %d" % (used, usable), over)
    findings = tuple(_findings(snapshot, facts, thresholds, counts, holders))
    limited = _limit(facts, snapshot, holders, [client for _who, _message, client in refused])
    if limited:
        cause, limit, alike = limited
        kind = "role" if cause == "role_limit" else "database"
        findings = tuple(one for one in findings if one.code != "connection_limit_reached")
        text = "%s %s: %d of %d connections (CONNECTION LIMIT %d)" % (
            kind,
            limit["name"],
            limit["used"],
            limit["limit"],
            limit["limit"],
        )
        counted = "%(used)d of %(limit)d" % limit
        return _no(cause, [text, *said, *_held(alike), counts], counted, findings, limit["name"])
    if refused:
        evidence = [*said, counts + " a moment later", *_held(holders)]
        return _no(_cause(_totals(holders), facts), evidence, "%d of %d" % (used, usable), findings)
    return Answer(QUESTION, YES, counts, findings=findings)


def _no(
    cause: str, evidence: Sequence[str], counted: str, findings: Tuple[Finding, ...] = (), name: Optional[str] = None
) -> Answer:
    values = Values(counts=counted, name=name)
    return Answer(QUESTION, NO, evidence[0], "pool_exhausted", cause, tuple(dict.fromkeys(evidence)), findings, values)


def _counts(snapshot: Snapshot) -> str:
    connections = snapshot["connections"]
    kept = connections["superuser_reserved"] + connections["reserved"]
    return "%d of %d usable connection slots in use (max_connections %d, %d reserved)" % (
        connections["used"],
        usable_slots(connections),
        connections["max_connections"],
        kept,
    )


def _without_sql(facts: Facts, said: List[str]) -> Answer:
    """No slot for us either: the process titles say who holds them."""
    holders = _holders(facts)
    found = sum(one.sessions for one in holders)
    text = "SQL is refused; process titles show %s" % count(found, "client backend")
    evidence = [*said, text, *_held(holders)] if found else [*said, "who holds the slots cannot be seen from here"]
    cause, name = (None, None) if found else _hinted(facts)
    counted = "all %d" % found if found else "all"
    return _no(cause or _cause(_totals(holders), facts), evidence, counted, name=name)


_LIMITED = re.compile(r'too many connections for (role|database) "(.+)"')


def _hinted(facts: Facts) -> Tuple[Optional[str], Optional[str]]:
    """Nothing but the refusal's words (in English) tell a role's or a database's limit from the server's."""
    for _who, message, _client in refusals(facts, TOO_MANY_CONNECTIONS):
        found = _LIMITED.search(message)
        if found:
            return found.group(1) + "_limit", found.group(2)
    return None, None


def _from_groups(snapshot: Snapshot) -> List[Holder]:
    rows = sorted(snapshot["connections"]["groups"], key=lambda row: -row["sessions"])
    return [
        Holder(
            row["sessions"],
            row["state"],
            row["user"] or "unknown",
            row["database"] or "unknown",
            row["application"],
            row["client_address"] or "local socket",
        )
        for row in rows
    ]


def _long(snapshot: Snapshot, thresholds: Thresholds) -> List[str]:
    connections = snapshot["connections"]
    counted = (
        (connections["long_idle"], "idle", thresholds.idle_minutes * 60),
        (connections["long_idle_in_transaction"], "idle in transaction", thresholds.idle_in_transaction_seconds),
    )
    return ["%d %s for at least %s" % (number, what, duration(least)) for number, what, least in counted if number]


def _totals(holders: Sequence[Holder]) -> Dict[str, int]:
    totals = {IDLE: 0, IN_TRANSACTION: 0, ACTIVE: 0}
    for holder in holders:
        kind = _kind(holder.state)
        if kind:
            totals[kind] += holder.sessions
    return totals


def _kind(state: Optional[str]) -> Optional[str]:
    if state == titles.IDLE:
        return IDLE
    if state in (titles.IDLE_IN_TRANSACTION, titles.ABORTED):
        return IN_TRANSACTION
    return ACTIVE if state in ("active", "fastpath function call") else None


def _cause(totals: Dict[str, int], facts: Facts) -> str:
    """What holds the most; where a limited role sees no states, the process titles do."""
    server = facts["server"]
    if not any(totals.values()) and server:
        alike = Counter(backend.state for backend in titles.backends(server["processes"]))
        totals = _totals([Holder(number, state, "", "", "", "") for state, number in alike.items()])
    return max(totals, key=lambda kind: totals[kind])


def _held(holders: Sequence[Holder], most: int = 4) -> List[str]:
    """By state, then who holds the most."""
    if not holders:
        return []
    states: Counter[str] = Counter()
    who: Counter[Tuple[str, str, str, str]] = Counter()
    for holder in holders:
        states[holder.state or "state unknown"] += holder.sessions
        who[(holder.user, holder.database, holder.application, holder.address)] += holder.sessions
    lines = ["by state: " + ", ".join("%d %s" % (number, state) for state, number in states.most_common())]
    for (user, database, application, address), number in who.most_common(most):
        by = " application %s" % application if application else ""
        lines.append("%d held by user %s, database %s,%s from %s" % (number, user, database, by, address))
    return lines


def _limit(
    facts: Facts, snapshot: Snapshot, holders: Sequence[Holder], refused: Sequence[Optional[str]]
) -> Optional[Tuple[str, RoleLimit, List[Holder]]]:
    """A declared client's role or database that has reached its own limit; superusers have none."""
    superusers = [role["name"] for role in snapshot["roles"] if role["superuser"]]
    # A pool as large as its role's limit is no fault while a login still works.
    clients = [one for one in facts["clients"] if not (one["attempt"] and one["attempt"]["succeeded"])]
    # Those that were turned away first, then the others: theirs is the next attempt that fails.
    clients.sort(key=lambda client: client["name"] not in refused)
    for client in clients:
        login = client["login"]
        if login is None or login["user"] in superusers:
            continue
        for cause, name, rows in (
            ("role_limit", login["user"], snapshot["limits"].get("roles") or []),
            ("database_limit", login["database"], snapshot["limits"].get("databases") or []),
        ):
            for row in rows:
                if row["name"] == name and row["used"] >= row["limit"]:
                    alike = [one for one in holders if name == (one.user if cause == "role_limit" else one.database)]
                    return cause, row, alike
    return None


def _findings(
    snapshot: Snapshot, facts: Facts, thresholds: Thresholds, counts: str, holders: Sequence[Holder]
) -> List[Finding]:
    found: List[Finding] = []
    usable, used = usable_slots(snapshot["connections"]), snapshot["connections"]["used"]
    if usable > 0 and used * 100 / usable > thresholds.connection_percent:
        text = "%.0f %% of usable connection slots in use" % (used * 100 / usable)
        found.append(Finding("pool_nearly_exhausted", WARNING, text, (counts, *_held(holders))))
    ours = [client["login"] for client in facts["clients"] if client["login"]]
    for kind, rows, mine in (
        ("role", snapshot["limits"]["roles"], [login["user"] for login in ours]),
        ("database", snapshot["limits"]["databases"], [login["database"] for login in ours]),
    ):
        for row in rows:
            # A limit of 0 is a way to lock a role out, and was meant.
            if row["used"] >= row["limit"] and (row["limit"] > 0 or row["name"] in mine):
                text = "%s %s has reached its connection limit" % (kind.capitalize(), row["name"])
                found.append(Finding("connection_limit_reached", WARNING, text, ("%(used)d of %(limit)d" % row,)))
    return found + budget.findings(facts, snapshot, thresholds)
