# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that wait, run beside each other: each in its own thread, none longer than the deadline."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Tuple

from .errors import DeadlineError
from .text import duration

if TYPE_CHECKING:
    from .deadline import Deadline


@dataclass
class Outcome:
    """What each step brought (``values``), or why it brought nothing (``errors``), and how long it took."""

    values: Dict[str, Any] = field(default_factory=dict)
    errors: Dict[str, Exception] = field(default_factory=dict)
    elapsed_ms: Dict[str, float] = field(default_factory=dict)


def side_by_side(steps: Mapping[str, Callable[[], Any]], deadline: Deadline) -> Outcome:
    """Run all steps; return when the last one is done or the deadline has passed, whichever comes first.

    A step that outlives the deadline is reported as DeadlineError and left behind in a daemon thread: it holds no
    lock of ours, and everything it waits for has a time-out of its own.
    """
    outcome = Outcome()
    done: "queue.Queue[Tuple[str, Any, Any, float]]" = queue.Queue()

    def work(name: str, step: Callable[[], Any]) -> None:
        start = time.monotonic()
        value, error = None, None
        try:
            value = step()
        except Exception as raised:  # whatever it is, the other steps' answers must not be lost
            error = raised
        done.put((name, value, error, (time.monotonic() - start) * 1000))

    for name, step in steps.items():
        threading.Thread(target=work, args=(name, step), name=name, daemon=True).start()
    started = time.monotonic()
    missing = dict.fromkeys(steps)
    while missing:
        try:
            name, value, error, elapsed_ms = done.get(timeout=deadline.left())
        except queue.Empty:
            break
        del missing[name]
        outcome.elapsed_ms[name] = round(elapsed_ms, 1)
        if error is None:
            outcome.values[name] = value
        else:
            outcome.errors[name] = error
    for name in missing:
        waited = time.monotonic() - started
        outcome.elapsed_ms[name] = round(waited * 1000, 1)
        outcome.errors[name] = DeadlineError("%s: no answer within %s" % (name, duration(waited)))
    return outcome
