# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note of whom a run stops, and whose password it changes: on the disk before, gone when all is well again."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import threading
from typing import Iterator, Optional, Sequence, Set, Tuple

from ..._core import atomic
from ..._core.errors import OncallError, RefusedError
from ..._core.interrupt import held_back
from ..._core.wait import wait_for
from ..._gather.client.note import held, is_current, lock_of
from ..._model.note import Note, Noted, NotedRole

_GLANCE_SECONDS = 1.0  # whoever looks whether it is locked has it for a moment


class Writer:
    """Safe to use from any thread."""

    def __init__(self, where: str, why: str, clients: Tuple[Noted, ...], roles: Tuple[NotedRole, ...] = ()) -> None:
        self._where, self._why = where, why
        self._clients = {one.name: one for one in clients}
        self._roles = {one.role: one for one in roles}
        self._lock = threading.Lock()
        self._at = now()
        self._found: Optional[atomic.Found] = None

    def begin(self) -> None:
        """Raises RefusedError where it cannot be written: without a note nothing is touched."""
        try:
            self._write()
        except OncallError as error:
            raise RefusedError("Refused: %s" % error.msg, error.hint) from None

    def stopping(self, clients: Sequence[Noted]) -> None:
        """As they are now, in the moment before."""
        with self._lock:
            self._clients.update((one.name, dataclasses.replace(one, asked=True)) for one in clients)
            self._write()

    def asking(self, names: Sequence[str]) -> None:
        with self._lock:
            for name in names:
                self._clients[name] = dataclasses.replace(self._clients[name], asked=True)
            self._write()

    def running(self, name: str) -> None:
        with self._lock, contextlib.suppress(OncallError):
            self._clients.pop(name, None)
            self._write()

    @property
    def clients(self) -> Tuple[Noted, ...]:
        return tuple(self._clients.values())

    def settle(self, names: Set[str], proved: Optional[str] = None) -> None:
        """Only these are still to be started; the password of the role ``proved`` is the same everywhere."""
        with self._lock, contextlib.suppress(OncallError):
            self._clients = {name: one for name, one in self._clients.items() if name in names}
            self._roles.pop(proved or "", None)
            self._write()
            if not self._clients and not self._roles:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._where)

    def _write(self) -> None:
        self._found = self._found or atomic.read(self._where, must_exist=False)
        note = Note(self._at, self._why, self.clients, tuple(self._roles.values()))
        data = json.dumps(dataclasses.asdict(note), indent=1).encode()
        with held_back():
            atomic.write(self._found, data)
            self._found = dataclasses.replace(self._found, data=data)


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


@contextlib.contextmanager
def alone(where: str) -> Iterator[int]:
    """Keeps others from moving the same clients meanwhile. Raises RefusedError where another run is at it.

    The lock's descriptor: whoever inherits it keeps the lock as well.

    No lock file stays, nor what a run that was killed has left while it wrote its note.
    """
    try:
        os.makedirs(os.path.dirname(where), mode=0o700, exist_ok=True)
        lock = wait_for(lambda: _taken(where), lambda taken: taken is not None, _GLANCE_SECONDS, 0.02).last
    except OSError as error:
        raise RefusedError(
            "Refused: %s cannot be written: %s" % (os.path.dirname(where), error.strerror),
            "The clients to be stopped are written down there first: make room or set HOME.",
        ) from None
    if lock is None:
        raise _busy()
    try:
        for left in atomic.temporaries(where):
            _remove(left)
        yield lock
    finally:
        _remove(lock_of(where))  # while it is locked: whoever waits for it sees that, and makes a new one
        os.close(lock)


def wait_for_others(where: str, seconds: float) -> None:
    """A run whose controller went away is still finishing. Raises RefusedError when it takes longer."""
    if not wait_for(lambda: held(where), lambda held: not held, seconds).ok:
        raise _busy()


def _taken(where: str) -> Optional[int]:
    """The lock, open; None while somebody else has it. Raises OSError where it cannot be made."""
    lock = os.open(lock_of(where), os.O_CREAT | os.O_RDWR, 0o600)
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_current(lock, where):
            return lock
    os.close(lock)
    return None


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _busy() -> RefusedError:
    return RefusedError(
        "Refused: another restart or password reset of this server is still running",
        "It continues even when its terminal is gone: run triage, then try again.",
    )
