# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to become of each host of a rollout: by itself, and once more as its batch begins. Pure."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Sequence

from ...module_utils._core.mask import MASK
from ...module_utils._core.text import count, names
from . import snapshots
from .outcomes import (
    LEFT,
    LISTED,
    PLANNED,
    REFUSED,
    RESTORE,
    SKIPPED,
    TUNE,
    UNCHANGED,
    leave,
    left_out,
    nothing,
    table_row,
)
from .registered import Variables, identifier, is_down, line, mapping, role_rows, unfit, why_failed

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


def planned(
    variables: Variables, kept: Sequence[Mapping[str, Any]], restarts: bool = False, verb: str = TUNE
) -> Dict[str, Any]:
    """{go, outcome, why, rows, settings, roles, undo, undo_roles, waiting, resumed} of one host, before the fleet is
    looked at as a whole. ``kept``: its snapshots. A server that is down may have its former values back.
    """
    wanted = mapping(variables, "oncall_wanted")
    kept = snapshots.of_cluster(kept, identifier(variables))
    interrupted = snapshots.interrupted(kept)
    found = {**nothing(SKIPPED, "", verb), "resumed": bool(interrupted), "restarts": restarts}
    if interrupted:
        found["first"] = {name: interrupted.get(name) or empty for name, empty in found["first"].items()}
    listed = variables.get("oncall_listed")
    if listed and not wanted and not variables.get("oncall_refused"):
        return {**found, "outcome": LISTED, "listed": list(listed)}
    down = verb == RESTORE and bool(wanted) and is_down(variables)
    why = unfit(variables)
    if why and not down and not variables.get("oncall_refused"):
        return {**found, "why": why}
    refused = _refused(variables, down)
    if refused:
        return {**found, "outcome": REFUSED, "why": line(refused)}
    return _of_down(found, variables) if down else _of_running(found, variables, kept)


def _refused(variables: Variables, down: bool) -> str:
    """Why nothing of what is wanted is done; empty: it may be."""
    wanted = mapping(variables, "oncall_wanted")
    here, there = identifier(variables), wanted.get("system_identifier")
    cut = sorted(name for name in wanted.get("settings") or {} if _CUTS_OFF.match(str(name).lower()))
    if variables.get("oncall_refused"):
        return str(variables["oncall_refused"])
    if cut:
        return _CUT_OFF % names(cut)
    if there and here != there and (here or down):
        return _ANOTHER % (wanted["at"], there, "here it is %s" % here) if here else _UNKNOWN % (wanted["at"], there)
    registers = ("oncall_foreseen_then",) if down else ("oncall_foreseen", "oncall_roles_foreseen")
    return next(filter(None, (why_failed(variables, each) for each in registers)), "")


def _of_down(found: Mapping[str, Any], variables: Variables) -> Dict[str, Any]:
    """What it has is written into its file, and it is started."""
    wanted = mapping(variables, "oncall_wanted")
    settings = wanted.get("settings") or {}
    undo = mapping(variables, "oncall_foreseen_then").get("undo") or {}
    return {
        **found,
        "go": True,
        "outcome": PLANNED,
        "is_down": True,
        "settings": settings,
        "asked": dict(settings),
        "roles": wanted.get("roles") or {},
        "undo": {**undo, **found["first"]["settings"]},
        "rows": [table_row(name, None, value, PLANNED) for name, value in sorted(settings.items())],
    }


def _of_running(found: Mapping[str, Any], variables: Variables, kept: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    foreseen, wanted = mapping(variables, "oncall_foreseen"), mapping(variables, "oncall_wanted")
    every = list(foreseen.get("settings") or [])
    rows = [each for each in every if each["changed"]]
    waiting = [each["name"] for each in every if each["waits_for_restart"]]
    asked = wanted.get("settings") or {}
    if found["restarts"]:  # what an earlier one has written down counts from now on
        rows += [dict(each, before=each["in_use"]) for each in every if each not in rows and each["name"] in waiting]
    roles = [each for each in role_rows(variables, "oncall_roles_foreseen") if each["changed"]]
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
        + [table_row(name, None, None, LEFT, why=text) for name, text in mapping(variables, "oncall_left").items()],
    }
    left = {name: _SECRET for name in planned_["settings"] if MASK in str(planned_["undo"].get(name))}
    left.update(_crowded(mapping(variables, "oncall_streams"), planned_["rows"]))
    return leave(planned_, left) if left else planned_


def _begun(first: Sequence[Mapping[str, Any]], foreseen: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What the interrupted run has changed already, and is in use."""
    every = foreseen.get("settings") or []
    done = {each["name"]: each["before"] for each in every if not (each["changed"] or each["waits_for_restart"])}
    return [dict(each) for each in first if each["state"] == PLANNED and each["after"] == done.get(each["name"])]


def _planned_row(row: Mapping[str, Any], role: str = "") -> Dict[str, Any]:
    return table_row(row["name"], row["before"], row["after"], PLANNED, role)


def _former_of_roles(rows: Sequence[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    found: Dict[str, Dict[str, Any]] = {}
    for each in rows:
        found.setdefault(each["role"], {})[each["name"]] = each["before"]
    return found


def _crowded(streams: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """Where the clients that are there now would not find a slot any more."""
    clients, reserved = streams.get("clients") or 0, streams.get("reserved") or 0
    after = [int(each["after"]) for each in rows if each["name"] == "max_connections" and each["after"]]
    if not after or clients <= after[0] - reserved:
        return {}
    told = "%s are connected, and with %d only %d could be: have them use fewer, or set it higher"
    return {"max_connections": told % (count(clients, "client"), after[0], after[0] - reserved)}


def as_now(mine: Mapping[str, Any], variables: Variables) -> Dict[str, Any]:
    """``mine`` as its batch begins, which may be long after it was planned: it goes back to what is there now."""
    if not mine["go"] or mine["is_down"]:
        return dict(mine)
    mine = {**mine, "rows": [*_begun(mine["first"]["rows"], mapping(variables, "oncall_foreseen")), *mine["rows"]]}
    if not (mine["settings"] or mine["roles"]):
        return mine
    registers = ("oncall_now", "oncall_roles_now")
    refused = next(filter(None, (why_failed(variables, each) for each in registers)), "")
    if refused:
        return {**mine, "go": False, **left_out(mine, REFUSED, line(refused))}
    now = mapping(variables, "oncall_now")
    then, here = (mapping(each, "cluster") for each in (mapping(variables, "oncall_foreseen"), now))
    if any(here and here.get(key) != then.get(key) for key in ("system_identifier", "in_recovery")):
        return {**mine, "go": False, **left_out(mine, SKIPPED, _MOVED)}
    roles = role_rows(variables, "oncall_roles_now")
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
