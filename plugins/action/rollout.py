# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the controller, once for all hosts of a rollout or of a batch: what is planned, who begins, how it went."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional

from ansible.plugins.action import ActionBase

from ..module_utils._core.times import now
from ..plugin_utils._incident.store import this_run
from ..plugin_utils._report.model import raw_variables
from ..plugin_utils._rollout import snapshots, steps
from ..plugin_utils._rollout.fleet import batches
from ..plugin_utils._rollout.window import windows

_NOT_KEPT = "its former settings cannot be kept (%s): give another directory with oncall_rollout_dir"

_NOTHING: Dict[str, Any] = {"hosts": {}, "order": [], "batches": [], "any": False, "worse": {}, "back": {}}


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True  # once for the whole play, or its batch
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["planned", "begun", "judged", "ended"], "required": True},
                "verb": {"type": "str", "required": True},
                "directory": {"type": "path", "default": snapshots.KEPT},
                "serial": {"type": "raw", "default": "1,10%,100%"},
                "ready": {"type": "list", "elements": "str", "default": []},
                "restart": {"type": "bool", "default": False},
                "approve": {"type": "bool", "default": False},
                "window": {"type": "raw"},
            }
        )[1]
        variables = task_vars or {}
        names = variables["ansible_play_hosts_all" if options["state"] == "planned" else "ansible_play_batch"]
        found = raw_variables(variables["hostvars"], names)
        work = {"planned": self._planned, "begun": self._begun, "judged": self._judged, "ended": self._ended}
        result.update(work[options["state"]](options, found, variables))
        for each in (result.get("hosts") or {}).values():
            each.update(notes=steps.notes(each), failure=steps.failure(each))
        return {"changed": False, **_NOTHING, **result}

    def _planned(
        self, options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], _variables: Mapping[str, Any]
    ) -> Dict[str, Any]:
        hosts: Dict[str, Dict[str, Any]] = {}
        seen: Dict[str, Mapping[str, Any]] = {}
        restarts = options["restart"] and (options["approve"] or _open(options["window"]))
        for host, mine in found.items():
            seen[host] = {**mine, "oncall_streams": _streams(mine.get("oncall_triage") or {})}
            try:
                kept = snapshots.read(options["directory"], host)
                hosts[host] = steps.planned(seen[host], kept, restarts, options["verb"] == "tune_restore")
            except snapshots.UnreadableError as error:
                hosts[host] = steps.nothing(steps.REFUSED, str(error))
        order = steps.together(hosts, seen, options["ready"])
        going = [host for host in order.hosts if hosts[host]["go"]]
        return {
            "hosts": {host: {**mine, "after": list(order.after.get(host, ()))} for host, mine in hosts.items()},
            "order": going,
            "batches": batches(going, order.after, options["serial"]) or [1],
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
            done: Dict[str, Any] = steps.may_begin(host, planned, mine, tuned, planned["after"])
            if not done:
                why = steps.restart(
                    options["restart"], options["approve"], _open(options["window"]), tuned, planned["after"]
                )
                done = {"no_restart": why, **self._keep(options, host, planned, mine)}
            hosts[host] = {**planned, "go": "outcome" not in done, **done}
        return {"hosts": hosts, "any": any(each["go"] for each in hosts.values())}

    def _keep(
        self, options: Mapping[str, Any], host: str, planned: Mapping[str, Any], mine: Mapping[str, Any]
    ) -> Dict[str, Any]:
        at = now().strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
        target = (mine.get("oncall_triage") or {}).get("target") or {}
        snapshot = {
            "at": at,
            "host": host,
            "run": this_run(),
            "verb": options["verb"],
            "state": snapshots.BEGUN,
            "version": target.get("version"),
            "system_identifier": ((mine.get("oncall_foreseen") or {}).get("cluster") or {}).get("system_identifier"),
            "settings": planned["undo"],
            "roles": planned["undo_roles"],
            "rows": planned["rows"],
        }
        try:
            return {"kept": snapshots.write(options["directory"], host, snapshot), "snapshot": snapshot}
        except OSError as error:
            return {"outcome": steps.REFUSED, "why": _NOT_KEPT % (error.strerror or error)}

    def _judged(
        self, _options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], _variables: Mapping[str, Any]
    ) -> Dict[str, Any]:
        going = {host: mine for host, mine in found.items() if mine["oncall_rollout"]["go"]}
        told = {
            host: steps.judged(mine["oncall_rollout"], mine.get("oncall_before") or {}, mine)
            for host, mine in going.items()
        }
        worse = {host: why for host, why in told.items() if why}
        return {
            "worse": worse,
            "back": {host: steps.way_back(mine["oncall_rollout"], mine) for host, mine in going.items()},
        }

    def _ended(
        self, options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any]
    ) -> Dict[str, Any]:
        worse = (variables.get("oncall_judged") or {}).get("worse") or {}
        hosts = {}
        for host, mine in found.items():
            planned = mine["oncall_rollout"]
            done = steps.ended(host, planned, worse, mine) if planned["go"] else planned
            if planned["go"] and done["outcome"] in (steps.TUNED, steps.PUT_BACK):
                state = snapshots.DONE if done["outcome"] == steps.TUNED else snapshots.PUT_BACK
                try:
                    snapshots.write(options["directory"], host, {**planned["snapshot"], "state": state})
                except OSError as error:  # the next run takes it for interrupted, and looks again
                    self._display.warning("%s: %s cannot be written: %s" % (host, planned["kept"], error.strerror))
            hosts[host] = done
        return {"hosts": hosts}


def _open(given: Any) -> bool:
    return bool(given) and any(each.holds(_now()) for each in windows(given))


def _now() -> datetime:
    return now().astimezone()


def _streams(triage: Mapping[str, Any]) -> Dict[str, Any]:
    """Who streams from it, by application_name, and how many of them are logical."""
    facts = json.loads(triage["facts_json"]) if triage.get("facts_json") else triage.get("facts") or {}
    soundness = ((facts or {}).get("snapshot") or {}).get("soundness") or {}
    names: List[str] = [
        each["application"] or str(each["client_address"])
        for each in soundness.get("standbys") or []
        if each["state"] != "backup"
    ]
    logical = [each for each in soundness.get("slots") or [] if each["type"] == "logical" and each["active"]]
    return {"names": names, "logical": len(logical)}
