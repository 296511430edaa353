# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request to end, in the middle of a change: it becomes an exception, is not heard, or waits."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Any, Iterator, List

_ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Interrupted(BaseException):
    """Asked to end in the middle of it, by the signal that it names."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within it the first SIGTERM, SIGHUP or SIGINT raises Interrupted; later ones do not disturb the clearing up."""

    def interrupt(number: int, _frame: Any) -> None:
        for each in _ENDS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    with _handling(interrupt):
        yield


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Within it a request to end is not heard: what is put back is put back to the end."""
    with _handling(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """A request to end comes through when the block is left, not before."""
    came: List[int] = []
    try:
        with _handling(lambda number, _frame: came.append(number)):
            yield
    finally:
        for number in came[:1]:
            os.kill(os.getpid(), number)


@contextlib.contextmanager
def _handling(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield
        return
    heard = [number for number in _ENDS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup's is not
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, each in before.items():
            signal.signal(number, each)
