# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``monitoring_role``: the role that monitoring logs in with."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Mapping, Optional

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, OptionsError, UnprovenError
from ..._core.spec import Spec
from ..._gather.session.bind import identifier
from ..credentials.scram import make_verifier
from ..credentials.sql import SET_VERIFIER
from ..pooler import refuse_pooled
from ..procedure import Change, Options
from .plan import CREATE, DROP, MARK, PASSWORD, PLAIN, POWERLESS, Plan, decide
from .sql import COMMENT, GRANT, LOOK, VERIFIER, plain
from .sql import CREATE as CREATE_ROLE
from .sql import DROP as DROP_ROLE
from .sql import POWERLESS as TAKE_POWERS

if TYPE_CHECKING:
    from ..._gather.target import Target

OPTIONS = Spec(
    {
        "role": {"type": "str", "default": "oncall_monitor"},
        "password": {"type": "str", "no_log": True},
        "connection_limit": {"type": "int", "default": 2},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
)


@dataclass(frozen=True)
class _Seen:
    row: Mapping[str, Any]
    verifier: Optional[str] = field(repr=False)


@dataclass(frozen=True)
class _Job:
    plan: Plan
    options: Options = field(repr=False)

    @property
    def empty(self) -> bool:
        return self.plan.empty

    def foreseen(self) -> Change:
        return self.plan.foreseen()


class MonitoringRole:
    """Done is nothing: what stands is read again."""

    def read(self, target: Target, options: Options) -> _Seen:
        if options["connection_limit"] < 1:
            raise OptionsError("connection_limit must be at least 1")
        deadline = Deadline(target.deadline_seconds)
        row = target.session.query(LOOK, deadline, role=options["role"])[0]
        refuse_pooled(target, "monitoring_role", "what is made there may be another server's")
        verifier = None
        if row["role"] is not None and row["reads_verifiers"]:
            verifier = target.session.query(VERIFIER, deadline, role=options["role"])[0]["verifier"]
        return _Seen(row, verifier)

    def plan(self, state: _Seen, options: Options) -> _Job:
        return _Job(_decide(state, options), options)

    def apply(self, target: Target, plan: _Job) -> None:
        role = identifier(plan.plan.role)
        steps = plan.plan.steps

        def run(query: Any, **params: Any) -> None:
            target.session.execute(query, Deadline(target.deadline_seconds), role=role, **params)

        if DROP in steps:
            run(DROP_ROLE)
            return
        try:
            if CREATE in steps:
                run(CREATE_ROLE)
                run(COMMENT, mark=MARK)
            if PLAIN in steps:
                run(plain(plan.plan.limit))
            if POWERLESS in steps:
                run(TAKE_POWERS)
            for membership in plan.plan.memberships:
                run(GRANT, membership=identifier(membership))
            if PASSWORD in steps:
                run(SET_VERIFIER, verifier=make_verifier(plan.options["password"], plan.plan.iterations))
        except OncallError as error:
            undone = False
            if CREATE in steps:
                with contextlib.suppress(OncallError):
                    run(DROP_ROLE)
                    undone = True
            raise UnprovenError(
                "Role %s could not be made as asked: %s" % (plan.plan.role, error.msg),
                "It was dropped again." if undone else "Run this again once that is mended.",
                sqlstate=error.sqlstate,
                details={"changed": not undone},
            ) from error

    def prove(self, target: Target, plan: _Job, done: None) -> Change:
        left = _decide(self.read(target, plan.options), plan.options).steps
        if left:
            raise UnprovenError(
                "Role %s is not as asked after the change: %s" % (plan.plan.role, ", ".join(left)),
                "Somebody else may be changing it; run this again.",
                details={"changed": True},
            )
        return plan.foreseen()


def _decide(state: _Seen, options: Options) -> Plan:
    return decide(
        state.row,
        state.verifier,
        options["role"],
        options["password"],
        options["connection_limit"],
        options["state"] == "absent",
    )
