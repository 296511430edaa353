# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target's clients made anew from their files, or put back as they were; none is left stopped."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, cast

from ..._core.deadline import Deadline
from ..._core.errors import RefusedError, UnprovenError
from ..._gather.client import note as note_
from ..._model.note import Note
from ..clients.moving import look
from ..clients.note import wait_for_others
from ..clients.plan import left_stopped
from ..drive.choose import drive_of

if TYPE_CHECKING:
    from ..._gather.runtime.compose.runtime import ComposeRuntime
    from ..._gather.target import Target
    from ..clients.run import Clients
    from ..procedure import Options
    from .noting import Noting
    from .recreate import Recreation

COMPOSE_SECONDS = 60.0  # what Compose itself takes at most, beside the clients' grace time


def compose(target: Target) -> ComposeRuntime:
    """The runtime whose name is ``compose``: the caller has looked."""
    return cast("ComposeRuntime", target.runtime)


def unfinished(target: Target) -> Note:
    """The note of a run that has not finished. Raises RefusedError where one is still at it."""
    if not target.runtime.note_path:
        return Note()
    wait_for_others(target.runtime.note_path, target.deadline_seconds)
    return note_.read(target.runtime.note_path)


def prepared(
    target: Target, options: Options, services: Sequence[str], note: Note, stays: Optional[Callable[..., Any]] = None
) -> Recreation:
    """Raises RefusedError where the containers of ``services`` cannot be made anew as they are."""
    from .recreate import Recreation

    deadline = Deadline(COMPOSE_SECONDS)
    left = left_stopped(note, look(drive_of(target).containers(deadline) or [], deadline)) if note.clients else []
    more = {} if stays is None else {"stays": stays}
    recreation = Recreation(
        compose(target).view(deadline), options["project"], services, options["docker_host"], left, **more
    )
    recreation.prepare(deadline)
    return recreation


class Anew:
    """``services``: those whose containers are made anew."""

    def __init__(
        self,
        target: Target,
        options: Options,
        recreation: Recreation,
        services: Sequence[str],
        secrets: Sequence[str],
        note: Noting,
    ) -> None:
        self._target, self._recreation, self._services = target, recreation, services
        self._grace, self._patience = options["grace_seconds"], options["timeout_seconds"]
        self._secrets, self._note = secrets, note

    def make(self) -> None:
        deadline = Deadline(COMPOSE_SECONDS + self._grace * len(self._services))
        try:
            self._note.stopping()
            self._recreation.run(self._services, self._grace, deadline, self._secrets, self._note.keep)
        finally:
            self._target.runtime.forget()

    def put_back(self) -> None:
        """From the files, which are the former ones again; those that were only stopped are started."""
        try:
            if self._recreation.begun:
                self.make()
        finally:
            self._recreation.bring_back(self._services, self._patience)
            self._target.runtime.forget()


def recovered(target: Target, options: Options, clients: Clients, how: str) -> UnprovenError:
    """The process that made containers anew was killed (``how``): its clients are started. What is to be said of it."""
    if target.runtime.note_path:
        with contextlib.suppress(RefusedError):  # Compose goes on to its end
            wait_for_others(target.runtime.note_path, COMPOSE_SECONDS + options["grace_seconds"])
    return clients.recover_restart(target, dict(options, health_timeout_seconds=options["timeout_seconds"]), how)
