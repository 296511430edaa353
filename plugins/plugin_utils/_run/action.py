# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a module of the group ``target`` runs: in this worker, or on the host; decided once, for all of them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import importlib.util
import json
import os
from typing import Any, Callable, Dict, Mapping, Optional, Set

from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars

from ...module_utils._core.errors import OncallError
from ...module_utils._core.mask import mask_words
from ...module_utils._entry.options import WHICH, nets
from ...module_utils._entry.target import PLACE, SAY
from ...module_utils._gather.runtime.compose.address import elsewhere
from . import again
from .checking import NO_DICTIONARY, Checked, check
from .collector import no_collector
from .progress import progress
from .works import WORKS, preload, spec

preload()
_NOT_DESCRIBED = (
    "oncall_target is missing: nothing says which server this is. Describe it in the inventory, as a variable."
)
_EXAMPLE = (
    "oncall_target: {runtime: compose, project: shop, service: postgres}",
    "# or: {runtime: pg_ctl, data_directory: /var/lib/postgresql/17/main}",
    "# or: {runtime: remote, login_host: db.example.org, login_user: oncall}",
)
_NO_ASYNC = (
    "async is not possible here: this target is reached from the controller, inside Ansible's worker. Leave async out, "
    "or add delegate_to: localhost, which runs it as a module."
)


def failed(msg: str) -> Dict[str, Any]:
    """A result, and no exception: only so failed_when, rescue and register treat it as they do a module's."""
    return {"failed": True, "msg": msg}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        name = self._task.action.rpartition(".")[2]
        result.update(self.carry_out(name, dict(self._task.args), task_vars or {}))
        if name in ("triage", "evidence_info"):
            # Facts are pages long. The report has them, and so has an ad-hoc call; a play shows them from -vvv on.
            result["_ansible_verbose_override"] = Display().verbosity < 3
        if boolean(self._task.args.get("compact", False)):  # here, when no secret is left in it
            if result.get("facts"):
                result["facts"], result["facts_json"] = None, json.dumps(result["facts"])
            if result.get("evidence_packed", "") is None:
                packed = base64.b64encode(gzip.compress(json.dumps(result["evidence"]).encode()))
                result["evidence"], result["evidence_packed"] = None, packed.decode()
        return result

    def carry_out(self, name: str, arguments: Dict[str, Any], task_vars: Dict[str, Any]) -> Dict[str, Any]:
        """The result of module ``name``, wherever it runs."""
        known = spec(name)
        if WHICH.isdisjoint(arguments):  # neither the task nor module_defaults say which server: the inventory does
            described = self._templar.template(task_vars.get("oncall_target"))
            if not described:
                lines = ["%s:" % task_vars.get("inventory_hostname"), *("  %s" % line for line in _EXAMPLE)]
                return dict(failed(_NOT_DESCRIBED), example=lines)
            if not isinstance(described, Mapping):
                return failed(NO_DICTIONARY % (described,))
            arguments = {**described, **arguments}
        arguments.setdefault("host", task_vars.get("inventory_hostname"))
        arguments.setdefault("playbook_options", again.options(load_extra_vars(self._loader)))
        checked = check(known, arguments)
        if checked.problems:
            told = "; ".join(each.text.rstrip(".") for each in checked.problems)
            return failed("Wrong options: %s" % (told if told.endswith("?") else told + "."))
        here = self._runs_here(checked.options)
        if here and self._task.async_val:
            return failed(_NO_ASYNC)
        # Of what takes minutes.
        seconds = sum(checked.options.get(each) or 0 for each in ("restore_seconds", "check_seconds"))
        with contextlib.ExitStack() as stack:
            say = None
            if seconds and not self._task.async_val:
                say = stack.enter_context(progress(name, seconds, task_vars))
            return self._work(name, checked, say) if here else self._on_host(name, arguments, task_vars)

    def _on_host(self, name: str, arguments: Dict[str, Any], task_vars: Dict[str, Any]) -> Dict[str, Any]:
        module = "oncall.postgresql.%s" % name
        with no_collector():
            result: Dict[str, Any] = self._execute_module(
                module_name=module, module_args=arguments, task_vars=task_vars, wrap_async=bool(self._task.async_val)
            )
        if result.get("failed") and not result.get("msg"):  # an exception alone, as of ansible-core 2.19
            event = getattr(result.get("exception"), "event", None)
            result["msg"] = "%s crashed on the host: %s" % (name, getattr(event, "msg", None) or "it did not say why")
        return result

    def _runs_here(self, options: Mapping[str, Any]) -> bool:
        """A module's process costs a quarter of a second: none is started where it would change nothing."""
        if self._task.delegate_to:  # it has been told where to run: a bastion, say
            return False
        if _reached_from_here(options):
            return True
        as_we_are = self._connection.transport == "local" and not self._play_context.become
        plain = not any(self._task.environment or ()) and not self._task.async_val
        return as_we_are and plain and _has_libraries(options)

    def _work(self, name: str, checked: Checked, say: Optional[Callable[[str], None]]) -> Dict[str, Any]:
        """In this worker, which is a process of its own and ends with the task: so its environment is the task's."""
        environment: Dict[str, Any] = {}
        self._compute_environment_string(environment)
        os.environ.update({key: str(value) for key, value in environment.items()})
        try:
            result = WORKS[name].do({**checked.options, PLACE: "the controller", SAY: say}, self._task.check_mode)
        except OncallError as error:
            result = dict(error.details, **failed(str(error)), sqlstate=error.sqlstate, refused=not error.touched)
        if not _told(checked.secrets, result):
            return result
        anywhere, words = nets(checked.secrets, checked.options, spec(name).options)
        masked: Dict[str, Any] = mask_words(remove_values(result, anywhere), words)
        return masked


def _told(secrets: Set[str], result: Dict[str, Any]) -> bool:
    """Whether a secret is in ``result``. Looked for in one text: nearly always there is none, for a thousand hosts."""
    text = json.dumps(result, ensure_ascii=False)
    return any(json.dumps(secret, ensure_ascii=False)[1:-1] in text for secret in secrets)


def _reached_from_here(options: Mapping[str, Any]) -> bool:
    """Nothing needs to run on the inventory host: only the wire is used, or an engine at another address."""
    return options["runtime"] == "remote" or elsewhere(options.get("docker_host"))


def _has_libraries(options: Mapping[str, Any]) -> bool:
    """This Python has what the target needs; the host's own may have it where this one has not."""
    return not options["login_host"] or importlib.util.find_spec("psycopg2") is not None
