# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between Ansible and the code: arguments in, a result out. The only ``fail_json`` is here."""
from __future__ import annotations

import platform
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule

from ._errors import OncallError
from ._options import Spec
from ._target import Target, open_target

Function = Callable[[Target], Dict[str, Any]]


def run(spec: Spec, function: Function) -> None:
    """Run a module: validate by ``spec``, open the target, call ``function``, exit with what it returns."""
    module = AnsibleModule(supports_check_mode=True, **spec.arguments())
    try:
        result = call(function, module.params)
    except OncallError as error:
        module.fail_json(msg=str(error), sqlstate=error.sqlstate)
    module.exit_json(**result)


def call(function: Function, options: Dict[str, Any]) -> Dict[str, Any]:
    """Open the target that validated ``options`` describe, call, close. Raises OncallError."""
    target = open_target(options, options.get("host") or platform.node())
    try:
        return dict(function(target), changed=False)
    finally:
        target.close()
