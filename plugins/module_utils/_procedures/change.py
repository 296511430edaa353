# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module that changes something gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict


@dataclass(frozen=True)
class Change:
    """``before`` and ``after`` come from the same plan in check mode and in the real run; they are the diff.

    ``details`` are the module's other return values.
    """

    changed: bool
    before: Dict[str, Any] = field(default_factory=dict)
    after: Dict[str, Any] = field(default_factory=dict)
    details: Dict[str, Any] = field(default_factory=dict)

    def result(self) -> Dict[str, Any]:
        return dict(self.details, changed=self.changed, diff={"before": self.before, "after": self.after})
