# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the controller: what rollouts have kept of a host, and what putting one back means."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from ansible.plugins.action import ActionBase

from ..plugin_utils._rollout import snapshots

LATEST = "latest"


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            argument_spec={"directory": {"type": "path", "default": snapshots.KEPT}, "snapshot": {"type": "str"}}
        )[1]
        host, directory, asked = str((task_vars or {})["inventory_hostname"]), options["directory"], options["snapshot"]
        try:
            kept = snapshots.read(directory, host)
        except snapshots.UnreadableError as error:
            return dict(result, failed=True, msg=str(error))
        lines = [snapshots.line(each) for each in kept] or ["nothing is kept of it in %s" % directory]
        wanted: Mapping[str, Any] = {}
        if asked:
            found = [each for each in kept if asked in (LATEST, each["at"])]
            if not found:
                return dict(result, failed=True, msg=_none(host, directory, asked, kept))
            wanted = snapshots.before(kept, found[-1])
        return {**result, "changed": False, "lines": lines, "wanted": wanted, "msg": "; ".join(lines)}


def _none(host: str, directory: str, asked: str, kept: Sequence[Mapping[str, Any]]) -> str:
    there = ", ".join(each["at"] for each in kept) or "none"
    return "There is no snapshot %s of %s in %s. There is: %s." % (asked, host, directory, there)
