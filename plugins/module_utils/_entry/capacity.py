# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``capacity_info``: what a server has to work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from .._gather.capacity.capacity import capacity

if TYPE_CHECKING:
    from .._core.deadline import Deadline
    from .._gather.target import Target


def capacity_info(target: Target, options: Dict[str, Any], deadline: Deadline) -> Dict[str, Any]:
    found, missing = capacity(target, deadline)
    return {"capacity": found, "not_covered": missing}
