# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note of a restart in progress: whom it stops, when and why. It outlives whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple


@dataclass(frozen=True)
class Noted:
    """A client's container. The times are the engine's, of before it was stopped: another start since then means that
    somebody else has seen to it. ``asked``: it was about to be asked to stop."""

    service: str
    name: str
    started_at: Optional[str] = None
    finished_at: Optional[str] = None
    asked: bool = False


@dataclass(frozen=True)
class Note:
    written_at: str = ""  # UTC, ISO 8601
    why: str = ""
    clients: Tuple[Noted, ...] = ()
