# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module on a host whose run is over: it ends, and clears up as after any other end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from typing import Any, Iterator

from .interrupt import ENDS, handling

_OUT = 1  # standard output
_TURN_MS = 500


@contextlib.contextmanager
def leaving(watched: bool) -> Iterator[None]:
    """Within it a request to end raises SystemExit. Without, Ansible's directory of the module stays in /tmp.

    ``watched``: that nobody reads standard output any more is such a request. Over SSH without a terminal (pipelining)
    no signal tells that the line was cut or the run interrupted.
    """

    def leave(number: int, _frame: Any) -> None:
        for each in ENDS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    over = threading.Event()
    with handling(leave):
        if watched:
            threading.Thread(target=_watch, args=(over,), daemon=True).start()
        try:
            yield
        finally:
            over.set()


def _watch(over: threading.Event) -> None:
    poll = select.poll()
    poll.register(_OUT, 0)  # no event asked for: that the other end is gone is told always
    while not over.is_set():
        if poll.poll(_TURN_MS) and not over.is_set():
            os.kill(os.getpid(), signal.SIGHUP)
            return
