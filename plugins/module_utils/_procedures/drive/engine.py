# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers started, stopped and signalled by their engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Union

from ..._core.errors import DeadlineError
from ..._gather.runtime.compose import containers
from ..._gather.runtime.compose.api import EngineError

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._gather.runtime.compose.engine import Engine

_YOUNG_SECONDS = 15.0
_AGAIN_SECONDS = 5.0
# Podman sends SIGKILL when this is over: 31 years. Ten times as long overflows its clock, and is over at once.
_NEVER_SECONDS = 1000000000


def start(engine: Engine, container: str, deadline: Deadline) -> None:
    """Start an existing container; nothing happens to one that runs."""
    engine.request("POST", "/containers/%s/start" % container, deadline)


def stop(engine: Engine, container: str, deadline: Deadline) -> None:
    """Ask a container to end by its own stop signal, and wait until it has. Its restart policy stays quiet.

    One that has only just been started is asked more than once: as process 1 a program that has no handler yet, being
    busy loading, never hears the signal. DeadlineError: it is still ending, or takes no notice.
    """
    inspected = engine.inspect(container, deadline)
    uptime = containers.lifecycle(inspected, engine.now())["uptime_seconds"] or 0.0
    number = inspected["Config"].get("StopSignal") or "SIGTERM"
    while True:
        try:
            ask(engine, container, number, deadline.sooner(_AGAIN_SECONDS) if uptime < _YOUNG_SECONDS else deadline)
            _wait(engine, container, deadline.sooner(_AGAIN_SECONDS) if uptime < _YOUNG_SECONDS else deadline)
            return
        except DeadlineError:
            if deadline.passed():
                raise DeadlineError("%s did not finish in time" % inspected["Name"].lstrip("/")) from None
            uptime += _AGAIN_SECONDS


def ask(engine: Engine, container: str, signal: Union[str, int], deadline: Deadline) -> None:
    """Ask a container to end by ``signal``, its own stop signal, so that no restart policy brings it back.

    Docker takes the signal by "kill" for that and answers at once. Podman's "kill" leaves the restart policy on; its
    "stop" does not, and answers when the container has ended. Hung up on (DeadlineError), it goes on waiting.
    """
    if engine.command == "podman":
        engine.request("POST", "/containers/%s/stop" % container, deadline, t=_NEVER_SECONDS)
    else:
        send(engine, container, signal, deadline)


def send(engine: Engine, container: str, signal: Union[str, int], deadline: Deadline) -> None:
    """Send a signal to a container's first process, if it has not ended meanwhile.

    By the engine's "kill", which ends Docker's containers too when they get their own stop signal, never by Docker's
    "stop", which is made to end in SIGKILL (in engines 23.0 to 24.0.2 even when whoever asked hangs up). Nothing of
    ours is left behind that still waits.
    """
    try:
        engine.request("POST", "/containers/%s/kill" % container, deadline, signal=signal)
    except EngineError as error:
        if error.status != 409:  # it has ended since we looked
            raise


def _wait(engine: Engine, container: str, deadline: Deadline) -> None:
    while engine.inspect(container, deadline)["State"]["Status"] in ("running", "paused", "restarting"):
        if deadline.passed():
            raise DeadlineError("It is still running")
        time.sleep(deadline.left(0.1))
