# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``prepared_transaction``: an abandoned one is rolled back, or committed if asked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping

from ..._core.deadline import Deadline
from ..._core.errors import SessionError, UnprovenError
from ..._core.spec import Spec
from ..._core.wait import wait_for
from ..pooler import refusal
from ..procedure import Change, Options
from .plan import Plan, decide, named, nothing, told
from .sql import COMMIT, PREPARED, ROLL_BACK, THERE

if TYPE_CHECKING:
    from ..._gather.session.base import Session
    from ..._gather.target import Target

ROLLED_BACK, COMMITTED = "rolled_back", "committed"
# undefined_object: somebody else has finished it; object_not_in_prerequisite_state: somebody else is at it
_FINISHED, _BUSY = "42704", "55000"

OPTIONS = Spec(
    {
        "gid": {"type": "str", "required": True},
        "state": {"type": "str", "choices": [ROLLED_BACK, COMMITTED], "default": ROLLED_BACK},
        "min_age_seconds": {"type": "float"},
    }
)


class Finish:
    """The state read is the row of ``sql.PREPARED``; done is whether it was us who finished it."""

    def read(self, target: Target, options: Options) -> Dict[str, Any]:
        found = target.session.query(PREPARED, Deadline(target.deadline_seconds), gid=options["gid"])[0]
        for each in found["blocks"]:
            each["query"] = target.shown(each["query"])
        return dict(found, blocked_seconds=target.thresholds.blocked_seconds)

    def plan(self, state: Dict[str, Any], options: Options) -> Plan:
        least = options["min_age_seconds"]
        return decide(state, options["gid"], options["state"], state["blocked_seconds"] if least is None else least)

    def apply(self, target: Target, plan: Plan) -> bool:
        found, seconds = _found(plan), target.deadline_seconds
        query = COMMIT if plan.state == COMMITTED else ROLL_BACK
        with _in_its_database(target, found) as session:
            # A pooler may have that database on another server, with a transaction of the same name.
            if not _there(session, seconds, found):
                if _there(target.session, seconds, found):
                    raise refusal("Finishing it", "database %s is on another server there" % found["database"])
                return False
            try:
                session.execute(query, Deadline(seconds), gid=plan.gid)
            except SessionError as error:
                if error.sqlstate not in (_FINISHED, _BUSY):
                    raise
                return False
        return True

    def prove(self, target: Target, plan: Plan, done: bool) -> Change:
        found = _found(plan)
        seconds = target.deadline_seconds
        waited = wait_for(lambda: _there(target.session, seconds, found), lambda there: not there, seconds)
        if not waited.ok:
            raise UnprovenError(
                "%s is still there" % named(found),
                "Someone else may be finishing it; run this again.",
                details=dict(told(found), changed=done),
            )
        # Where somebody else was faster, it is not known what became of it.
        return plan.foreseen() if done else nothing(plan.gid)


def _found(plan: Plan) -> Mapping[str, Any]:
    if plan.found is None:  # an empty plan is not applied
        raise ValueError("there is no prepared transaction to finish")
    return plan.found


@contextlib.contextmanager
def _in_its_database(target: Target, found: Mapping[str, Any]) -> Iterator[Session]:
    if found["here"]:
        yield target.session
        return
    session = target.session.in_database(found["database"])
    try:
        yield session
    finally:
        with contextlib.suppress(Exception):
            session.close()


def _there(session: Session, seconds: float, found: Mapping[str, Any]) -> bool:
    """The very same one: its manager may have prepared another one under its name."""
    parameters = {"gid": found["gid"], "prepared": found["prepared"]}
    return bool(session.query(THERE, Deadline(seconds), **parameters))
