# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each host of a rollout, step by step, from what its tasks have registered. Pure.

A host's ``variables`` are what its tasks registered: oncall_triage, oncall_wanted, oncall_foreseen, ... A batch is
judged as a whole: where one host is worse than before, all of its batch get their former values back.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ...module_utils._core.mask import MASK
from ...module_utils._core.text import count, names
from ...module_utils._model.answers import OK
from ...module_utils._model.standby import OF_STANDBYS
from .._report.words import verdict_code
from .._run.response import REFUSED as RESTART_REFUSED
from . import snapshots
from .fleet import Member, Order, arrange

Variables = Mapping[str, Any]
# What became of a host.
LISTED, TUNED, UNCHANGED, PLANNED, SKIPPED, REFUSED, PUT_BACK, FAILED, NOT_BEGUN = (
    "listed",
    "tuned",
    "unchanged",
    "planned",
    "skipped",
    "refused",
    "put_back",
    "failed",
    "not_begun",
)
STOPS = (PUT_BACK, FAILED)
LEFT = "left"  # a setting, not a host
RESTORED = "restored"  # of a setting
TUNE, RESTORE = "tune", "tune_restore"
# What the modules return where they succeed, and no refusal has; of the procedures, how it ended.
_PROOFS = frozenset(("settings", "undo", "pending_restart", "worse"))
_DONE = ("done", "unchanged")
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
_ANOTHER = "the snapshot %s is of another cluster (system identifier %s, %s)"
_UNKNOWN = (
    "the snapshot %s is of the cluster with the system identifier %s, and pg_controldata could not read the one here: "
    "start it with oncall.postgresql.start first"
)
_MOVED = "since the plan another cluster, or a primary in a standby's place, has come here: run it again"
# Where clients and we reach it, and what a standby follows.
_CUTS_OFF = re.compile(
    r"(port|listen_addresses|unix_socket_.*|ssl|ssl_.*|hba_file|ident_file|data_directory|config_file|external_pid_file"
    r"|primary_.*|restore_command|recovery_target.*|hot_standby|allow_alter_system)\Z"
)
_CUT_OFF = "%s may cut off clients, standbys or this run: change it by hand, one server at a time"
_SECRET = "what it has now may be a secret, which is not kept, so it could not be put back: set it by hand"
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
BROKEN = "the rollout itself failed: %s"
_WITH = "all of a batch go back, and %s got worse"
_BY_HAND = (
    "Once that is corrected, run this again to go on, or oncall.postgresql.tune_restore -e oncall_snapshot=latest to "
    "put them back"
)
_ANSIBLES = "Task failed: "  # it puts this before what failed
WOULD_NOT_START = "would not start again"  # as graceful_restart refuses


def nothing(outcome: str, why: str = "", verb: str = TUNE) -> Dict[str, Any]:
    """A host that is left alone."""
    return {
        "go": False,
        "verb": verb,
        "outcome": outcome,
        "why": why,
        "rows": [],
        "settings": {},  # what is changed
        "asked": {},  # what is wanted, changed or not
        "roles": {},
        "undo": {},
        "undo_roles": {},
        "first": {"settings": {}, "roles": {}, "rows": []},  # what it had before a run that was interrupted
        "waiting": [],
        "is_down": False,
        "resumed": False,
        "held": [],
        "restarts": False,
    }


def planned(
    variables: Variables, kept: Sequence[Mapping[str, Any]], restarts: bool = False, verb: str = TUNE
) -> Dict[str, Any]:
    """{go, outcome, why, rows, settings, roles, undo, undo_roles, waiting, resumed} of one host, before the fleet is
    looked at as a whole. ``kept``: its snapshots. A server that is down may have its former values back.
    """
    wanted = _mapping(variables, "oncall_wanted")
    kept = snapshots.of_cluster(kept, identifier(variables))
    interrupted = snapshots.interrupted(kept)
    found = {**nothing(SKIPPED, "", verb), "resumed": bool(interrupted), "restarts": restarts}
    if interrupted:
        found["first"] = {name: interrupted.get(name) or empty for name, empty in found["first"].items()}
    listed = variables.get("oncall_listed")
    if listed and not wanted and not variables.get("oncall_refused"):
        return {**found, "outcome": LISTED, "listed": list(listed)}
    down = verb == RESTORE and bool(wanted) and _is_down(variables)
    why = _unfit(variables)
    if why and not down and not variables.get("oncall_refused"):
        return {**found, "why": why}
    refused = _refused(variables, down)
    if refused:
        return {**found, "outcome": REFUSED, "why": _line(refused)}
    return _of_down(found, variables) if down else _of_running(found, variables, kept)


def identifier(variables: Variables) -> Optional[str]:
    """Of the cluster; of a server that is down, as its control file says."""
    found = _mapping(_mapping(variables, "oncall_foreseen"), "cluster").get("system_identifier")
    return found or _mapping(variables, "oncall_streams").get("identifier")


def _refused(variables: Variables, down: bool) -> str:
    """Why nothing of what is wanted is done; empty: it may be."""
    wanted = _mapping(variables, "oncall_wanted")
    here, there = identifier(variables), wanted.get("system_identifier")
    cut = sorted(name for name in wanted.get("settings") or {} if _CUTS_OFF.match(str(name).lower()))
    if variables.get("oncall_refused"):
        return str(variables["oncall_refused"])
    if cut:
        return _CUT_OFF % names(cut)
    if there and here != there and (here or down):
        return _ANOTHER % (wanted["at"], there, "here it is %s" % here) if here else _UNKNOWN % (wanted["at"], there)
    registers = ("oncall_foreseen_then",) if down else ("oncall_foreseen", "oncall_roles_foreseen")
    return next(filter(None, (_failure(variables, each) for each in registers)), "")


def _of_down(found: Mapping[str, Any], variables: Variables) -> Dict[str, Any]:
    """What it has is written into its file, and it is started."""
    wanted = _mapping(variables, "oncall_wanted")
    settings = wanted.get("settings") or {}
    undo = _mapping(variables, "oncall_foreseen_then").get("undo") or {}
    return {
        **found,
        "go": True,
        "outcome": PLANNED,
        "is_down": True,
        "settings": settings,
        "asked": dict(settings),
        "roles": wanted.get("roles") or {},
        "undo": {**undo, **found["first"]["settings"]},
        "rows": [_row(name, None, value, PLANNED) for name, value in sorted(settings.items())],
    }


def _of_running(found: Mapping[str, Any], variables: Variables, kept: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    foreseen, wanted = _mapping(variables, "oncall_foreseen"), _mapping(variables, "oncall_wanted")
    every = list(foreseen.get("settings") or [])
    rows = [each for each in every if each["changed"]]
    waiting = [each["name"] for each in every if each["waits_for_restart"]]
    asked = wanted.get("settings") or {}
    if found["restarts"]:  # what an earlier one has written down counts from now on
        rows += [dict(each, before=each["in_use"]) for each in every if each not in rows and each["name"] in waiting]
    roles = [each for each in _role_rows(variables, "oncall_roles_foreseen") if each["changed"]]
    undo = dict(foreseen.get("undo") or {})
    for name in waiting:  # written down by an earlier one: it goes back to what that found
        for each in reversed(kept):
            if name in each["settings"] and name not in undo:
                undo[name] = each["settings"][name]
    go = bool(rows or roles or found["resumed"] or (waiting and found["restarts"]))
    planned_ = {
        **found,
        "go": go,
        "outcome": PLANNED if go else UNCHANGED,
        "settings": {each["name"]: asked.get(each["name"]) for each in rows if each["changed"]},
        "asked": dict(asked),
        "roles": wanted.get("roles") or {} if roles else {},
        "undo": {**undo, **found["first"]["settings"]},
        "undo_roles": {**_former_of_roles(roles), **found["first"]["roles"]},
        "waiting": waiting,
        "rows": [_planned_row(each) for each in rows]
        + [_planned_row(each, each["role"]) for each in roles]
        + [_row(name, None, None, LEFT, why=text) for name, text in _mapping(variables, "oncall_left").items()],
    }
    left = {name: _SECRET for name in planned_["settings"] if MASK in str(planned_["undo"].get(name))}
    left.update(_crowded(_mapping(variables, "oncall_streams"), planned_["rows"]))
    return _leave(planned_, left) if left else planned_


def _begun(first: Sequence[Mapping[str, Any]], foreseen: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What the interrupted run has changed already, and is in use."""
    every = foreseen.get("settings") or []
    done = {each["name"]: each["before"] for each in every if not (each["changed"] or each["waits_for_restart"])}
    return [dict(each) for each in first if each["state"] == PLANNED and each["after"] == done.get(each["name"])]


def _planned_row(row: Mapping[str, Any], role: str = "") -> Dict[str, Any]:
    return _row(row["name"], row["before"], row["after"], PLANNED, role)


def _former_of_roles(rows: Sequence[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    found: Dict[str, Dict[str, Any]] = {}
    for each in rows:
        found.setdefault(each["role"], {})[each["name"]] = each["before"]
    return found


def as_now(mine: Mapping[str, Any], variables: Variables) -> Dict[str, Any]:
    """``mine`` as its batch begins, which may be long after it was planned: it goes back to what is there now."""
    if not mine["go"] or mine["is_down"]:
        return dict(mine)
    mine = {**mine, "rows": [*_begun(mine["first"]["rows"], _mapping(variables, "oncall_foreseen")), *mine["rows"]]}
    if not (mine["settings"] or mine["roles"]):
        return mine
    registers = ("oncall_now", "oncall_roles_now")
    refused = next(filter(None, (_failure(variables, each) for each in registers)), "")
    if refused:
        return {**mine, "go": False, **left_out(mine, REFUSED, _line(refused))}
    now = _mapping(variables, "oncall_now")
    then, here = (_mapping(each, "cluster") for each in (_mapping(variables, "oncall_foreseen"), now))
    if any(here and here.get(key) != then.get(key) for key in ("system_identifier", "in_recovery")):
        return {**mine, "go": False, **left_out(mine, SKIPPED, _MOVED)}
    roles = _role_rows(variables, "oncall_roles_now")
    before = {each["name"]: each["before"] for each in now.get("settings") or []}
    before.update(("%s of role %s" % (each["name"], each["role"]), each["before"]) for each in roles)
    kept = {name: value for name, value in mine["undo"].items() if name not in mine["settings"]}
    return {
        **mine,
        "undo": {**kept, **(now.get("undo") or {}), **mine["first"]["settings"]},
        "undo_roles": {
            **_former_of_roles([each for each in roles if each["changed"]]),
            **mine["first"]["roles"],
        },
        "rows": [
            dict(each, before=before.get(each["name"], each["before"])) if each["state"] == PLANNED else each
            for each in mine["rows"]
        ],
    }


def _crowded(streams: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """Where the clients that are there now would not find a slot any more."""
    clients, reserved = streams.get("clients") or 0, streams.get("reserved") or 0
    after = [int(each["after"]) for each in rows if each["name"] == "max_connections" and each["after"]]
    if not after or clients <= after[0] - reserved:
        return {}
    told = "%s are connected, and with %d only %d could be: have them use fewer, or set it higher"
    return {"max_connections": told % (count(clients, "client"), after[0], after[0] - reserved)}


def together(hosts: Mapping[str, Dict[str, Any]], variables: Mapping[str, Variables]) -> Order:
    """The order of those that are to be changed; what has to be left for its sake is taken out of ``hosts``."""
    members = _members(hosts, variables)
    order = arrange(members)
    for host, left in order.left.items():
        hosts[host].update(_leave(hosts[host], left))
    sizes = Counter(each.identifier for each in members)
    for each in members:
        if each.in_recovery or each.strangers or (each.identifier and sizes[each.identifier] > 1):
            hosts[each.host]["held"] = _held(_mapping(variables[each.host], "oncall_foreseen"), hosts[each.host])
    placed = set(order.hosts)  # of the others, such as one that is down, nobody knows the cluster
    return replace(order, hosts=[*(host for host in hosts if host not in placed), *order.hosts])


def _held(foreseen: Mapping[str, Any], mine: Mapping[str, Any]) -> List[str]:
    """Of the settings of standbys, those that somebody has written down and a restart would bring into force, whatever
    the other servers of its cluster have."""
    rows = {each["name"]: each for each in foreseen.get("settings") or []}
    return [
        name
        for name in foreseen.get("pending_restart") or []
        if name in OF_STANDBYS
        and name not in mine["waiting"]
        and (name not in rows or rows[name]["before"] != rows[name]["in_use"])
    ]


def _leave(mine: Mapping[str, Any], left: Mapping[str, str]) -> Dict[str, Any]:
    """``mine`` without the settings of ``left``: name -> why."""

    def rest(name: str) -> Dict[str, Any]:
        return {key: value for key, value in mine[name].items() if key not in left}

    rows = [each for each in mine["rows"] if each["name"] not in left]
    rows += [_row(name, None, None, LEFT, why=why) for name, why in left.items()]
    found = {
        **mine,
        "settings": rest("settings"),
        "asked": rest("asked"),
        "undo": mine["undo"] if mine["resumed"] else rest("undo"),  # an interrupted run may have written it
        "waiting": [each for each in mine["waiting"] if each not in left],
        "rows": rows,
    }
    if not (found["settings"] or found["roles"] or found["resumed"] or (found["waiting"] and found["restarts"])):
        found.update(go=False, outcome=UNCHANGED)
    return found


def not_yet(mine: Mapping[str, Any], tuned: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    """``mine`` without what must not be written down yet: a crash is a restart, too, and may come before the one of
    the servers that have to run with it first."""
    slow: Dict[str, List[str]] = {}
    for host in mine["after"]:
        for name in tuned.get(host, {}).get("waiting") or ():
            if name in OF_STANDBYS and name in mine["settings"]:
                slow.setdefault(name, []).append(host)
    return _leave(mine, {name: "%s must be restarted first: run it again then" % names(h) for name, h in slow.items()})


def _members(hosts: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Variables]) -> List[Member]:
    clusters: Dict[str, List[str]] = {}
    for host in hosts:
        cluster = _mapping(_mapping(variables[host], "oncall_foreseen"), "cluster")
        if cluster.get("of_standbys") is not None:
            clusters.setdefault(cluster["system_identifier"] or " " + host, []).append(host)
    strangers = {
        host: [*_strangers(same, variables), *_asleep(name, same, variables)]
        for name, same in clusters.items()
        for host in same
    }
    found: Dict[str, Member] = {}
    for host, theirs in strangers.items():
        cluster = variables[host]["oncall_foreseen"]["cluster"]
        wanted = {
            each["name"]: int(each["after"])
            for each in hosts[host]["rows"]
            if each["name"] in OF_STANDBYS and each["after"]
        }
        found[host] = Member(
            host, cluster["system_identifier"], cluster["in_recovery"], cluster["of_standbys"], wanted, theirs
        )
    return [found[host] for host in hosts if host in found]


def _strangers(hosts: Sequence[str], variables: Mapping[str, Variables]) -> Sequence[str]:
    """What may be a standby of this cluster and is no host of this run: all that streams from one of ``hosts``, where
    that is more than those of them that receive; and the slots of what is away."""
    names_: List[str] = []
    away: List[str] = []
    known = 0
    for host in hosts:
        streams = _mapping(variables[host], "oncall_streams")
        ready = _ready(variables[host])
        names_ += [each for each in streams.get("names") or [] if each not in ready]
        away += ["the slot %s" % each for each in streams.get("away") or [] if each not in ready]
        known += int(bool(streams.get("receives"))) + int(streams.get("logical") or 0)
    return (names_ if len(names_) > known else []) + away


def _asleep(cluster: str, hosts: Sequence[str], variables: Mapping[str, Variables]) -> Sequence[str]:
    """Hosts of this run that are standbys of the cluster by their control file, and are down: what they have is not
    known."""
    ready = {each for host in hosts for each in _ready(variables[host])}
    return [
        "%s, whose values are not known," % host
        for host, mine in variables.items()
        if host not in hosts and host not in ready
        if _mapping(mine, "oncall_streams").get("was_standby") and identifier(mine) == cluster
    ]


def _ready(variables: Variables) -> Sequence[str]:
    given = _mapping(variables, "oncall_allowed").get("ready") or []
    return [each.strip() for each in given.split(",")] if isinstance(given, str) else [str(each) for each in given]


def left_out(mine: Mapping[str, Any], outcome: str, why: str) -> Dict[str, Any]:
    """What becomes of a host that was planned, and is not touched."""
    rows = [dict(each, state=SKIPPED) if each["state"] == PLANNED else each for each in mine["rows"]]
    return {"outcome": outcome, "why": why, "rows": rows, "waiting": []}


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
    why = _unfit(variables)
    if why and not (mine["is_down"] and _is_down(variables)):
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
        failed = _failure(variables, register)
        if failed:
            return ["%s: %s" % (what, _line(failed))]
    return []


def judged(mine: Mapping[str, Any], before: Mapping[str, Any], variables: Variables) -> List[str]:
    """Why the host is worse than before; empty: it is not. ``before``: its triage then."""
    missing = applied(variables)
    if missing:
        return missing
    done = _mapping(variables, "oncall_done")
    failed = _failure(variables, "oncall_done")
    if failed and done.get("outcome") != RESTART_REFUSED:
        return ["restart failed: %s" % _line(failed)]
    if done.get("outcome") == RESTART_REFUSED and WOULD_NOT_START in str(done.get("msg")):
        return [_line(done["msg"])]
    why = _unfit(variables)
    if why:
        return [why]
    found = [
        _line(each["summary"])
        for each in _findings(variables["oncall_triage"])
        if each["code"] in _OF_SETTINGS
        and each["severity"] != OK
        and each["code"] not in {one["code"] for one in _findings(before)}
    ]
    shown = _mapping(variables, "oncall_shown")
    unread = _failure(variables, "oncall_shown")
    if unread:
        found.append("its settings cannot be read: %s" % _line(unread))
    else:
        found += [
            "SHOW %s is %s, not %s" % (each["name"], each["before"], each["after"])
            for each in shown.get("settings") or []
            if each["changed"]
        ]
    soaked = _mapping(variables, "oncall_soaked")
    unwatched = _failure(variables, "oncall_soaked")
    if unwatched and _mapping(variables, "oncall_pressure").get("pressure"):  # before, it could be
        found.append("it cannot be watched: %s" % _line(unwatched))
    return found + [_line(each) for each in soaked.get("worse") or []]


def way_back(mine: Mapping[str, Any], variables: Variables) -> Dict[str, bool]:
    """How a host gets its former values back: {start: into the stopped server, settings: by SQL, restart: again};
    ``in_use``: whether it may have run with the new ones, which a reload does not bring into force."""
    down = _is_down(variables)
    done = _mapping(variables, "oncall_done")
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
        what + _line(text) for register, what in _BACK.items() for text in [_failure(variables, register)] if text
    ]
    if _mapping(variables, "oncall_triage").get("unreachable"):
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
    pending = _mapping(variables, "oncall_back").get("pending_restart") or []
    # A server says so of each that was in its file and is not: without a restart in between it never had another.
    way = _mapping(_mapping(_mapping(variables, "oncall_way"), "back"), host)
    in_use = way.get("in_use") and not _mapping(variables, "oncall_back_restarted").get("changed")
    waiting = [each for each in pending if each in mine["undo"]] if in_use else []
    return {"outcome": PUT_BACK, "why": why, "rows": rows, "waiting": waiting}


def _tuned(mine: Mapping[str, Any], variables: Variables) -> Dict[str, Any]:
    shown = _mapping(variables, "oncall_shown")
    waiting = [each["name"] for each in shown.get("settings") or [] if each["waits_for_restart"]]
    state = RESTORED if mine["verb"] == RESTORE else TUNED
    rows = [
        dict(each, state="waits_for_restart" if each["name"] in waiting else state)
        if each["state"] == PLANNED
        else each
        for each in mine["rows"]
    ]
    done = _mapping(variables, "oncall_done")
    refused = _line(done.get("msg")) if done.get("outcome") == RESTART_REFUSED else ""
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
        "resumed": mine["resumed"],
    }


def notes(done: Mapping[str, Any]) -> List[str]:
    """What the report says of a host."""
    outcome, why = done["outcome"], done.get("why") or ""
    word = "restored" if done.get("verb") == RESTORE else "tuned"
    if outcome == LISTED:
        return list(done["listed"])
    changed = [each for each in done["rows"] if each["state"] != LEFT]
    told = {
        TUNED: "%s: %s changed%s%s"
        % (
            word,
            count(len(changed), "setting"),
            done.get("restarted") or "",
            "; a run that came to no end had begun it" if done.get("resumed") else "",
        ),
        UNCHANGED: "not changed: all settings are as asked",
        PLANNED: "plan: %s would be changed" % count(len(changed), "setting"),
        SKIPPED: "not %s: %s" % (word, why),
        REFUSED: "refused: %s" % why,
        PUT_BACK: "put back: %s" % why,
        FAILED: "FAILED: %s" % why,
        NOT_BEGUN: "not %s: %s" % (word, why),
    }[outcome]
    lines = [told]
    if done.get("waiting"):
        plan = "would be restarted for" if done.get("restarts") else "would wait for a restart"
        words = {PLANNED: plan, PUT_BACK: "in use with the new value until it is restarted"}
        more = " (%s)" % why if why and outcome == TUNED else ""
        lines.append("%s: %s%s" % (words.get(outcome, "waiting for a restart"), names(done["waiting"], 10), more))
    lines += ["%s left as it is: %s" % (each["name"], each["why"]) for each in done["rows"] if each["state"] == LEFT]
    return lines


def failure(done: Mapping[str, Any]) -> str:
    """Why the run fails for this host; empty: it does not."""
    if done["outcome"] in (REFUSED, PUT_BACK, FAILED):
        return notes(done)[0]
    return str(done.get("refused") or "")


def _row(name: str, before: Any, after: Any, state: str, role: str = "", why: str = "") -> Dict[str, Any]:
    return {
        "name": "%s of role %s" % (name, role) if role else name,
        "before": before,
        "after": after,
        "state": state,
        "why": why,
    }


def _unfit(variables: Variables) -> str:
    """Why a server is not to be touched; empty: it is healthy."""
    triage = _mapping(variables, "oncall_triage")
    verdict = triage.get("verdict")
    if not isinstance(verdict, Mapping):
        why = _line(triage.get("msg") or "no result")
        return ("it was not reached: %s" if triage.get("unreachable") else "triage could not check it: %s") % why
    return "" if verdict["code"] == "healthy" else "%s: %s" % (verdict_code(verdict), _line(verdict["summary"]))


def _is_down(variables: Variables) -> bool:
    verdict = _mapping(variables, "oncall_triage").get("verdict")
    return isinstance(verdict, Mapping) and verdict["code"] == "server_down"


def _findings(triage: Variables) -> List[Mapping[str, Any]]:
    return list(triage.get("findings") or [])


def _mapping(variables: Variables, name: str) -> Mapping[str, Any]:
    found = variables.get(name)
    return found if isinstance(found, Mapping) else {}


def _why_failed(found: Mapping[str, Any]) -> str:
    """Of what a task returned; empty: it did what it was to do, or did not run. The tasks have failed_when: false, so
    Ansible's own ``failed`` says nothing: only what success alone returns is a proof of it."""
    if not found or found.get("skipped"):
        return ""
    bad = found.get("failed") or found.get("unreachable") or "sqlstate" in found
    proven = found["outcome"] in _DONE if "outcome" in found else not _PROOFS.isdisjoint(found)
    return "" if proven and not bad else str(found.get("msg") or "no reason given")


def _failure(variables: Variables, register: str) -> str:
    """Of a task, or of a loop."""
    found = _mapping(variables, register)
    if "results" not in found:
        return _why_failed(found)
    return next(filter(None, map(_why_failed, _results(variables, register))), "")


def _role_rows(variables: Variables, register: str) -> List[Mapping[str, Any]]:
    return [row for each in _results(variables, register) for row in each.get("settings") or []]


def _results(variables: Variables, register: str) -> List[Mapping[str, Any]]:
    """Of a loop."""
    return [each for each in _mapping(variables, register).get("results") or [] if isinstance(each, Mapping)]


def _line(text: Any) -> str:
    said = " ".join(str(text or "").split()).rstrip(".")
    return said[len(_ANSIBLES) :] if said.startswith(_ANSIBLES) else said
