# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Question 6: are queries getting through?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from ..._core.text import count, duration, line, names
from ..._model import tools
from ..._model.answers import NO, OK, WARNING, YES, Answer, Finding, Thresholds, Values
from .. import caps, prepared, titles
from . import spared
from .blocking import ADVISORY, Root, incidents, roots
from .readings import down, not_asked, without_snapshot

if TYPE_CHECKING:
    from ..._model.facts import Activity, Facts, SeenSession, Snapshot

QUESTION = "activity"
# Long by nature, as backups are: the maintenance that autovacuum's own settings do not cover
MAINTENANCE = (*spared.TASKS, "ANALYZE", "REFRESH", "COPY")


def check(facts: Facts, thresholds: Thresholds) -> Answer:
    snapshot = facts["snapshot"]
    if snapshot is None:
        return _without_sql(facts) or not_asked(QUESTION, without_snapshot(facts))
    activity = snapshot["activity"]
    sessions = _sessions(snapshot)
    hanging = [
        client["name"]
        for client in facts["clients"]
        if client["attempt"]
        and client["attempt"]["outcome"] == "timeout"
        and (client["reach"] is None or client["reach"]["outcome"] == "open")  # otherwise it is the network's doing
    ]
    waits = _sync_wait(snapshot, thresholds)
    if waits is not None:
        return waits
    blockers = [
        root
        for root in roots(incidents(activity["blocking"]))
        if root.longest_seconds >= thresholds.blocked_seconds or (hanging and root.holds)
    ]
    long_queries = [row for row in activity["long_queries"] if not _expected(row) and not _waits(row)]
    findings = tuple(_findings(snapshot, thresholds, blockers))
    if blockers:
        slow = _long_finding(long_queries, blockers)
        return _blocked(facts, activity, thresholds, blockers, sessions, hanging, findings + slow)
    if long_queries:
        evidence = tuple(
            _session(row, "active for %s" % duration(row["query_seconds"] or 0)) for row in long_queries[:5]
        )
        why = [(row, spared.why(row, facts["clients"])) for row in long_queries]
        values = Values(
            pids=tuple(row["pid"] for row, reason in why if reason is None),
            root="pid %d (%s), %s" % (why[0][0]["pid"], why[0][0]["user"] or "unknown user", why[0][1]),
            sessions=count(len(long_queries), "query", "queries"),
            longest=duration(max(row["query_seconds"] or 0 for row in long_queries)),
        )
        return Answer(QUESTION, NO, evidence[0], "queries_hanging", "long_running", evidence, findings, values)
    waiting = len({edge["blocked_pid"] for edge in incidents(activity["blocking"])})
    detail = "no query over %s" % duration(thresholds.long_query_seconds)
    detail += (
        ", %s waiting for locks, none for long" % count(waiting, "session")
        if waiting
        else ", no sessions are waiting for locks"
    )
    return Answer(QUESTION, YES, detail, findings=findings)


def _sync_wait(snapshot: Snapshot, thresholds: Thresholds) -> Optional[Answer]:
    """Before the locks: who waits holds them, and must not be cancelled."""
    waits = snapshot["activity"]["sync_replication"]
    if (waits["longest_seconds"] or 0) < thresholds.blocked_seconds:
        return None
    setting = waits["standby_names"] or ""
    connected = {row["application"].lower() for row in snapshot["soundness"]["standbys"] if row["state"] == "streaming"}
    # synchronous_standby_names: names, some in double quotes, after FIRST or ANY and a number
    listed = [quoted or plain for quoted, plain in re.findall(r'"([^"]+)"|([A-Za-z_][\w$]*|\*)', setting)]
    wanted = [each for each in listed if each.upper() not in ("FIRST", "ANY")]
    missing = [each for each in wanted if each != "*" and each.lower() not in connected]
    evidence = (
        "%s waiting for a synchronous standby, the longest for %s"
        % (count(waits["waiting"], "commit"), duration(waits["longest_seconds"] or 0)),
        "synchronous_standby_names = %s" % setting,
        "streaming now: %s" % (names(sorted(connected)) if connected else "no standby"),
    )
    values = Values(sessions=count(waits["waiting"], "commit"), standby=names(missing) if missing else "(%s)" % setting)
    return Answer(QUESTION, NO, evidence[0], "queries_hanging", "sync_replication_wait", evidence, values=values)


def _blocked(
    facts: Facts,
    activity: Activity,
    thresholds: Thresholds,
    blockers: List[Root],
    sessions: Dict[int, SeenSession],
    hanging: List[str],
    findings: Tuple[Finding, ...],
) -> Answer:
    worst = blockers[0]
    evidence = [_root_line(root, sessions, activity) for root in blockers[:5]]
    evidence += _victims(activity, sessions)
    evidence += ["login of %s timed out" % name for name in hanging]
    blocked = len({edge["blocked_pid"] for edge in incidents(activity["blocking"])})
    why = {root.pid: spared.why(sessions[root.pid], facts["clients"]) for root in blockers if root.pid in sessions}
    advice = why.get(worst.pid, None if worst.gid is not None else "not visible to us: investigate by hand")
    wait = _not_yet(facts["snapshot"], worst.gid, thresholds) if worst.gid is not None else ""
    pids = tuple(pid for pid, reason in why.items() if reason is None)
    most = len(pids) if caps.exceeds(len(pids)) else None
    values = Values(
        sessions=count(blocked, "session"),
        root=_short(worst, sessions) + (", " + advice if advice else ""),
        gid=worst.gid,
        rollback_helps=not wait,
        advice=wait,
        pids=pids,
        max_sessions=most,
        allowed=caps.allowed(most, "cancelling or ending"),
    )
    cause = "blocked_by_lock" if worst.gid is None else "prepared_transaction"
    return Answer(QUESTION, NO, evidence[0], "queries_hanging", cause, tuple(evidence), findings, values)


def _not_yet(snapshot: Optional[Snapshot], gid: str, thresholds: Thresholds) -> str:
    """Why rollback_prepared would be refused; empty: it would not."""
    known = next((row for row in snapshot["activity"]["prepared"] if row["gid"] == gid), None) if snapshot else None
    if snapshot is None or known is None:
        return "ask its owner to finish it"
    why = prepared.refused(known, snapshot["in_recovery"], thresholds.blocked_seconds)
    if why == prepared.STANDBY:
        return "this server is a standby; finish it on the primary"
    if why == prepared.NOT_OURS:
        return "only its owner %s or a superuser can; ask them" % known["owner"]
    if why == prepared.TOO_YOUNG:
        return "its transaction manager may be about to; check again in a minute"
    if snapshot["pooled"] and not known["here"]:  # it may have that database on another server
        return "to roll it back, log in to database %s or to the server itself, not to its pooler" % known["database"]
    return ""


def _root_line(root: Root, sessions: Dict[int, SeenSession], activity: Activity) -> str:
    direct = "" if root.directly == root.holds else " (%d directly)" % root.directly
    holds = "blocks %s%s, the longest for %s" % (count(root.holds, "session"), direct, duration(root.longest_seconds))
    if root.gid is not None:
        known = next((row for row in activity["prepared"] if row["gid"] == root.gid), None)
        whose = (
            ", owner %s, database %s, prepared %s ago"
            % (known["owner"], known["database"], duration(known["age_seconds"]))
            if known
            else ""
        )
        return "prepared transaction '%s' %s%s" % (root.gid, holds, whose)
    row = sessions.get(root.pid)
    if row is None:
        return "pid %d (not a client session: a background process, perhaps autovacuum) %s" % (root.pid, holds)
    if row["backend_type"] not in (None, "client backend"):
        return "pid %d, %s, %s: %s" % (row["pid"], row["backend_type"], holds, line(row["query"] or "", 80))
    return _session(row, holds)


def _short(root: Root, sessions: Dict[int, SeenSession]) -> str:
    row = sessions.get(root.pid)
    if root.gid is not None:
        return "prepared transaction '%s'" % root.gid
    return (
        "pid %d (%s, %s)" % (root.pid, row["user"] or "unknown user", row["state"] or "state unknown")
        if row
        else "pid %d" % root.pid
    )


def _victims(activity: Activity, sessions: Dict[int, SeenSession]) -> List[str]:
    found = []
    for edge in sorted(activity["blocking"], key=lambda edge: -edge["blocked_seconds"])[:3]:
        on = " on %s" % edge["relation"] if edge["relation"] else ""
        by = "'%s'" % edge["blocking_gid"] if edge["blocking_gid"] is not None else "pid %d" % edge["blocking_pid"]
        row = sessions.get(edge["blocked_pid"])
        query = ": %s" % line(row["query"], 80) if row and row["query"] else ""
        found.append(
            "pid %d has been waiting %s for %s%s, blocked by %s%s"
            % (edge["blocked_pid"], duration(edge["blocked_seconds"]), edge["lock_mode"] or "a lock", on, by, query)
        )
    return found


def _session(row: SeenSession, what: str) -> str:
    application = " (%s)" % row["application"] if row["application"] else ""
    query = ": %s" % line(row["query"], 80) if row["query"] else ""
    where = row["client_address"] or "local socket"
    return "pid %d, %s%s from %s, %s, %s%s" % (
        row["pid"],
        row["user"] or "unknown user",
        application,
        where,
        row["state"] or "state unknown",
        what,
        query,
    )


def _sessions(snapshot: Snapshot) -> Dict[int, SeenSession]:
    connections, activity = snapshot["connections"], snapshot["activity"]
    rows = connections["idle"] + connections["idle_in_transaction"] + activity["long_queries"] + activity["involved"]
    return {row["pid"]: row for row in rows}


def _expected(row: SeenSession) -> bool:
    if row["application"] == "oncall" or tools.is_any(tools.BACKUPS, row["application"]):
        return True
    return (row["query"] or "").lstrip().upper().startswith(MAINTENANCE)


def _waits(row: SeenSession) -> bool:
    """It waits for a lock: the blocking tree has the story."""
    return row["wait_event_type"] == "Lock"


def _long_finding(rows: List[SeenSession], blockers: List[Root]) -> Tuple[Finding, ...]:
    others = [row for row in rows if row["pid"] not in [root.pid for root in blockers]]
    if not others:
        return ()
    evidence = tuple(_session(row, "active for %s" % duration(row["query_seconds"] or 0)) for row in others[:5])
    return (
        Finding(
            "long_running", WARNING, "%s running for a long time" % count(len(others), "query", "queries"), evidence
        ),
    )


def _findings(snapshot: Snapshot, thresholds: Thresholds, blockers: List[Root]) -> List[Finding]:
    connections, activity = snapshot["connections"], snapshot["activity"]
    blocking = {root.pid for root in blockers}
    gids = {root.gid for root in blockers}
    found = []
    held = [
        row
        for row in connections["idle_in_transaction"]
        if row["pid"] not in blocking and (row["state_seconds"] or 0) >= thresholds.idle_in_transaction_seconds
    ]
    if held:
        number = max(len(held), connections["long_idle_in_transaction"] - len(blocking))
        text = "%s idle in transaction for a long time" % count(number, "session")
        evidence = tuple(_session(row, "for %s" % duration(row["state_seconds"] or 0)) for row in held[:5])
        found.append(Finding("idle_in_transaction", WARNING, text, evidence))
    orphans = [
        row
        for row in activity["prepared"]
        if row["gid"] not in gids and row["age_seconds"] >= thresholds.idle_in_transaction_seconds
    ]
    if orphans:
        evidence = tuple(
            "'%s', owner %s, database %s, prepared %s ago"
            % (row["gid"], row["owner"], row["database"], duration(row["age_seconds"]))
            for row in orphans[:5]
        )
        found.append(
            Finding(
                "prepared_transaction", WARNING, "%s left open" % count(len(orphans), "prepared transaction"), evidence
            )
        )
    expected = [row for row in activity["long_queries"] if _expected(row) and row["application"] != "oncall"]
    if expected:
        evidence = tuple(_session(row, "active for %s" % duration(row["query_seconds"] or 0)) for row in expected[:5])
        found.append(
            Finding("long_maintenance", OK, "A backup or maintenance job has been running for a long time", evidence)
        )
    return found + _advisory(activity) + _counted(activity)


def _advisory(activity: Activity) -> List[Finding]:
    """Somebody else leads, or a job runs once only: as it was meant, unless it lasts."""
    waiting = [edge for edge in activity["blocking"] if edge["lock_type"] == ADVISORY]
    if not waiting:
        return []
    evidence = tuple(
        "pid %d has been waiting %s for an advisory lock of pid %d"
        % (edge["blocked_pid"], duration(edge["blocked_seconds"]), edge["blocking_pid"])
        for edge in waiting[:5]
    )
    number = len({edge["blocked_pid"] for edge in waiting})
    return [Finding("advisory_lock", WARNING, "%s waiting for an advisory lock" % count(number, "session"), evidence)]


def _counted(activity: Activity) -> List[Finding]:
    """Counters since the statistics were reset: worth knowing, no fault of this night."""
    found = []
    deadlocks = [row for row in activity["deadlocks"] if row.get("count")]
    if deadlocks:
        evidence = tuple(
            "%s: %s since the last statistics reset" % (row.get("database"), row["count"]) for row in deadlocks
        )
        found.append(Finding("deadlocks", OK, "Deadlocks have occurred", evidence))
    conflicts = [row for row in activity["conflicts"] if row.get("count")]
    if conflicts:
        evidence = tuple("%s: %s %s" % (row.get("database"), row["count"], row.get("kind")) for row in conflicts)
        found.append(Finding("recovery_conflicts", OK, "Recovery has cancelled queries on this standby", evidence))
    return found


def _without_sql(facts: Facts) -> Optional[Answer]:
    """Sessions that wait for a lock even to begin (one on the catalog): ours did not begin either, the titles tell."""
    server = facts["server"]
    if server is None or down(facts):
        return None
    backends = titles.backends(server["processes"])
    waiting = [one for one in backends if one.waiting and one.state == titles.AUTHENTICATION]
    if not waiting:
        return None
    evidence = ["%s waiting for a lock before they even start" % count(len(waiting), "new session")]
    held = [one for one in backends if one.state in (titles.IDLE_IN_TRANSACTION, titles.ABORTED)]
    evidence += [
        "possible blocker: pid %d, %s on %s from %s, %s"
        % (one.pid, one.user, one.database, one.address or "local socket", one.state)
        for one in held[:5]
    ]
    evidence += [
        "login of %s timed out" % client["name"]
        for client in facts["clients"]
        if client["attempt"] and client["attempt"]["outcome"] == "timeout"
    ]
    values = Values(
        sessions=count(len(waiting), "session"),
        root="a lock on the catalog" + (", perhaps held by %s" % names(one.user for one in held) if held else ""),
    )
    return Answer(QUESTION, NO, evidence[0], "queries_hanging", "blocked_by_lock", tuple(evidence), values=values)
