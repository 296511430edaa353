# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between Ansible and the code on a host: arguments in, a result out. The only ``fail_json`` is here."""

from __future__ import annotations

import platform

from ansible.module_utils.basic import AnsibleModule

from .._core import once  # noqa: F401  # pylint: disable=unused-import  # first: what follows is compiled once
from .._core.errors import OncallError
from .._core.hangup import leaving
from .._core.mask import mask_words
from .options import hide, nets
from .target import PLACE
from .work import Work


def run(work: Work, watched: bool = False) -> None:
    """Run a module: validate its arguments, do the work, exit with the result or with one clear line.

    ``watched``: it only looks, takes long, and ends where nobody waits for its result any more.
    """
    spec = work.spec
    module = AnsibleModule(supports_check_mode=True, **spec.arguments())
    invocation = {"module_args": hide(module.params, spec.options)}
    module.no_log_values, words = nets(module.no_log_values, module.params, spec.options)
    try:
        place = {PLACE: "the host %s" % platform.node()}
        with leaving(watched):
            result = work.do({**module.params, **place}, module.check_mode)
    except OncallError as error:
        failed = dict(error.details, msg=str(error), sqlstate=error.sqlstate, refused=not error.touched)
        module.fail_json(invocation=invocation, **mask_words(failed, words))
    module.exit_json(invocation=invocation, **mask_words(result, words))
