# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a prepared transaction may be finished: the one rule for triage and for rollback_prepared. Pure."""

from __future__ import annotations

from typing import Any, Mapping, Optional

STANDBY, TOO_YOUNG, NOT_OURS = "standby", "too young", "not ours"


def refused(found: Mapping[str, Any], in_recovery: bool, min_age_seconds: float) -> Optional[str]:
    """Why not; ``found``: its age_seconds, and whether it is ``ours`` to finish."""
    if in_recovery:
        return STANDBY
    if found["age_seconds"] < min_age_seconds:
        return TOO_YOUNG
    return None if found["ours"] else NOT_OURS
