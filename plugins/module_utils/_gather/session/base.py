# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How SQL reaches the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Protocol

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..sql.query import Query


class Session(Protocol):
    """SQL by whatever way; both kinds give the same rows and the same errors."""

    def query(self, query: Query, deadline: Deadline, **params: Any) -> List[Dict[str, Any]]:
        """The rows of the text that fits the server's version.

        ``params`` are bound: str, int, float, bool, None, list of str.

        Raises SessionError with the SQLSTATE the server gave (``08001`` when there was no connection at all and the
        server said nothing; its subclass RightsError when the query was not sent for want of a right), DeadlineError
        when no answer came in time.
        """

    def execute(self, query: Query, deadline: Deadline, **params: Any) -> None:
        """Run one statement that changes something, as it stands and in no transaction block of ours.

        So also what may not run in one: CHECKPOINT, ALTER SYSTEM, ROLLBACK PREPARED. ``params`` as for ``query``, and
        ``identifier(name)`` for a name. Raises as ``query`` does; after a DeadlineError it may have been done or not.
        """

    @property
    def pooled(self) -> bool:
        """Whether the last query went through a connection pooler: then each may be answered by another backend, which
        other clients get in between, and what those set for a session is there."""

    def in_database(self, name: str) -> "Session":
        """The same way to another database of the server; the caller closes it."""

    def close(self) -> None: ...
