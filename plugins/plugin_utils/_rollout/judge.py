# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who of a batch may begin, whether it is worse than before, and what became of it. Pure.

A batch is judged as a whole: where one host is worse than before, all of its batch get their former values back.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from ...module_utils._core.text import names
from ...module_utils._model.answers import OK
from ...module_utils._model.standby import OF_STANDBYS
from .._run.response import REFUSED as RESTART_REFUSED
from .outcomes import (
    FAILED,
    NOT_BEGUN,
    PLANNED,
    PUT_BACK,
    RESTORE,
    RESTORED,
    SKIPPED,
    STOPS,
    TUNED,
    UNCHANGED,
    left_out,
)
from .registered import Variables, findings, is_down, line, mapping, unfit, why_failed

BROKEN = "the rollout itself failed: %s"
WOULD_NOT_START = "would not start again"  # as graceful_restart refuses
# Findings that a setting can bring about. Others come and go with what the clients do.
_OF_SETTINGS = (
    "client_down",
    "configuration_error",
    "connection_limit_reached",
    "memory_exhausted",
    "no_wal_receiver",
    "out_of_memory",
    "pool_nearly_exhausted",
    "storage_low",
)
_CLOSED = "it is outside of oncall_window; run it again in there, or with -e oncall_approve=true"
_APPLIED = {
    "oncall_applied": "settings not changed",
    "oncall_changed": "settings not changed",
    "oncall_roles_applied": "roles not changed",
}
_BACK = {
    "oncall_back": "",
    "oncall_back_started": "",
    "oncall_back_roles": "",
    "oncall_back_restarted": "restart: ",
}
_WITH = "all of a batch go back, and %s got worse"
_BY_HAND = (
    "Once that is corrected, run this again to go on, or oncall.postgresql.tune_restore -e oncall_snapshot=latest to "
    "put them back"
)


def may_begin(
    host: str,
    mine: Mapping[str, Any],
    variables: Variables,
    tuned: Mapping[str, Mapping[str, Any]],
    after: Sequence[str],
) -> Dict[str, Any]:
    """{} to go on, or {outcome, why, rows, waiting}. ``tuned``: what became of all hosts so far; one of an earlier
    batch that is still planned came to no end."""
    bad = [
        other
        for other, each in tuned.items()
        if each.get("outcome") in STOPS or (each.get("outcome") == PLANNED and each.get("kept"))
    ]
    if bad:
        return left_out(mine, NOT_BEGUN, "the rollout was stopped at %s" % names(bad))
    waits = [other for other in after if tuned.get(other, {}).get("outcome") not in (TUNED, UNCHANGED)]
    if waits:
        return left_out(mine, SKIPPED, "%s must come first, and was not changed" % names(waits))
    why = unfit(variables)
    if why and not (mine["is_down"] and is_down(variables)):
        return left_out(mine, SKIPPED, why)
    return {}


def restart(
    mine: Mapping[str, Any], asked: bool, approved: bool, open_now: bool, tuned: Mapping[str, Mapping[str, Any]]
) -> str:
    """Why there is no restart now; empty: there may be one."""
    if not asked:
        return "run it again with -e oncall_restart=true to restart it"
    if not approved and not open_now:
        return _CLOSED
    waits = [other for other in mine["after"] if set(tuned.get(other, {}).get("waiting") or ()) & set(OF_STANDBYS)]
    if waits:
        return "%s must be restarted first" % names(waits)
    if mine["held"]:
        return "a restart would also bring %s into force, and its standbys or its primary may not be ready" % names(
            mine["held"]
        )
    return ""


def applied(variables: Variables) -> List[str]:
    """Why the host was not changed; empty: it was."""
    for register, what in _APPLIED.items():
        failed = why_failed(variables, register)
        if failed:
            return ["%s: %s" % (what, line(failed))]
    return []


def judged(mine: Mapping[str, Any], before: Mapping[str, Any], variables: Variables) -> List[str]:
    """Why the host is worse than before; empty: it is not. ``before``: its triage then."""
    missing = applied(variables)
    if missing:
        return missing
    done = mapping(variables, "oncall_done")
    failed = why_failed(variables, "oncall_done")
    if failed and done.get("outcome") != RESTART_REFUSED:
        return ["restart failed: %s" % line(failed)]
    if done.get("outcome") == RESTART_REFUSED and WOULD_NOT_START in str(done.get("msg")):
        return [line(done["msg"])]
    why = unfit(variables)
    if why:
        return [why]
    found = [
        line(each["summary"])
        for each in findings(variables["oncall_triage"])
        if each["code"] in _OF_SETTINGS
        and each["severity"] != OK
        and each["code"] not in {one["code"] for one in findings(before)}
    ]
    shown = mapping(variables, "oncall_shown")
    unread = why_failed(variables, "oncall_shown")
    if unread:
        found.append("its settings cannot be read: %s" % line(unread))
    else:
        found += [
            "SHOW %s is %s, not %s" % (each["name"], each["before"], each["after"])
            for each in shown.get("settings") or []
            if each["changed"]
        ]
    soaked = mapping(variables, "oncall_soaked")
    unwatched = why_failed(variables, "oncall_soaked")
    if unwatched and mapping(variables, "oncall_pressure").get("pressure"):  # before, it could be
        found.append("it cannot be watched: %s" % line(unwatched))
    return found + [line(each) for each in soaked.get("worse") or []]


def way_back(mine: Mapping[str, Any], variables: Variables) -> Dict[str, bool]:
    """How a host gets its former values back: {start: into the stopped server, settings: by SQL, restart: again};
    ``in_use``: whether it may have run with the new ones, which a reload does not bring into force."""
    down = is_down(variables)
    done = mapping(variables, "oncall_done")
    # It may have been restarted where it was lost in the middle, or the run before this one was interrupted after that.
    restarted = bool(done.get("changed") or done.get("unreachable"))
    again = restarted or (mine["resumed"] and not mine["no_restart"])
    return {
        "start": down,
        "settings": not down and bool(mine["undo"]),
        "restart": bool(not down and again and mine["undo"]),
        "roles": bool(mine["undo_roles"]),
        "in_use": restarted or mine["resumed"],
    }


def ended(host: str, mine: Mapping[str, Any], worse: Mapping[str, List[str]], variables: Variables) -> Dict[str, Any]:
    """{outcome, why, rows, waiting} of a host whose batch is over. ``worse``: of the batch, by host."""
    if not worse:
        return _tuned(mine, variables)
    why = "; ".join(worse.get(host) or [_WITH % names(list(worse))])
    failed = [
        what + line(text) for register, what in _BACK.items() for text in [why_failed(variables, register)] if text
    ]
    if mapping(variables, "oncall_triage").get("unreachable"):
        failed = ["it is not reached"]
    if failed:
        return {
            "outcome": FAILED,
            "why": "%s. NOT put back: %s. %s" % (why, "; ".join(failed), _BY_HAND),
            "rows": [dict(each, state=FAILED) if each["state"] == PLANNED else each for each in mine["rows"]],
            "waiting": [],
        }
    rows = [
        dict(each, before=each["after"], after=each["before"], state=PUT_BACK) if each["state"] == PLANNED else each
        for each in mine["rows"]
    ]
    pending = mapping(variables, "oncall_back").get("pending_restart") or []
    # A server says so of each that was in its file and is not: without a restart in between it never had another.
    way = mapping(mapping(mapping(variables, "oncall_way"), "back"), host)
    in_use = way.get("in_use") and not mapping(variables, "oncall_back_restarted").get("changed")
    waiting = [each for each in pending if each in mine["undo"]] if in_use else []
    return {"outcome": PUT_BACK, "why": why, "rows": rows, "waiting": waiting}


def _tuned(mine: Mapping[str, Any], variables: Variables) -> Dict[str, Any]:
    shown = mapping(variables, "oncall_shown")
    waiting = [each["name"] for each in shown.get("settings") or [] if each["waits_for_restart"]]
    state = RESTORED if mine["verb"] == RESTORE else TUNED
    rows = [
        dict(each, state="waits_for_restart" if each["name"] in waiting else state)
        if each["state"] == PLANNED
        else each
        for each in mine["rows"]
    ]
    done = mapping(variables, "oncall_done")
    refused = line(done.get("msg")) if done.get("outcome") == RESTART_REFUSED else ""
    why = refused or mine.get("no_restart") or _CLOSED if waiting else ""
    restarted = ", restarted (downtime %.1f s)" % done["downtime_seconds"] if done.get("downtime_seconds") else ""
    return {
        "verb": mine["verb"],
        "outcome": TUNED,
        "why": why,
        "rows": rows,
        "waiting": waiting,
        "refused": refused,
        "restarted": restarted,
        "unwatched": list(mapping(variables, "oncall_soaked").get("not_covered") or []),
        "resumed": mine["resumed"],
    }
