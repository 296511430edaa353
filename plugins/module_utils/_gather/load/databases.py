# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases of a server that can be looked into, the one that we are connected to first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, List, Sequence, Tuple

from ..._core.errors import OptionsError
from ..._core.text import count, did_you_mean, nearest
from ..sql.load import DATABASES

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..session.base import Session
    from ..target import Target


def databases(
    target: Target, wanted: Sequence[str], deadline: Deadline, closed: List[str]
) -> Iterator[Tuple[str, Session]]:
    """``wanted``: their names, none: all. What cannot be looked into goes to ``closed``. The caller closes them.

    Raises OptionsError for a name that is not there, SessionError, DeadlineError.
    """
    rows = target.session.query(DATABASES, deadline)
    known = [row["name"] for row in rows]
    for name in wanted:
        if name not in known:
            raise OptionsError(
                "There is no database %s. %s" % (name, did_you_mean(nearest(name, known), "Check databases."))
            )
    asked = [row for row in rows if not wanted or row["name"] in wanted]
    for number, row in enumerate(asked):
        if deadline.passed():
            left = count(len(asked) - number, "database")
            closed.append("%s: no time was left: raise deadline_seconds" % left)
            return
        if row["open"]:
            yield row["name"], target.session.in_database(row["name"])
        else:
            closed.append("database %s: it allows no connections, or the login role may not connect" % row["name"])
