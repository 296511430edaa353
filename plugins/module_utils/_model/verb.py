# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verb of ours, in one row: its module, its variables, and what it does to clients meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple

from .._core.spec import Spec


@dataclass(frozen=True)
class Variable:
    """A variable of a verb's playbook. Its type, choices and default are those of the module's ``option``.

    ``name``: without ``oncall_``, where it is not the option's. ``default``: in words, where the option has none.
    ``permission``: only a person gives it; ``respond`` does not take it from a verdict.
    """

    option: str
    about: str
    name: str = ""
    default: str = ""
    permission: bool = False

    @property
    def variable(self) -> str:
        return "oncall_%s" % (self.name or self.option)


@dataclass(frozen=True)
class Row:
    """``options``: the module's own; ``fixed``: those that the verb sets. ``cuts_off``: clients lose their connections
    meanwhile, so one host comes after the other. ``undo``: how what it did is undone; empty: it only looks."""

    module: str
    about: str
    options: Spec
    variables: Tuple[Variable, ...]
    undo: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    cuts_off: bool = False

    def variable(self, name: str) -> Optional[Variable]:
        return next((each for each in self.variables if each.variable == name), None)

    def spec(self) -> Spec:
        """The variables by their own names, typed as the module's options are."""
        rules = {each.variable: self.options.options[each.option] for each in self.variables}
        return Spec(rules)
