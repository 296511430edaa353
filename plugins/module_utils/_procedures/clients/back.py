# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a client that is to come back: it runs, it says it is healthy, its sessions are there."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Callable, List, Mapping, Optional, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import DeadlineError, OncallError
from ..._core.wait import wait_for
from ..._gather.client.health import check_health
from ..._gather.sql.clients import CLOCK, SESSIONS

if TYPE_CHECKING:
    from ..._gather.runtime.base import ClientOption
    from ..._gather.target import Target
    from ..._model.facts import Health
    from ..drive.base import Container, Life

_ENDED = ("exited", "dead", "created", "missing", "paused")
_STEP_SECONDS = 10.0  # for one look, one page, one question
_LEAST_SECONDS = 1.0  # for the last one, which would else be cut short and tell nothing
_SETTLED_SECONDS = 3.0
_EAGER_SECONDS = 10.0  # whoever connects at its start has done so by then


@dataclass(frozen=True)
class Back:
    """What was found of a client in the end; ``error`` says what is still missing."""

    state: str = "unknown"
    health: Optional[str] = None
    page: Optional[Health] = None
    sessions: Optional[int] = None
    error: Optional[str] = None


Step = Callable[[Back, Deadline], Back]  # looks once; its ``error`` is why to go on waiting


class Waiter:
    """For the clients of one target. Safe to share between threads."""

    def __init__(self, target: Target, declared: Mapping[str, ClientOption]) -> None:
        self._target, self._declared = target, declared
        self._lock = threading.Lock()

    def clock(self) -> Optional[str]:
        """The server's time, None when it cannot be asked."""
        if not any(option.application_name for option in self._declared.values()):
            return None
        try:
            with self._lock:
                rows = self._target.session.query(CLOCK, Deadline(self._target.connect_timeout_seconds))
            return str(rows[0]["now"])
        except OncallError:
            return None

    def wait(self, container: Container, since: Optional[str], timeout_seconds: float) -> Back:
        """Until it runs, its own health check passes, its page says so, and it has a session begun after ``since``.

        One that connects only when it has work to do: a login with its settings, from its place, shows that it could.
        """
        option = self._declared[container.service]
        steps = [_runs(container)]
        if option.health_url:  # before its health check: to ask for a page costs it less than a program does
            url = option.health_url
            steps.append(_page(lambda deadline: container.page(url, deadline)))
        steps.append(_check(container))
        if option.application_name:
            steps.append(self._sessions(option.application_name, since, container.name))
        back = _through(steps, Deadline(timeout_seconds), timeout_seconds, _alive(container))
        if back.error is None and back.health is None and len(steps) == 2:  # nothing but that it runs was proved
            return _through([_settled(container, back)], Deadline(timeout_seconds), timeout_seconds, _alive(container))
        return back

    def wait_here(self, service: str, timeout_seconds: float) -> Back:
        """A client that is no container: its page as seen from this host, and its sessions."""
        option = self._declared[service]
        steps: List[Step] = []
        if option.health_url:
            url = option.health_url
            steps.append(_page(lambda deadline: check_health(url, None, deadline)))
        if option.application_name:
            steps.append(self._sessions(option.application_name, None, service))
        return _through(steps, Deadline(timeout_seconds), timeout_seconds, lambda: None)

    def _sessions(self, application: str, since: Optional[str], name: str) -> Step:
        begin = time.monotonic()

        def step(back: Back, deadline: Deadline) -> Back:
            with self._lock:
                rows = self._target.session.query(SESSIONS, deadline, application=application, since=since)
            count = int(rows[0]["sessions"])
            if count or (time.monotonic() - begin >= _EAGER_SECONDS and self._logs_in(application, name, deadline)):
                return replace(back, sessions=count, error=None)
            error = "the server has no%s session of %s" % (" new" if since else "", application)
            return replace(back, sessions=count, error=error)

        return step

    def _logs_in(self, application: str, name: str, deadline: Deadline) -> bool:
        """``name``: its container's, or its service's where it has none."""
        with self._lock:
            self._target.runtime.forget()
            clients = [one for one in self._target.runtime.clients() if one.application_name == application]
        for facts in (one.examine(deadline) for one in clients):
            if name in (facts["name"], facts["service"]) and facts["attempt"] and facts["attempt"]["succeeded"]:
                return True
        return False


def _through(steps: List[Step], deadline: Deadline, patience: float, ended: Callable[[], Optional[Back]]) -> Back:
    """One step after the other; the first that does not hold in time, or a container that has ended, is the end."""
    back = Back()
    for step in steps:
        observe = partial(_observe, step, back, [], deadline, ended)
        waited = wait_for(observe, lambda seen: seen[0].error is None or seen[1] is not None, deadline.left(), 0.2)
        back, gone = waited.last
        if gone is not None:
            return replace(back, state=gone.state, error=gone.error)
        if back.error is not None:
            return replace(back, error="not back within %.0f s: %s" % (patience, back.error))
    return back


def _alive(container: Container) -> Callable[[], Optional[Back]]:
    """Says why waiting is in vain once it has ended for good."""

    def ended() -> Optional[Back]:
        try:
            life = container.look(Deadline(_STEP_SECONDS))
        except OncallError:
            return None
        return Back(life.state, error=_why(life)) if life.state in _ENDED else None

    return ended


def _why(life: Life) -> str:
    if life.state == "exited":
        return "it ended again with exit code %s" % life.exit_code
    return "it is %s%s" % (life.state, ": %s" % life.error if life.error else "")


def _runs(container: Container) -> Step:
    def step(back: Back, deadline: Deadline) -> Back:
        life = container.look(deadline)
        return replace(back, state=life.state, error=None if life.state == "running" else _why(life))

    return step


def _settled(container: Container, before: Back) -> Step:
    """Most of what cannot start runs for a moment."""
    begin = time.monotonic()

    def step(_back: Back, deadline: Deadline) -> Back:
        life = container.look(deadline)
        if life.state != "running":
            return replace(before, state=life.state, error=_why(life))
        return replace(before, error=None if time.monotonic() - begin >= _SETTLED_SECONDS else "it has just started")

    return step


def _check(container: Container) -> Step:
    def step(back: Back, deadline: Deadline) -> Back:
        said = container.check(deadline)
        health, _colon, _rest = (said or "").partition(":")
        return replace(back, health=health or None, error=None if said in (None, "healthy") else said)

    return step


def _page(ask: Callable[[Deadline], Health]) -> Step:
    def step(back: Back, deadline: Deadline) -> Back:
        page = ask(deadline)
        if page["ok"]:
            return replace(back, page=page, error=None)
        said = page["error"] or "status %s, %s" % (page["status"], " ".join((page["body"] or "").split())[:200])
        return replace(back, page=page, error="%s: %s" % (page["url"], said))

    return step


def _observe(
    step: Step, before: Back, answers: List[Back], deadline: Deadline, ended: Callable[[], Optional[Back]]
) -> Tuple[Back, Optional[Back]]:
    """Ask once. ``answers`` are those of this step so far: a time-out says less than what was heard before it."""
    try:
        found = step(before, Deadline(max(_LEAST_SECONDS, deadline.left(_STEP_SECONDS))))
        answers.append(found)
    except DeadlineError as error:
        found = answers[-1] if answers else replace(before, error=str(error).rstrip("."))
    except OncallError as error:
        found = replace(before, error=str(error).rstrip("."))
    return found, ended() if found.error else None
