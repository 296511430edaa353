# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request to end, in the middle of a change: it becomes an exception, is not heard, or waits."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Any, Iterator, List, Optional

ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Interrupted(BaseException):
    """Asked to end in the middle of it, by the signal that it names."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within it the first SIGTERM, SIGHUP or SIGINT raises Interrupted; later ones do not disturb the clearing up."""

    def interrupt(number: int, _frame: Any) -> None:
        for each in ENDS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    with handling(interrupt):
        yield


class Requests:
    """The first request to end that came, by the name of its signal; nothing happens but where it is heeded."""

    def __init__(self) -> None:
        self.name: Optional[str] = None
        self._heeding = False

    def note(self, number: int, _frame: Any = None) -> None:
        self.name = self.name or signal.Signals(number).name
        if self._heeding:
            self._heeding = False
            raise Interrupted(self.name)

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Within it a request raises Interrupted; one that came before, at once."""
        try:
            self._heeding = True
            if self.name is not None:
                raise Interrupted(self.name)
            yield
        finally:
            self._heeding = False


@contextlib.contextmanager
def collected() -> Iterator[Requests]:
    """Within it a request to end only becomes known, however many come: what was begun is brought to its end."""
    requests = Requests()
    with handling(requests.note):
        yield requests


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Within it a request to end is not heard: what is being restored is restored to the end."""
    with handling(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """A request to end comes through when the block is left, not before."""
    came: List[int] = []
    try:
        with handling(lambda number, _frame: came.append(number)):
            yield
    finally:
        for number in came[:1]:
            os.kill(os.getpid(), number)


@contextlib.contextmanager
def handling(handler: Any) -> Iterator[None]:
    """``handler`` for the requests to end that are not ignored anyway."""
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield
        return
    heard = [number for number in ENDS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup's is not
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, each in before.items():
            signal.signal(number, each)
