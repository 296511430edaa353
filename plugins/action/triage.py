# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where triage runs: in this worker for a target that the controller reaches as it is, else on the host."""

from __future__ import annotations

import importlib.util
from typing import Any, Dict, Mapping, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._core.errors import OncallError
from ..module_utils._entry import questions
from ..module_utils._entry.module import call
from ..module_utils._entry.options import TRIAGE, telling


def _reached_from_here(arguments: Mapping[str, Any]) -> bool:
    """Nothing needs to run on the inventory host: only the wire is used, or an engine at another address."""
    engine = str(arguments.get("docker_host") or "")
    return arguments.get("runtime") == "remote" or engine.startswith(("ssh://", "tcp://", "http://", "https://"))


def _has_libraries(arguments: Mapping[str, Any]) -> bool:
    """This Python has what the target needs; the host's own may have it where this one has not."""
    needed = ["docker"] * (arguments.get("runtime", "compose") == "compose") + ["psycopg2"] * bool(
        arguments.get("login_host")
    )
    return all(importlib.util.find_spec(name) for name in needed)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        arguments.setdefault("host", (task_vars or {}).get("inventory_hostname"))
        if self._here(arguments):
            result.update(_examine(arguments))
        else:
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        # Facts are pages long. The report has them, and so has an ad-hoc call; a play shows them from -vvv on.
        result["_ansible_verbose_override"] = Display().verbosity < 3
        return result

    def _here(self, arguments: Mapping[str, Any]) -> bool:
        """A module's process costs a quarter of a second: none is started where it would change nothing."""
        if self._task.delegate_to:  # it has been told where to run: a bastion, say
            return False
        if _reached_from_here(arguments):
            return True
        as_we_are = self._connection.transport == "local" and not self._play_context.become
        return as_we_are and not any(self._task.environment or ()) and _has_libraries(arguments)


def _examine(arguments: Mapping[str, Any]) -> Dict[str, Any]:
    validated = ArgumentSpecValidator(**TRIAGE.arguments()).validate(dict(arguments))
    if validated.error_messages:
        raise AnsibleActionFail("; ".join(validated.error_messages))
    try:
        result = call(questions.triage, validated.validated_parameters)
    except OncallError as error:
        result = {"failed": True, "msg": str(error), "sqlstate": error.sqlstate}
    secrets = telling(validated._no_log_values, validated.validated_parameters, TRIAGE.options)
    masked: Dict[str, Any] = remove_values(result, secrets)
    return masked
