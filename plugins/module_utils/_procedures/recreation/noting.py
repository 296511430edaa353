# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note of clients to be made anew: on the disk before anything is touched, gone when all is proved or restored."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Iterator, Optional, Sequence, Set

from ..._core.deadline import Deadline
from ..._core.errors import OncallError
from ..._gather.client import note as note_
from ..._model.note import LIVE, Note, Noted, NotedRole
from ..clients.moving import look
from ..clients.note import Writer, alone, now
from ..clients.plan import Seen, still_true
from ..drive.choose import drive_of

if TYPE_CHECKING:
    from ..._gather.target import Target


class Noting:
    """``keep``: what must stay open as long as clients are moved. Without ``writer`` nothing is written down."""

    def __init__(self, target: Target, writer: Optional[Writer], services: Sequence[str], keep: Sequence[int]) -> None:
        self._target, self._writer, self._services = target, writer, services
        self.keep = keep

    def stopping(self) -> None:
        """To be called before the clients are asked to stop. Raises what keeps them from being written down."""
        if self._writer is not None:
            seen = [one for one in seen_now(self._target) if one.service in self._services and one.state in LIVE]
            self._writer.stopping([Noted(one.service, one.name, one.started_at, one.finished_at) for one in seen])


def seen_now(target: Target) -> Sequence[Seen]:
    target.runtime.forget()
    deadline = Deadline(target.deadline_seconds)
    return look(drive_of(target).containers(deadline) or [], deadline)


@contextlib.contextmanager
def noting(
    target: Target,
    name: str,
    services: Sequence[str],
    role: Optional[str] = None,
    files: Sequence[str] = (),
    needed: bool = True,
) -> Iterator[Noting]:
    """``name``: what is being run; ``role``: whose password it changes, there and in ``files``.

    In the end the note names the clients that are not up, and the role unless all was proved or restored.

    Raises RefusedError where it cannot be written, or another run moves these clients.
    """
    where = target.runtime.note_path
    if not where or not needed:  # one statement changes the role alone
        yield Noting(target, None, services, ())
        return
    with alone(where) as lock:
        former = note_.read(where)
        roles = {one.role: one for one in former.roles}
        before = roles.get(role or "")
        owed = [*dict.fromkeys([*(before.files if before else ()), *files])]
        if role is not None:
            roles[role] = NotedRole(role, before.begun_at if before else now(), tuple(owed))
        why = "%s of %s" % (name, target.host)
        writer = Writer(where, why, still_true(former, seen_now(target)), tuple(roles.values()))
        writer.begin()
        restored = False
        try:
            yield Noting(target, writer, services, (lock,))
            restored = set(owed) <= set(files)
        except OncallError as error:
            restored = before is None and error.details.get("not_put_back") == []
            raise
        finally:
            writer.settle(_down(target, writer), role if restored else None)


def _down(target: Target, writer: Writer) -> Set[str]:
    """Whom it has stopped, and who has not been started since; all of them where that cannot be seen."""
    try:
        return {one.name for one in still_true(Note(clients=writer.clients), seen_now(target))}
    except OncallError:
        return {one.name for one in writer.clients}
