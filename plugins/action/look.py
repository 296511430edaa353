# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One verb that only looks, by its name; its result in the shape of triage's, too, for the report."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..module_utils._entry.looks import LOOKS
from ..plugin_utils._report.baseline import baseline
from ..plugin_utils._report.graded import graded, proved
from ..plugin_utils._run.action import ActionModule as TargetAction
from ..plugin_utils._run.action import failed
from ..plugin_utils._run.baselines import newest
from ..plugin_utils._run.verb import VerbAction
from .baseline import ActionModule as BaselineAction

_SHOWN = {"integrity_check": graded, "baseline": baseline, "restore_proof": proved}


class ActionModule(VerbAction, BaselineAction):
    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super(TargetAction, self).run(tmp, task_vars)
        arguments = dict(self._task.args)
        verb = arguments.pop("verb", None)
        if verb not in _SHOWN:
            return failed("verb is %r. Give one of: %s." % (verb, ", ".join(sorted(_SHOWN))))
        result.update(self.of_row(verb, LOOKS[verb], arguments, {}, task_vars or {}))
        if not result.get("failed") and not result.get("unreachable"):
            result.update(_SHOWN[verb](result))
        return result

    def carry_out(self, name: str, arguments: Dict[str, Any], task_vars: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(arguments)
        directory = given.pop("baseline_dir", None)
        if directory is not None:
            given["baseline"] = newest(str(directory), str(task_vars["inventory_hostname"]))
        return super().carry_out(name, given, task_vars)
