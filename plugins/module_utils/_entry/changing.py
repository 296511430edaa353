# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that changes something. Apart from ``work``: what only looks ships nothing of the procedures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict

from .._core import once  # noqa: F401  # pylint: disable=unused-import  # first: what follows is compiled once
from .._core.spec import Spec
from .._procedures.procedure import Procedure, carry_out
from .work import opened


@dataclass(frozen=True)
class Changing:
    """``procedure`` on the target that the options describe."""

    spec: Spec
    procedure: Procedure[Any, Any, Any]

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        with opened(options) as target:
            return carry_out(self.procedure, target, options, check_mode).result()
