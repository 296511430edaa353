# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that are stopped in order to be started again: one run at a time, and each is written down until it is up."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Dict, Iterator, NoReturn, Sequence

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, RefusedError, UnprovenError
from ..._gather.client import note as note_
from ..._model.note import Noted, may_be_stopped
from ..drive.choose import drive_of, engine_of
from .moving import Moving, look
from .note import Writer, alone
from .plan import Order, Record, flat, moved_meanwhile, owed, up_to_date

if TYPE_CHECKING:
    from ..._gather.target import Target


@contextlib.contextmanager
def noted(
    target: Target,
    where: str,
    why: str,
    notes: Sequence[Noted],
    order: Order,
    rows: Dict[str, Record],
    grace_seconds: float,
    patience_seconds: float,
) -> Iterator[Moving]:
    """In the end the note names those who are not up, or is gone.

    Raises RefusedError where it cannot be written, another run is at work, or someone has moved a client meanwhile.
    """
    with alone(where):
        containers = {one.name: one for one in drive_of(target).containers(Deadline(target.deadline_seconds)) or []}
        seen = look(list(containers.values()), Deadline(target.deadline_seconds))
        others = moved_meanwhile(notes, rows.values(), seen)
        if others:
            raise RefusedError(
                "Restart refused: someone else has started or stopped %s meanwhile" % " and ".join(others),
                "Run it again.",
            )
        note = Writer(where, why, up_to_date(notes, seen), note_.read(where).roles)
        note.begin()
        try:
            yield Moving(target, containers, rows, grace_seconds, patience_seconds, note.asking, note.running)
        finally:
            mine = {*flat(order.stop), *flat(order.start)}
            note.settle({*owed(order, rows), *(one.name for one in notes if one.name not in mine)})


def not_recovered(target: Target, killed: str, error: OncallError) -> NoReturn:
    """The run was killed, and nothing could be put right after it: the note says who may be down."""
    asked = [one.name for one in note_.read(target.runtime.note_path or "").clients if one.asked]
    commands = [may_be_stopped(name, engine_of(target)) for name in asked]
    raise UnprovenError(
        "%s, and cleaning up after it failed: %s" % (killed, error.msg), " ".join([error.hint, *commands])
    ) from error
