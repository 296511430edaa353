# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every procedure is: read, plan, apply, prove; and the one runner for check mode and the real run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ContextManager, Dict, Mapping, Optional, Protocol, TypeVar

from .._core.errors import AnotherServerError, OncallError, RefusedError
from .._gather.naming import naming

if TYPE_CHECKING:
    from .._gather.target import Target

Options = Mapping[str, Any]  # of the module, validated by its spec


@dataclass(frozen=True)
class Change:
    """What a module that changes something returns.

    ``before`` and ``after`` come from the same plan in check mode and in the real run; they are the diff.
    ``details`` are the module's other return values.
    """

    changed: bool
    before: Dict[str, Any] = field(default_factory=dict)
    after: Dict[str, Any] = field(default_factory=dict)
    details: Dict[str, Any] = field(default_factory=dict)

    def result(self) -> Dict[str, Any]:
        return dict(self.details, changed=self.changed, diff={"before": self.before, "after": self.after})


class Plan(Protocol):
    """What is to be done, decided from what was read. ``empty``: all is as asked, nothing is to be done."""

    @property
    def empty(self) -> bool: ...

    def foreseen(self) -> Change:
        """What check mode returns, and the real run of an empty plan: the result as far as the plan tells it."""


State = TypeVar("State")
Planned = TypeVar("Planned", bound=Plan)
Done = TypeVar("Done")


class Procedure(Protocol[State, Planned, Done]):
    """One procedure. ``read`` and ``apply`` do I/O, ``plan`` does none (it is the folder's plan.py).

    Raises RefusedError from ``read`` or ``plan`` while nothing has been touched; UnprovenError from ``apply`` or
    ``prove`` with all that was done (``details``: the result's keys, ``changed`` among them).
    """

    def read(self, target: Target, options: Options) -> State: ...

    def plan(self, state: State, options: Options) -> Planned: ...

    def apply(self, target: Target, plan: Planned) -> Done:
        """Not called in check mode, nor for an empty plan."""

    def prove(self, target: Target, plan: Planned, done: Done) -> Change: ...


def carry_out(
    procedure: "Procedure[State, Planned, Done]",
    target: Target,
    options: Options,
    check_mode: bool,
    looking: Optional[ContextManager[Any]] = None,
) -> Change:
    """The only way that a procedure runs: the same reading and the same plan in check mode and for real.

    ``looking``: around all that touches nothing.
    """
    with looking or contextlib.nullcontext():
        try:
            with naming(target):
                plan = procedure.plan(procedure.read(target, options), options)
        except AnotherServerError as error:
            raise RefusedError(error.msg[0].upper() + error.msg[1:], error.hint) from None
    if check_mode or plan.empty:
        return plan.foreseen()
    try:
        return procedure.prove(target, plan, procedure.apply(target, plan))
    except OncallError as error:
        error.touched = error.touched or not isinstance(error, RefusedError)
        raise
