# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``evidence_info``: what is kept before anything is changed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping

from .._gather.evidence.look import look
from .work import opened

if TYPE_CHECKING:
    from .._core.spec import Spec


@dataclass(frozen=True)
class Evidence:
    """See ``Work``."""

    spec: Spec

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        started = time.monotonic()
        with opened(options) as target:
            known, facts, missing, elapsed_ms = look(target, set(_secrets(options, self.spec.options)))
        return {
            "changed": False,
            "target": known,
            "evidence": facts,
            "evidence_packed": None,
            "not_covered": missing,
            "elapsed_ms": dict(elapsed_ms, total=round((time.monotonic() - started) * 1000, 1)),
        }


def _secrets(options: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    """The values of the options that are not to be logged."""
    for name, rule in spec.items():
        value = options.get(name)
        if rule.get("no_log") and value:
            yield str(value)
        elif "options" in rule:
            for each in value if isinstance(value, list) else [value or {}]:
                yield from _secrets(each, rule["options"])
