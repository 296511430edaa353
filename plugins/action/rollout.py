# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the controller, once for all hosts of a rollout or of a batch: what is planned, who begins, how it went."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Dict, Mapping, Optional, Sequence

from ansible.plugins.action import ActionBase

from ..module_utils._core.times import now
from ..plugin_utils._incident.store import goes_on, this_run
from ..plugin_utils._report.model import raw_variables
from ..plugin_utils._rollout import cluster, judge, outcomes, plan, registered, snapshots
from ..plugin_utils._rollout.fleet import SERIAL, batches
from ..plugin_utils._rollout.window import windows

_NOT_KEPT = "its former settings cannot be kept in %s (%s): give another directory with oncall_rollout_dir"
_ANOTHER_RUN = "another rollout, which began with it at %s, still goes on: wait for its end, and run this again"
_STANDBYS = ("shut down in recovery", "in archive recovery")  # as pg_controldata says
_STATES = ("planned", "begun", "applied", "judged", "back", "ended")

_NOTHING: Dict[str, Any] = {
    "hosts": {},
    "order": [],
    "batches": [],
    "any": False,
    "restarts": 0,
    "fine": False,
    "back": {},
}


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True  # once for the whole play, or its batch
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": list(_STATES), "required": True},
                "verb": {"type": "str", "required": True},
                "serial": {"type": "raw", "default": SERIAL},
            }
        )[1]
        variables = task_vars or {}
        names = variables["ansible_play_hosts_all" if options["state"] == "planned" else "ansible_play_batch"]
        found = raw_variables(variables["hostvars"], names)
        states = (self._planned, self._begun, self._judged, self._judged, self._back, self._ended)
        work = dict(zip(_STATES, states))
        result.update(work[options["state"]](options, found, variables))
        for each in (result.get("hosts") or {}).values():
            each.update(notes=outcomes.notes(each), failure=outcomes.failure(each))
        return {"changed": False, **_NOTHING, **result}

    def _planned(
        self, options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], _variables: Mapping[str, Any]
    ) -> Dict[str, Any]:
        hosts: Dict[str, Dict[str, Any]] = {}
        seen: Dict[str, Mapping[str, Any]] = {}
        for host, mine in found.items():
            allowed = mine["oncall_allowed"]
            restarts = allowed["restart"] and (allowed["approve"] or _until(allowed["window"]) is not None)
            seen[host] = {**mine, "oncall_streams": _streams(mine.get("oncall_triage") or {})}
            try:
                kept = snapshots.read(_directory(mine), host)
                another = _another_run(kept)
                hosts[host] = (
                    outcomes.nothing(outcomes.REFUSED, another, options["verb"])
                    if another
                    else plan.planned(seen[host], kept, restarts, options["verb"])
                )
            except snapshots.UnreadableError as error:
                hosts[host] = outcomes.nothing(outcomes.REFUSED, str(error), options["verb"])
        order = cluster.together(hosts, seen)
        going = batches([host for host in order.hosts if hosts[host]["go"]], order.after, options["serial"])
        return {
            "hosts": {host: {**mine, "after": list(order.after.get(host, ()))} for host, mine in hosts.items()},
            "order": [host for each in going for host in each],
            "batches": [len(each) for each in going] or [1],
        }

    def _begun(
        self, options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any]
    ) -> Dict[str, Any]:
        first = next(iter(found.values()), {})
        every = raw_variables(variables["hostvars"], list(first["oncall_planned"]["hosts"]))
        tuned = {host: mine.get("oncall_tuned") or {} for host, mine in every.items()}
        hosts = {}
        for host, mine in found.items():
            planned = mine["oncall_rollout"]
            done: Dict[str, Any] = judge.may_begin(host, planned, mine, tuned, planned["after"])
            if not done:
                allowed = mine["oncall_allowed"]
                until = _until(allowed["window"])
                planned = plan.as_now(cluster.not_yet(planned, tuned), mine)
                why = judge.restart(planned, allowed["restart"], allowed["approve"], until is not None, tuned)
                done = {"no_restart": why, "until": None if allowed["approve"] else until}
                if planned["go"]:
                    done.update(self._keep(options, host, planned, mine))
            hosts[host] = {**planned, "go": planned["go"] and "outcome" not in done, **done}
        going = [each for each in hosts.values() if each["go"]]
        restarts = [each for each in going if each["waiting"] and not each["no_restart"]]
        return {"hosts": hosts, "any": bool(going), "restarts": len(restarts)}

    def _keep(
        self, options: Mapping[str, Any], host: str, planned: Mapping[str, Any], mine: Mapping[str, Any]
    ) -> Dict[str, Any]:
        at = now().strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
        triage = mine.get("oncall_triage") or {}
        target = triage.get("target") or {}
        snapshot = {
            "at": at,
            "host": host,
            "run": this_run(),
            "verb": options["verb"],
            "state": snapshots.BEGUN,
            "version": target.get("version"),
            "system_identifier": registered.identifier({**mine, "oncall_streams": _streams(triage)}),
            "settings": planned["undo"],
            "roles": planned["undo_roles"],
            "rows": planned["rows"],
        }
        try:
            with snapshots.locked(_directory(mine), host):
                another = _another_run(snapshots.read(_directory(mine), host))
                if another:
                    return outcomes.left_out(planned, outcomes.REFUSED, another)
                return {"kept": snapshots.write(_directory(mine), host, snapshot), "snapshot": snapshot}
        except snapshots.UnreadableError as error:
            return outcomes.left_out(planned, outcomes.REFUSED, str(error))
        except OSError as error:
            return outcomes.left_out(planned, outcomes.REFUSED, _NOT_KEPT % (_directory(mine), error.strerror or error))

    def _judged(
        self, options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any]
    ) -> Dict[str, Any]:
        judged = variables.get("oncall_judged") or {}
        going = {host: mine for host, mine in found.items() if mine["oncall_rollout"]["go"]}
        told = {
            host: judge.applied(mine)
            if options["state"] == "applied"
            else judge.judged(mine["oncall_rollout"], mine.get("oncall_before") or {}, mine)
            for host, mine in going.items()
        }
        worse = {host: why for host, why in told.items() if why}
        if options["state"] == "judged" and "worse" not in judged:  # what came before was left out by that
            worse = {**_broken(found, judged), **worse}
        return {"worse": worse, "fine": not worse}

    def _back(
        self, _options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], _variables: Mapping[str, Any]
    ) -> Dict[str, Any]:
        going = {host: mine["oncall_rollout"] for host, mine in found.items() if mine["oncall_rollout"]["go"]}
        return {"back": {host: judge.way_back(mine, found[host]) for host, mine in going.items()}}

    def _ended(
        self, _options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any]
    ) -> Dict[str, Any]:
        judged = variables.get("oncall_judged") or {}
        worse = judged.get("worse", _broken(found, judged))
        hosts = {}
        for host, mine in found.items():
            planned = mine["oncall_rollout"]
            done = judge.ended(host, planned, worse, mine) if planned["go"] else planned
            if planned["go"] and done["outcome"] in (outcomes.TUNED, outcomes.PUT_BACK):
                state = snapshots.DONE if done["outcome"] == outcomes.TUNED else snapshots.PUT_BACK
                try:
                    snapshots.write(_directory(mine), host, {**planned["snapshot"], "state": state})
                except OSError as error:  # the next run takes it for interrupted, and looks again
                    self._display.warning("%s: %s cannot be written: %s" % (host, planned["kept"], error.strerror))
            hosts[host] = done
        return {"hosts": hosts}


def _broken(found: Mapping[str, Mapping[str, Any]], judged: Mapping[str, Any]) -> Dict[str, Any]:
    """Why a batch goes back though nobody knows whether a host is worse: that decision has failed."""
    return {host: [judge.BROKEN % judged.get("msg")] for host, mine in found.items() if mine["oncall_rollout"]["go"]}


def _another_run(kept: Sequence[Mapping[str, Any]]) -> str:
    """Why the host is left to a run that has begun with it; empty: there is none."""
    last = snapshots.interrupted(kept)
    return _ANOTHER_RUN % last["at"] if last and goes_on(str(last.get("run"))) else ""


def _directory(variables: Mapping[str, Any]) -> str:
    return str(variables["oncall_allowed"]["directory"] or snapshots.KEPT)


def _until(given: Any) -> Optional[float]:
    """When the maintenance window that is open now closes; None where none is."""
    ends = [found for each in windows(given) for found in [each.ends(_now())] if found] if given else []
    return max(ends).timestamp() if ends else None


def _now() -> datetime:
    return now().astimezone()


def _streams(triage: Mapping[str, Any]) -> Dict[str, Any]:
    """Its clients, and the slots that are not for them; who streams from it, by application_name, and how many of them
    are logical; whether it receives itself; its cluster by its control file, and whether that is a standby's; the
    physical slots that nobody uses now, whose standbys may be away."""
    facts = json.loads(triage["facts_json"]) if triage.get("facts_json") else triage.get("facts") or {}
    snapshot = (facts or {}).get("snapshot") or {}
    control = ((facts or {}).get("server") or {}).get("control") or {}
    soundness = snapshot.get("soundness") or {}
    connections = snapshot.get("connections") or {}
    slots = soundness.get("slots") or []
    return {
        "clients": connections.get("used") or 0,
        "reserved": (connections.get("superuser_reserved") or 0) + (connections.get("reserved") or 0),
        "names": [
            each["application"] or str(each["client_address"])
            for each in soundness.get("standbys") or []
            if each["state"] != "backup"
        ],
        "logical": len([each for each in slots if each["type"] == "logical" and each["active"]]),
        "away": [
            each["name"] for each in slots if each["type"] == "physical" and not each["active"] and each["wal_status"]
        ],
        "identifier": control.get("system_identifier"),
        "was_standby": control.get("state") in _STANDBYS,
        "receives": bool((soundness.get("receiver") or {}).get("status")),
    }
