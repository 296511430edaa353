# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session over the network that is believed once the cluster that answers is the one that the target describes.

Another cluster may have the port: its sessions are not the target's, and must not be signalled for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional

from ..._core.errors import SessionError
from ..sql.query import OLDEST, Query

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..runtime.base import Runtime
    from .base import Session

# PostgreSQL, "System Information Functions", table "Control Data Functions": executable by everybody.
_ANSWERS = Query(
    "identity",
    {
        OLDEST: "SELECT system_identifier::text AS identifier,"
        " extract(epoch FROM pg_postmaster_start_time())::float8 AS started FROM pg_control_system()"
    },
)
# A copy and a standby have the same identifier, but were not started at the same time. The server notes its start a
# little after postmaster.pid does: libraries are loaded in between.
_EARLIER_SECONDS, _LATER_SECONDS = 5, 300
_STANDS_SH = r"""
data=${1:-$PGDATA} bin=$2
read -r version <"$data/PG_VERSION"
PATH=${bin:+$bin:}$PATH:/usr/lib/postgresql/$version/bin:/usr/pgsql-$version/bin:/usr/local/pgsql/bin
LC_ALL=C pg_controldata -D "$data"
{ read -r _; read -r _; read -r started; } <"$data/postmaster.pid" && echo "started: $started"
"""


class Identity(NamedTuple):
    identifier: str
    started: Optional[float]  # seconds of the epoch

    def __str__(self) -> str:
        return "system identifier %s, started at %s" % (self.identifier, int(self.started or 0))

    def answers_as(self, other: "Identity") -> bool:
        """``self`` by postmaster.pid, ``other`` by SQL."""
        if self.identifier != other.identifier:
            return False
        if self.started is None or other.started is None:
            return True
        return -_EARLIER_SECONDS <= other.started - self.started <= _LATER_SECONDS


class ProvedSession:
    """See ``Session``. Where either side cannot be read, there is nothing to compare."""

    def __init__(self, session: Session, runtime: Runtime) -> None:
        self._session, self._runtime, self._proved = session, runtime, False

    def query(self, query: Query, deadline: Deadline, **params: Any) -> List[Dict[str, Any]]:
        self._prove(deadline)
        return self._session.query(query, deadline, **params)

    def execute(self, query: Query, deadline: Deadline, **params: Any) -> None:
        self._prove(deadline)
        self._session.execute(query, deadline, **params)

    def in_database(self, name: str) -> "ProvedSession":
        return ProvedSession(self._session.in_database(name), self._runtime)

    def close(self) -> None:
        self._session.close()

    def _prove(self, deadline: Deadline) -> None:
        """Raises SessionError for another cluster, TargetError where the target's own does not even run."""
        if self._proved:
            return
        stands = self._stands(deadline)
        answers = self._answers(deadline) if stands else None
        if stands and answers and not stands.answers_as(answers):
            raise SessionError(
                "another cluster answers at login_host (%s; the target: %s)" % (answers, stands),
                "Correct login_host and login_port, or leave them out.",
            )
        self._proved = True

    def _stands(self, deadline: Deadline) -> Optional[Identity]:
        given = self._runtime.session_settings()
        words = [given.get("data_directory") or "", given.get("bin_directory") or ""]
        done = self._runtime.run_beside(["sh", "-c", _STANDS_SH, "oncall", *words], deadline)
        found = re.search(r"^Database system identifier: +(\d+)", done.out, re.MULTILINE)
        started = re.search(r"^started: (\d{1,12})$", done.out, re.MULTILINE)
        return Identity(found.group(1), float(started.group(1)) if started else None) if found else None

    def _answers(self, deadline: Deadline) -> Optional[Identity]:
        try:
            row = self._session.query(_ANSWERS, deadline)[0]
            return Identity(row["identifier"], row["started"])
        except SessionError as error:
            if error.sqlstate != "42501":  # insufficient_privilege: somebody has revoked it
                raise
            return None
