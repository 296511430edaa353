# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that goes on to its end whatever becomes of whoever started it, and is put right by them if it is killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Protocol

from .._core.apart import LostError, apart
from .._core.errors import RefusedError
from .._core.interrupt import Interrupted, collected
from .._core.spec import Spec
from .._gather.target import Target
from .._procedures.procedure import Change, Options, Procedure, carry_out
from .work import opened


class Recovering(Procedure[Any, Any, Any], Protocol):
    def recover(self, target: Target, options: Options, how: str) -> Change:
        """Put right what a process that was killed (``how``) has left. Raises UnprovenError with what was done."""


@dataclass(frozen=True)
class Surviving:
    """``procedure`` in a process of its own on the target that the options describe."""

    spec: Spec
    procedure: Recovering

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        if check_mode:
            return self._carry_out(options, True)
        try:
            result: Dict[str, Any] = apart(lambda: self._carry_out(options, False))
            return result
        except LostError as lost:
            with opened(options) as target:
                return self.procedure.recover(target, options, lost.how).result()

    def _carry_out(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        with collected() as requests:
            try:
                with opened(options) as target:
                    return carry_out(self.procedure, target, options, check_mode, requests.heeded()).result()
            except Interrupted as interrupted:
                raise RefusedError("Interrupted (%s) before anything was changed" % interrupted) from None
