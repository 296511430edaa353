# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One procedure by its verb: the module of its registry row, with the row's variables, in the place of all modules."""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

from ..module_utils._procedures._registry import REGISTRY
from ..plugin_utils._run import response, turn
from ..plugin_utils._run.action import ActionModule as TargetAction
from ..plugin_utils._run.action import failed
from ..plugin_utils._run.verb import VerbAction


class ActionModule(VerbAction):
    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super(TargetAction, self).run(tmp, task_vars)
        arguments, variables = dict(self._task.args), task_vars or {}
        verb, remedy = arguments.pop("verb", None), arguments.pop("variables", None) or {}
        if verb not in REGISTRY:
            return failed("verb is %r. Give one of: %s." % (verb, ", ".join(sorted(REGISTRY))))
        row = REGISTRY[verb]
        if row.cuts_off:
            stop = response.may_go_on(self._others(variables))
            if stop:
                return dict(result, skipped=True, msg=stop)
        begun = time.monotonic()
        try:
            result.update(self.of_row(verb, row, arguments, remedy, variables))
        finally:
            # Without a result its host was lost in the middle.
            if "changed" not in result or self._outcome(result) == response.FAILED:
                turn.failed(self._task._uuid, str(variables["inventory_hostname"]))
        result["seconds"] = round(time.monotonic() - begun, 3)
        result["outcome"] = self._outcome(result)
        return result

    def _outcome(self, result: Dict[str, Any]) -> str:
        if result.get("failed"):
            return response.REFUSED if result.get("refused") else response.FAILED
        if self._task.check_mode:
            return response.PLANNED
        return response.DONE if result.get("changed") else response.UNCHANGED

    def _others(self, variables: Dict[str, Any]) -> Dict[str, Dict[str, Any]]:
        """What the procedure returned on the other hosts of this play, as far as it ran there."""
        hostvars, me = variables["hostvars"], variables["inventory_hostname"]
        found = {}
        for host in variables["ansible_play_hosts_all"]:
            done = hostvars.raw_get(host).get("oncall_done") if host != me else None
            if isinstance(done, dict):
                found[host] = done
        last = turn.failed_before(self._task._uuid)
        if last:
            found[last] = {"outcome": response.FAILED}
        return found
