# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between Ansible and the code: arguments in, a result out. The only ``fail_json`` is here."""

from __future__ import annotations

import platform
from typing import Any, Callable, Dict, Mapping

from ansible.module_utils.basic import AnsibleModule

from .._core.errors import OncallError
from .._gather.target import Target
from .._procedures.change import Change
from .options import Spec, hide, telling
from .target import open_target

Reader = Callable[[Target], Dict[str, Any]]
# Target, the module's options, check mode -> what was or would be changed
Changer = Callable[[Target, Mapping[str, Any], bool], Change]


def run(spec: Spec, read: Reader) -> None:
    """Run a module that only reads: validate by ``spec``, open the target, exit with what ``read`` returns."""
    _run(spec, lambda options, check_mode: call(read, options))


def run_change(spec: Spec, change: Changer) -> None:
    """Run a module that changes something. ``change`` plans the same in check mode, and then does not apply."""
    _run(spec, lambda options, check_mode: call(lambda target: change(target, options, check_mode).result(), options))


def call(read: Reader, options: Dict[str, Any]) -> Dict[str, Any]:
    """Open the target that validated ``options`` describe, call, close. Raises OncallError."""
    target = open_target(options, options.get("host") or platform.node())
    try:
        return dict({"changed": False}, **read(target))
    finally:
        target.close()


def _run(spec: Spec, work: Callable[[Dict[str, Any], bool], Dict[str, Any]]) -> None:
    module = AnsibleModule(supports_check_mode=True, **spec.arguments())
    invocation = {"module_args": hide(module.params, spec.options)}
    module.no_log_values = telling(module.no_log_values, module.params, spec.options)
    try:
        result = work(module.params, module.check_mode)
    except OncallError as error:
        module.fail_json(msg=str(error), sqlstate=error.sqlstate, invocation=invocation, **error.details)
    module.exit_json(invocation=invocation, **result)
