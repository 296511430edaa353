# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work done in a process and a session of its own: no hang-up, no Ctrl-C and no signal to our group ends it with us."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import traceback
from typing import Any, Callable, NoReturn

from .errors import OncallError
from .interrupt import ENDS, handling


class LostError(Exception):
    """The process ended without an answer. ``how``: by which signal, or with which exit code."""

    def __init__(self, how: str) -> None:
        super().__init__("the process ended without an answer (%s)" % how)
        self.how = how


def apart(work: Callable[[], Any]) -> Any:
    """What ``work`` returns, or the OncallError that it raises. Requests to end are passed on to it; it decides.

    Whatever happens to this process meanwhile, ``work`` goes on to its end. It must open all that it needs itself: a
    connection, or a program that this process has started, may end with us.
    """
    reading, writing = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)  # nobody asks before there is someone to pass it on to
    try:
        child = os.fork()
        if child == 0:
            os.close(reading)
            _live_apart(work, writing, before)
        os.close(writing)
        with _Relay(child) as relay, os.fdopen(reading, "rb") as pipe:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            answer = pipe.read()
            relay.clear()
            _pid, status = os.waitpid(child, 0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if not answer:
        raise LostError(_how(status))
    kind, value = pickle.loads(answer)
    if kind == "value":
        return value
    if kind == "error":
        raise value
    raise RuntimeError(value)


class _Relay:
    def __init__(self, child: int) -> None:
        self._child, self._stack = child, contextlib.ExitStack()

    def __enter__(self) -> "_Relay":
        self._stack.enter_context(handling(self._pass_on))
        return self

    def __exit__(self, *_why: Any) -> None:
        self._stack.close()

    def clear(self) -> None:
        """It is ending; soon its number may be another's."""
        self._child = 0

    def _pass_on(self, number: int, _frame: Any) -> None:
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, number)


def _live_apart(work: Callable[[], Any], writing: int, mask: Any) -> NoReturn:
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):  # whoever waits for our parent's output does not wait for ours
            os.dup2(nothing, number)
        for each in ENDS:
            if signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, _deaf)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            answer = pickle.dumps(("value", work()))
        except OncallError as error:
            answer = pickle.dumps(("error", error))
        except BaseException:
            answer = pickle.dumps(("fault", traceback.format_exc()))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
    finally:
        os._exit(0)  # nothing that our parent has begun is finished by us: no buffer, no handler at exit


def _deaf(_number: int, _frame: Any) -> None:
    """Not ignored: then it would not be heard within ``work`` either (``interrupt.handling``)."""


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return "exit code %d" % os.WEXITSTATUS(status)
