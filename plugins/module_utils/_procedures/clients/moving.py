# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of clients asked to end, started, and waited for; each one's record says what came of it."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Sequence

from ..._core.deadline import Deadline
from ..._core.errors import DeadlineError, OncallError
from ..._core.interrupt import Interrupted, Requests
from ..._core.side_by_side import side_by_side
from ..._core.wait import wait_for
from ..._gather.runtime.compose.api import EngineError
from ..._model.note import LIVE
from .back import Back, Waiter
from .plan import Groups, Order, Record, Seen, flat

if TYPE_CHECKING:
    from ..._gather.target import Target
    from ..drive.base import Container

_MARGIN_SECONDS = 5  # for the engine's answer after a step's own time is up
_AGAIN_SECONDS = 0.5
_LEAST_ATTEMPTS = 3  # to start a client that was stopped, however little patience was asked for


def look(containers: Sequence[Container], deadline: Deadline) -> Sequence[Seen]:
    lives = [(one, one.look(deadline)) for one in containers]
    return [Seen(one.service, one.name, life.state, life.started_at, life.finished_at) for one, life in lives]


class Moving:
    """``rows``: a record for each container, which is kept up to date.

    ``asking`` is told the names of those that are going to be asked to end, before they are; ``running`` the name of
    each that has been started. Both may be called from any thread.
    """

    def __init__(
        self,
        target: Target,
        containers: Mapping[str, Container],
        rows: Mapping[str, Record],
        grace_seconds: float,
        patience_seconds: float,
        asking: Callable[[Sequence[str]], None] = lambda names: None,
        running: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._target, self._containers, self.rows = target, containers, rows
        self._grace, self._patience = grace_seconds, patience_seconds
        self._asking, self._running = asking, running
        self._waiter = Waiter(target, {option.service: option for option in target.clients})
        self._since: Dict[str, Optional[str]] = {}  # the server's time when they were started
        self._began: Dict[str, float] = {}
        self._left_to_end, self._patient = False, True
        self._gate = threading.Lock()
        self._stubborn = max(patience_seconds, _LEAST_ATTEMPTS * target.deadline_seconds)  # until they are started

    # --- down --------------------------------------------------------------------------------------------------------

    def stop(self, groups: Groups) -> bool:
        """Service by service, and no further when one does not end: no other is stopped then.

        True: all have ended.
        """
        for group in groups:
            self._asking(group)
            outcome = side_by_side(
                {name: functools.partial(self._stop_one, name) for name in group},
                Deadline(self._grace + _MARGIN_SECONDS),
            )
            self._note(outcome.errors)
            failed = [name for name in group if self.rows[name]["error"]]
            if failed:
                for name in flat(groups):
                    if not self.rows[name]["asked"]:
                        self.rows[name]["error"] = "left running, because of %s" % " and ".join(failed)
                return False
        return True

    def _stop_one(self, name: str) -> None:
        container, row, begin = self._containers[name], self.rows[name], time.monotonic()
        with self._gate:
            if self._left_to_end:
                return
            row["asked"] = True
        try:
            container.stop(Deadline(self._grace))
            state = container.look(Deadline(_MARGIN_SECONDS)).state
        except DeadlineError:
            state = container.look(Deadline(_MARGIN_SECONDS)).state
        if self._left_to_end:  # the stop was interrupted meanwhile: somebody else sees to this one
            return
        row.update(after=state, stopped=state not in LIVE, stop_seconds=round(time.monotonic() - begin, 3))
        if state in LIVE:
            row["error"] = (
                "did not end within %.0f s of its stop signal, and was not killed; the engine will not start it again "
                "once it has ended" % self._grace
            )

    # --- up ----------------------------------------------------------------------------------------------------------

    def put_back(self, order: Order, requests: Requests, wait: bool = True) -> None:
        """Start whoever of ``order`` is down, service by service, and wait until they are connected, each service
        before the next one is started. Those that end late are started when they have ended.

        A request to end makes it wait for nobody any more, as without ``wait``; they are all started nevertheless.
        """
        self._patient = wait
        with self._gate:  # from now on nobody is asked to end any more
            self._left_to_end = True
        start, stop = set(flat(order.start)), set(flat(order.stop))
        late: List[str] = []
        for group in order.wait:
            asked = [name for name in group if self.rows[name]["asked"]]
            ending = [name for name in asked if not self._ended(name)]
            late += ending
            down = [name for name in group if name in start and (name in asked or name not in stop)]
            down = [name for name in down if name not in ending]
            self._start(down)
            self._wait([name for name in group if name in down or name not in start], requests)
        if late:
            deadline = Deadline(self._patience)
            side_by_side(
                {name: functools.partial(self._see_end, name, deadline) for name in late},
                Deadline(self._patience + self._target.deadline_seconds + _MARGIN_SECONDS),
            )
            ended = [name for name in late if self.rows[name]["stopped"]]
            self._start(ended)
            self._wait(ended, requests)
        for name in start:
            if self.rows[name]["started"] and self.rows[name]["seconds"] is None:
                self._glance(name)

    def _ended(self, name: str) -> bool:
        """False also where it is unknown."""
        row = self.rows[name]
        try:
            row["after"] = self._containers[name].look(Deadline(self._target.deadline_seconds)).state
        except OncallError:
            return bool(row["stopped"])
        row["stopped"] = row["after"] not in LIVE
        return bool(row["stopped"])

    def _see_end(self, name: str, deadline: Deadline) -> None:
        wait_for(lambda: self._ended(name), bool, deadline.left(), 0.1)

    def _start(self, names: Sequence[str]) -> None:
        """Side by side; an engine that says nothing for a while, or refuses, is asked again."""
        clock = self._waiter.clock() if names else None
        self._since.update(dict.fromkeys(names, clock))
        deadline = Deadline(self._stubborn)
        outcome = side_by_side(
            {name: functools.partial(self._start_one, name, deadline) for name in names},
            Deadline(self._stubborn + self._target.deadline_seconds + _MARGIN_SECONDS),
        )
        self._note(outcome.errors)

    def _start_one(self, name: str, deadline: Deadline) -> None:
        container, row = self._containers[name], self.rows[name]
        refusals = 0
        while True:
            self._began[name] = time.monotonic()
            try:
                container.start(Deadline(self._target.deadline_seconds))
                break
            except EngineError as error:
                refusals += error.status >= 400
                if refusals == _LEAST_ATTEMPTS or deadline.passed():
                    raise
            except OncallError:
                if deadline.passed():
                    raise
            time.sleep(_AGAIN_SECONDS)
        row.update(started=True, after="running", error=None)
        self._running(name)

    def _glance(self, name: str) -> None:
        """At one that was not waited for."""
        with contextlib.suppress(OncallError):
            life = self._containers[name].look(Deadline(self._target.deadline_seconds))
            self.rows[name]["after"] = life.state
            if life.state not in LIVE:
                self.rows[name]["error"] = "it ended again with exit code %s" % life.exit_code

    def _wait(self, names: Sequence[str], requests: Requests) -> None:
        if not self._patient:
            return
        try:
            with requests.heeded():
                outcome = side_by_side(
                    {name: functools.partial(self._wait_one, name) for name in names if not self.rows[name]["error"]},
                    Deadline(self._patience + _MARGIN_SECONDS),
                )
                self._note(outcome.errors)
        except Interrupted:
            pass

    def _wait_one(self, name: str) -> None:
        row, begin = self.rows[name], self._began.get(name, time.monotonic())
        back: Back = self._waiter.wait(self._containers[name], self._since.get(name), self._patience)
        row["seconds"] = round(time.monotonic() - begin, 3)
        row["after"], row["error"] = back.state, back.error
        row["health"], row["health_page"], row["sessions"] = back.health, back.page, back.sessions

    def _note(self, errors: Mapping[str, Exception]) -> None:
        for name, error in errors.items():
            self.rows[name]["error"] = str(error)
