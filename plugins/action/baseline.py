# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A baseline is read where the server is reached, and kept on the controller."""

from __future__ import annotations

from typing import Any, Dict

from ..plugin_utils._run.action import ActionModule as TargetAction
from ..plugin_utils._run.baselines import diff, keep

_OURS = ("directory", "keep")


class ActionModule(TargetAction):
    def carry_out(self, name: str, arguments: Dict[str, Any], task_vars: Dict[str, Any]) -> Dict[str, Any]:
        result = super().carry_out(name, arguments, task_vars)
        if result.get("failed") or result.get("unreachable") or "baseline" not in result:
            return result
        host, most = str(task_vars["inventory_hostname"]), int(arguments.get("keep", 10))
        found = keep(result, str(arguments["directory"]), host, most, self._task.check_mode)
        if self._task.diff and not found.get("failed"):
            found["diff"] = diff(found)
        return {**result, **found}
