# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``role_settings``: what roles have set for themselves."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, OptionsError, UnprovenError
from ..._core.interrupt import Interrupted, interruptible, undisturbed
from ..._core.spec import Spec
from ..._core.text import names
from ..configuration import values
from ..procedure import Change, Options
from .plan import Plan, Step, decide
from .sql import ROLES, alter

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
        with _or_as_it_was(target, done):
            for step in plan.due:
                done.append(step)
                _alter(target, step, step.after)

    def prove(self, target: Target, plan: Plan, done: None) -> Change:
        roles = list(dict.fromkeys(step.role for step in plan.steps))
        with _or_as_it_was(target, plan.due):
            now = self._read(target, roles, [step.name for step in plan.due])
            stands = {(step.role, step.name): step.before for step in decide(now, roles, _nothing(plan)).steps}
            wrong = [step for step in plan.due if not step.stands(stands.get((step.role, step.name)))]
            if wrong:
                raise UnprovenError("Not as asked after the change: %s" % names([_of(step) for step in wrong]))
        return plan.foreseen()


def _nothing(plan: Plan) -> Dict[str, None]:
    return dict.fromkeys(step.name for step in plan.due)


@contextlib.contextmanager
def _or_as_it_was(target: Target, done: Sequence[Step]) -> Iterator[None]:
    """What fails or is interrupted within is taken back: ``done``, the last of which is the one that fails."""
    try:
        with interruptible():
            yield
    except (OncallError, Interrupted) as error:
        with undisturbed():
            left = [step for step in reversed(done) if not _put_back(target, step)]
        why = "interrupted (%s)" % error
        if isinstance(error, OncallError):
            why = error.msg
        what = "Settings of roles not changed: %s" % ("%s: %s" % (_of(done[-1]), why) if done else why)
        back = (
            "NOT put back: %s" % names([_of(step) for step in left], 20) if left else "All former values were put back"
        )
        raise UnprovenError(
            "%s. %s" % (what.rstrip("."), back),
            sqlstate=getattr(error, "sqlstate", None),
            details={"changed": bool(left)},
        ) from None


def _of(step: Step) -> str:
    return "%s of role %s" % (step.name, step.role)


def _alter(target: Target, step: Step, value: Optional[str]) -> None:
    query, params = alter(step.role, step.name, values.parts(step.row, value))
    target.session.execute(query, Deadline(target.deadline_seconds), **params)


def _put_back(target: Target, step: Step) -> bool:
    with contextlib.suppress(OncallError):
        _alter(target, step, step.before)
        return True
    return False
