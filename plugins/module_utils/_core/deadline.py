# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that is left: handed down to everything that waits."""

from __future__ import annotations

import time
from typing import Callable


class Deadline:
    """Counts down from ``seconds`` on a monotonic clock (injected by tests)."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self, at_most: float = float("inf")) -> float:
        """Seconds left, never below 0.01 (a socket's time-out of 0 means non-blocking), never above ``at_most``."""
        return max(0.01, min(at_most, self._end - self._clock()))

    def passed(self) -> bool:
        return self._clock() >= self._end

    def sooner(self, seconds: float) -> "Deadline":
        """A deadline of its own for one step: ``seconds`` from now, but never after this one."""
        return Deadline(self.left(seconds), self._clock)


def libpq_seconds(left: float, at_most: float) -> int:
    """``left`` as libpq's own programs take a time-out: whole seconds, and 2 at least (it takes 1 for 2)."""
    return max(2, int(min(left, at_most)))


def statement_milliseconds(left: float) -> int:
    """For ``statement_timeout``: the server gives up a little before we do, so that it says why and nothing is left."""
    return max(50, int(left * 1000 - min(500, left * 100)))
