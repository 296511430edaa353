# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the controller, before a procedure acts: keep what triage saw. What cannot be kept stops no recovery."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional, Sequence, Set

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils._core.times import now
from ..plugin_utils._incident import timeline
from ..plugin_utils._incident.archive import archive
from ..plugin_utils._incident.store import Store
from ..plugin_utils._report import files
from ..plugin_utils._report.model import Host, raw_variables, registered, worst_first


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True  # once for the whole play
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            argument_spec={
                "report_dir": {"type": "path"},
                "incident_dir": {"type": "path"},
                "report_mode": {"type": "str", "choices": list(files.MODES), "default": files.MODES[0]},
            }
        )[1]
        variables = task_vars or {}
        found = raw_variables(variables["hostvars"], variables["ansible_play_hosts_all"])
        decided = registered(found, "oncall_response")
        hosts = worst_first(registered(found, "oncall_triage"))
        acting = [
            host
            for host in hosts
            if (decided[host.name] or {}).get("verb") and not boolean(found[host.name]["oncall_only_plan"])
        ]
        result.update(changed=False, msg="", path=None)
        place = os.path.join(options["report_dir"], "before") if options["report_dir"] else files.KEPT
        try:
            if options["report_dir"]:
                at = now().strftime(files.AT)
                result["path"] = files.write(hosts, place, at, int(options["report_mode"], 8))
            elif acting:
                result["path"] = files.keep(acting, now())
        except OSError as error:
            result["msg"] = (
                "State before acting: not saved, %s cannot be written (%s). Give another directory with "
                "-e oncall_report_dir=DIR." % (os.path.expanduser(place), error.strerror or error)
            )
        else:
            result["msg"] = "State before acting: %s" % result["path"] if result["path"] else ""
        if options["incident_dir"] and acting:
            said = _archived(options["incident_dir"], acting, found)
            result["msg"] = "\n".join(filter(None, [result["msg"], said]))
        return result


def _archived(directory: str, acting: Sequence[Host], found: Mapping[str, Mapping[str, Any]]) -> str:
    """One archive a host, named in its open incidents; a line where that could not be done."""
    store, at = Store(directory), now()
    try:
        with store.locked():
            incidents = store.open_of([host.name for host in acting])
            for host in acting:
                more = registered(found, "oncall_kept")[host.name]
                secrets = _secrets(found[host.name].get("oncall_target"))
                path = store.keep(host.name, at, archive(host, at, secrets, more))
                for each in incidents.get(host.name, []):
                    store.append(each.id, [timeline.event(at, timeline.EVIDENCE, path=path)])
    except OSError as error:
        return "Evidence: not archived, %s cannot be written (%s)." % (store.directory, error.strerror or error)
    return ""


def _secrets(value: Any, name: str = "") -> Set[str]:
    """The passwords in a host's description, as far as they stand there and are no templates."""
    if isinstance(value, Mapping):
        return set().union(*(_secrets(inner, str(key)) for key, inner in value.items()))
    if isinstance(value, (list, tuple)):
        return set().union(*(_secrets(inner, name) for inner in value))
    return {str(value)} if "password" in name and isinstance(value, str) and value else set()
