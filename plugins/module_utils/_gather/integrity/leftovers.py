# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a crash has left: of no table or index, and of no process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from ..._core.errors import OncallError
from ..sql.leftovers import BEFORE, ORPHANS, TEMPORARY

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.integrity import Leftover
    from ..session.base import Session

STEP = "leftovers"
OLD_SECONDS = 3600.0  # nothing younger is looked at


def leftovers(
    server: Session, sessions: Mapping[str, Session], errors: Dict[str, str], deadline: Deadline
) -> List[Leftover]:
    """``sessions``: by database. What could not be read is told in ``errors``."""
    found: List[Dict[str, Any]] = []
    before = None
    try:
        found += [{**row, "database": None} for row in server.query(TEMPORARY, deadline, old_seconds=OLD_SECONDS)]
    except OncallError as error:
        errors["%s: temporary files" % STEP] = str(error)
    try:
        row = server.query(BEFORE, deadline, old_seconds=OLD_SECONDS)[0]
        if row["in_recovery"]:
            errors[STEP] = "a standby does not know the primary's open transactions"
        elif row["prepared"]:
            errors[STEP] = "a prepared transaction may have made them"
        else:
            before = row["before"]
    except OncallError as error:
        errors[STEP] = str(error)
    for name, session in sessions.items() if before else ():
        try:
            with contextlib.closing(session):
                found += [{**row, "database": name} for row in session.query(ORPHANS, deadline, before=before)]
        except OncallError as error:
            errors["%s: %s" % (STEP, name)] = str(error)
    listed: Any = found
    return list(listed)
