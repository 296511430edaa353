# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An exported snapshot: several sessions of a database see the same rows.

PostgreSQL, "Snapshot Synchronization Functions".

Whoever exports it stays in its transaction until told that it is over. That works through psql, too, which says nothing
before it ends: the sessions find each other by the names that they give themselves.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from typing import TYPE_CHECKING, Callable, Iterator, List

from ..._core.errors import OncallError, SessionError
from ..session.bind import APPLICATION
from ..sql.baseline import END, EXPORT, EXPORTED

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..session.base import Session

_TURNS_A_SECOND = 20
_EXPORT_SECONDS = 15.0


@contextlib.contextmanager
def exported(open_session: Callable[[], Session], deadline: Deadline) -> Iterator[str]:
    """The snapshot's identifier. Raises SessionError, DeadlineError. It ends by itself before ``deadline``."""
    name = "%s %s" % (APPLICATION, uuid.uuid4().hex[:12])
    over = "%s over" % name[: -len(" over")]
    failed: List[Exception] = []

    def hold() -> None:
        turns = int(deadline.left(3600) * 0.9 * _TURNS_A_SECOND)
        try:
            with contextlib.closing(open_session()) as session:
                session.query(EXPORT, deadline, name=name, over=over, turns=turns)
        except Exception as error:  # told by the other thread, whatever it is
            failed.append(error)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    with contextlib.closing(open_session()) as session:
        try:
            yield _wait_for(session, name, failed, deadline.sooner(_EXPORT_SECONDS))
        finally:
            if holder.is_alive():
                with contextlib.suppress(OncallError):
                    session.query(END, deadline.sooner(10), name=name, over=over)
            holder.join(1)


def _wait_for(session: Session, name: str, failed: List[Exception], deadline: Deadline) -> str:
    while not deadline.passed():
        found = session.query(EXPORTED, deadline, name=name)
        if found:
            return str(found[0]["snapshot"])
        if failed:
            raise failed[0]
        time.sleep(0.05)
    raise SessionError("no snapshot was exported in time")
