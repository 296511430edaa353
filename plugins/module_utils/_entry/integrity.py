# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``integrity_info``: is the data whole, as far as that can be told without touching it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict

from .._core.errors import OptionsError
from .._gather.integrity.gather import Wanted, gather, silent
from .._judge.integrity.grade import grade
from .._judge.integrity.rebuild import remedies
from .baseline import compare
from .target import SAY
from .work import opened

if TYPE_CHECKING:
    from .._core.spec import Spec

_COMPARING = 0.4  # of the time: to read the data itself takes longer


@dataclass(frozen=True)
class Integrity:
    """See ``Work``."""

    spec: Spec

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        if options["jobs"] < 1:
            raise OptionsError("jobs must be at least 1")
        if options["backup_hours"] <= 0:
            raise OptionsError("backup_hours must be above 0")
        if options["check_seconds"] <= 0:
            raise OptionsError("check_seconds must be above 0")
        if not 0 < options["sequence_percent"] <= 100:
            raise OptionsError("sequence_percent must be above 0 and at most 100")
        if options["tolerance_percent"] < 0:
            raise OptionsError("tolerance_percent must be at least 0")
        say = options.get(SAY) or silent
        started = time.monotonic()
        with opened(options) as target:
            say("comparing with the baseline")
            compared = compare(target, options["baseline"], options, options["check_seconds"] * _COMPARING)
            took = time.monotonic() - started
            wanted = Wanted(
                options["databases"],
                max(1.0, options["check_seconds"] - took),
                options["jobs"],
                options["sequence_percent"],
                options["backup_file"],
                say,
            )
            known, facts, elapsed_ms = gather(target, wanted, compared)
            found = grade(
                facts,
                target.thresholds,
                remedies(facts, known, target.playbook_options),
                options["backup_hours"],
            )
        total = round((time.monotonic() - started) * 1000, 1)
        return {
            "changed": False,
            "target": known["target"],
            **found,
            "integrity": facts,
            "elapsed_ms": dict(elapsed_ms, baseline=round(took * 1000, 1), total=total),
        }
