# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request to end becomes an exception, so that what was begun can be put back."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Any, Iterator

_ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Interrupted(BaseException):
    """Asked to end in the middle of it, by the signal that it names."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within it the first SIGTERM, SIGHUP or SIGINT raises Interrupted; later ones do not disturb the clearing up."""
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield
        return

    def interrupt(number: int, _frame: Any) -> None:
        for each in _ENDS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in _ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
