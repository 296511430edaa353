# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a fact instead of sleeping: ask, look at the answer, ask again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Waited(Generic[T]):
    """Whether the predicate held in the end, what was seen last, and how long it took."""

    ok: bool
    last: T
    elapsed_seconds: float


def wait_for(
    observe: Callable[[], T],
    holds: Callable[[T], bool],
    timeout_seconds: float,
    every_seconds: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited[T]:
    """Observe until ``holds`` says yes or the time is up; observes at least once, and once more at the very end."""
    start = clock()
    while True:
        last = observe()
        elapsed = clock() - start
        if holds(last):
            return Waited(True, last, elapsed)
        if elapsed >= timeout_seconds:
            return Waited(False, last, elapsed)
        sleep(max(0.0, min(every_seconds, timeout_seconds - elapsed)))
