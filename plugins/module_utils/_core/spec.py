# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An argument spec with the rules that belong to it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Dict, Tuple


@dataclass(frozen=True, eq=False)
class Spec:
    """An argument spec with the rules that belong to it. ``spec + spec`` merges both. Equal to itself alone."""

    options: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    required_if: Tuple[Tuple[str, Any, Tuple[str, ...]], ...] = ()
    mutually_exclusive: Tuple[Tuple[str, ...], ...] = ()

    def __add__(self, other: "Spec") -> "Spec":
        twice = sorted(set(self.options) & set(other.options))
        if twice:
            raise ValueError("options defined twice: %s" % ", ".join(twice))
        return Spec(
            {**self.options, **other.options},
            self.required_if + other.required_if,
            self.mutually_exclusive + other.mutually_exclusive,
        )

    def arguments(self) -> Dict[str, Any]:
        """Keyword arguments for AnsibleModule and ArgumentSpecValidator alike."""
        return {
            "argument_spec": copy.deepcopy(self.options),
            "required_if": [list(rule) for rule in self.required_if],
            "mutually_exclusive": [list(rule) for rule in self.mutually_exclusive],
        }
