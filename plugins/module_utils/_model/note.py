# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note of a restart or of a password reset in progress: whom it stops, when and why. It outlives whoever wrote it.

And what is said of those who are not back: the same words wherever it is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

LIVE = ("running", "restarting")


@dataclass(frozen=True)
class Noted:
    """A client's container. The times are the engine's, of before it was stopped: another start since then means that
    somebody else has seen to it. ``asked``: it was about to be asked to stop."""

    service: str
    name: str
    started_at: Optional[str] = None
    finished_at: Optional[str] = None
    asked: bool = False

    def left_stopped(self, state: str, started_at: Optional[str], finished_at: Optional[str]) -> bool:
        """Down because of the run that wrote this: asked to stop by it, and not started by anybody since.

        A container that was created and never started is one that it was recreating.
        """
        ended = state == "exited" and finished_at != self.finished_at and started_at == self.started_at
        return self.asked and (ended or state == "created")

    def still_ending(self, state: str, started_at: Optional[str]) -> bool:
        """Asked to stop, and neither ended nor started by anybody since."""
        return self.asked and state in LIVE and started_at == self.started_at


@dataclass(frozen=True)
class NotedRole:
    """A role whose password is being changed: it, ``files`` and its clients may have different ones meanwhile."""

    role: str
    begun_at: str
    files: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Note:
    written_at: str = ""  # UTC, ISO 8601
    why: str = ""
    clients: Tuple[Noted, ...] = ()
    roles: Tuple[NotedRole, ...] = ()


def still_stopped(name: str, engine: str) -> str:
    """``engine``: its command, docker or podman."""
    return "%s is STILL STOPPED: %s start %s" % (name, engine, name)


def may_be_stopped(name: str, engine: str) -> str:
    return "%s may be STILL STOPPED: %s start %s" % (name, engine, name)


def stops_later(name: str, engine: str) -> str:
    return "%s got its stop signal and WILL STOP LATER. When it has: %s start %s" % (name, engine, name)
