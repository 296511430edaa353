# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``role_settings``: what roles have set for themselves."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, OptionsError, UnprovenError
from ..._core.spec import Spec
from ..._core.text import names
from ..._gather.session.bind import identifier
from ..procedure import Change, Options
from .plan import Plan, Step, decide
from .sql import RESET, ROLES, SET

if TYPE_CHECKING:
    from ..._gather.target import Target

OPTIONS = Spec(
    {
        "roles": {"type": "list", "elements": "str", "required": True},
        "settings": {"type": "dict", "required": True},
    }
)


class RoleSettings:
    """The state read is the row of ``sql.ROLES``; done is nothing: what stands is read again."""

    def read(self, target: Target, options: Options) -> Dict[str, Any]:
        if not options["roles"] or not options["settings"]:
            raise OptionsError("roles and settings must each name at least one")
        return self._read(target, list(options["roles"]), list(options["settings"]))

    def _read(self, target: Target, roles: List[str], settings: List[str]) -> Dict[str, Any]:
        asked = [name.lower() for name in settings]
        return target.session.query(ROLES, Deadline(target.deadline_seconds), roles=roles, names=asked)[0]

    def plan(self, state: Dict[str, Any], options: Options) -> Plan:
        return decide(state, options["roles"], options["settings"])

    def apply(self, target: Target, plan: Plan) -> None:
        done: List[Step] = []
        try:
            for step in plan.due:
                done.append(step)
                _alter(target, step, step.after)
        except OncallError as error:
            left = [step for step in done if not _put_back(target, step)]
            raise UnprovenError(
                "%s of role %s could not be changed: %s" % (done[-1].name, done[-1].role, error),
                "Not put back: %s." % names(["%s of %s" % (step.name, step.role) for step in left])
                if left
                else "All former values were put back.",
                details={"changed": bool(left)},
            ) from error

    def prove(self, target: Target, plan: Plan, done: None) -> Change:
        roles = list(dict.fromkeys(step.role for step in plan.steps))
        settings = {step.name: None for step in plan.steps}
        now = decide(self._read(target, roles, list(settings)), roles, settings)
        stands = {(step.role, step.name): step.before for step in now.steps}
        wrong = [step for step in plan.due if stands.get((step.role, step.name)) != step.after]
        if wrong:
            raise UnprovenError(
                "Not as asked after the change: %s" % names(["%s of %s" % (step.name, step.role) for step in wrong]),
                "Somebody else may be changing the same roles; run this again.",
                details={"changed": True},
            )
        return plan.foreseen()


def _alter(target: Target, step: Step, value: Optional[str]) -> None:
    of = {"role": identifier(step.role), "name": identifier(step.name)}
    deadline = Deadline(target.deadline_seconds)
    if value is None:
        target.session.execute(RESET, deadline, **of)
    else:
        target.session.execute(SET, deadline, value=value, **of)


def _put_back(target: Target, step: Step) -> bool:
    with contextlib.suppress(OncallError):
        _alter(target, step, step.before)
        return True
    return False
