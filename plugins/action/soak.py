# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the controller: a server is watched for some minutes after a change, until it is worse than before."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Mapping, Optional

from ansible.errors import AnsibleConnectionFailure

from ..module_utils._core.spec import Spec
from ..module_utils._core.text import count, did_you_mean, duration, milliseconds, nearest
from ..module_utils._entry.options import TARGET
from ..plugin_utils._rollout.soak import lost, percent, summary, worse
from ..plugin_utils._run.action import ActionModule as TargetAction
from ..plugin_utils._run.action import failed
from ..plugin_utils._run.checking import check
from ..plugin_utils._run.progress import progress

_OWN = Spec(
    {
        "minutes": {"type": "float", "required": True},
        "interval_seconds": {"type": "float", "default": 10},
        "before": {"type": "dict"},
    }
)
_NO_SUCH = "there is no option %s. %s"
_LEAST_SECONDS = 1.0  # between two samples
_LINES = 60  # on the screen, however long it takes


class ActionModule(TargetAction):
    _supports_async = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super(TargetAction, self).run(tmp, task_vars)
        given, variables = dict(self._task.args), task_vars or {}
        checked = check(_OWN, {name: given.pop(name) for name in _OWN.options if name in given})
        strange = [name for name in given if name not in TARGET.options]
        problems = [
            _NO_SUCH % (name, did_you_mean(nearest(name, {**TARGET.options, **_OWN.options}), "")) for name in strange
        ]
        problems += [each.text for each in checked.problems]
        options = checked.options
        before = (options.get("before") or {}).get("pressure", options.get("before"))
        if not problems and options["interval_seconds"] < _LEAST_SECONDS:
            problems.append("interval_seconds is %s: it must be at least 1" % options["interval_seconds"])
        if before is not None and not {"at", "probe", "log"} <= set(before):
            problems.append("before is no result of oncall.postgresql.pressure_info")
        if problems:
            return dict(result, **failed("Wrong options: %s" % "; ".join(problems).strip()))
        result.update(changed=False, worse=[], samples=None, seconds=0.0, not_covered=[])
        result["msg"] = "Nothing is waited for in check mode"
        if self._task.check_mode:
            return result
        seconds = options["minutes"] * 60
        with progress("soak", seconds, variables, seconds / _LINES) as say:
            result.update(self._watch(given, before, seconds, options["interval_seconds"], variables, say))
        return result

    def _watch(
        self,
        arguments: Mapping[str, Any],
        before: Optional[Mapping[str, Any]],
        seconds: float,
        interval: float,
        variables: Dict[str, Any],
        say: Callable[[str], None],
    ) -> Dict[str, Any]:
        """Without ``before`` the first sample is that; one that cannot be taken is then a failure."""
        begun = time.monotonic()
        samples: List[Mapping[str, Any]] = []
        missed: List[List[str]] = []  # by samples of a server that answered
        since = before["at"] if before else None
        while True:
            found = self._sample(arguments, since, variables)
            sample: Optional[Dict[str, Any]] = found.get("pressure")
            why = str(found.get("msg") or "it returned nothing")
            if sample is None and before is None:
                return failed("The server cannot be watched: %s" % why)
            taken = sample or lost(why)
            if taken["probe"]["error"] is None:
                missed.append(found.get("not_covered") or [])
            since = taken["at"] or since
            if before is None:
                before = taken
            else:
                samples.append(taken)
            reasons, passed = worse(before, samples), time.monotonic() - begun
            if reasons or passed >= seconds:
                break
            say(_told(taken))
            time.sleep(min(interval, seconds - passed))
        if not reasons and samples and not any(each["at"] for each in samples):
            return failed("The server cannot be watched: %s" % why)
        how = "Worse than before: %s" % "; ".join(reasons) if reasons else "No worse than before"
        told = "%s (%s in %s)" % (how, count(len(samples), "sample"), duration(passed))
        missing = [each for each in missed[0] if all(each in others for others in missed)] if missed else []
        told += "; not looked at: %s" % "; ".join(missing) if missing else ""
        return {
            "worse": reasons,
            "samples": summary(before, samples),
            "not_covered": missing,
            "seconds": round(passed, 1),
            "msg": told,
        }

    def _sample(self, arguments: Mapping[str, Any], since: Optional[str], variables: Dict[str, Any]) -> Dict[str, Any]:
        """What pressure_info returned; why it could not."""
        try:
            return self.carry_out("pressure_info", {**arguments, "since": since}, variables)
        except AnsibleConnectionFailure as error:
            return {"msg": str(error)}


def _told(sample: Mapping[str, Any]) -> str:
    used, took = percent(sample), sample["probe"]["milliseconds"]
    parts = ["memory %d %%" % used] if used is not None else []
    parts += [count(sample["connections"], "connection")] if sample["connections"] is not None else []
    return ", ".join([*parts, "no answer" if took is None else "answers in %s" % milliseconds(took)])
