# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests: what they start hears signals, however they were started themselves.

``nohup`` ignores SIGHUP, a shell ignores SIGINT and SIGQUIT in what it puts in the background, and every child inherits
that. Tests send those signals. With a handler that does nothing this process goes on ignoring what it was told to
ignore (a run under ``nohup`` outlives its terminal), while each program that it starts gets the default back.
SIGPIPE needs no care: ``subprocess`` restores it. SIGTERM ends a run as Ctrl-C does: what the tests started is taken
down.
"""

from __future__ import annotations

import signal
from typing import Any


def _ignore(_number: int, _frame: Any) -> None: ...


def _end(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, _ignore)
    elif number == signal.SIGTERM:
        signal.signal(number, _end)
