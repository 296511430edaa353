# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verb's module, with the verb's variables, in the place of all modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

from .action import ActionModule as TargetAction
from .action import failed
from .variables import of_verb

if TYPE_CHECKING:
    from ...module_utils._model.verb import Row


class VerbAction(TargetAction):
    def of_row(
        self, verb: str, row: Row, arguments: Mapping[str, Any], named: Mapping[str, Any], variables: Dict[str, Any]
    ) -> Dict[str, Any]:
        """``named``: variables that win over those of the host."""
        mine = {each.variable for each in row.variables}
        strange = sorted(set(named) - mine)
        if strange:
            return failed("%s has no variable %s." % (verb, ", ".join(strange)))
        given = {name: self._templar.template(variables[name]) for name in mine if name in variables}
        options, problems = of_verb(verb, {**given, **named})
        if problems:
            return failed(" ".join(each.text for each in problems))
        return self.carry_out(row.module, {**arguments, **row.fixed, **options}, variables)
