# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many sessions pool_reset and cancel_queries may end or cancel where nobody says more. Pure."""

from __future__ import annotations

from typing import Optional

MAX_SESSIONS = 1000


def exceeds(sessions: int, most: int = MAX_SESSIONS) -> bool:
    return sessions > most


def allowed(most: Optional[int], what: str) -> str:
    """What a printed command says of its ``oncall_max_sessions``; empty: it carries none."""
    return "; the command allows %s up to %d sessions" % (what, most) if most else ""
