# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that is believed once the cluster that answers is the one that the target describes.

Another cluster may have the port: its sessions are not the target's, and must not be signalled for it.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional

from ..._core.errors import RightsError, SessionError
from ..sql import rights
from ..sql.query import OLDEST, Query

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..runtime.base import Completed, Runtime
    from .base import Session

# PostgreSQL, "System Information Functions", table "Control Data Functions": executable by everybody.
_ANSWERS = Query(
    "identity",
    {
        OLDEST: "SELECT system_identifier::text AS identifier, current_setting('port')::int AS port,"
        " extract(epoch FROM pg_postmaster_start_time())::float8 AS started, pg_is_in_recovery() AS in_recovery"
        " FROM pg_control_system()"
    },
    needs=(rights.CONTROL,),
)
# A copy and a standby have the same identifier; unless all were started at once, as at boot, the start tells them
# apart, else the port or the recovery. The server notes its start a little after postmaster.pid does: libraries are
# loaded in between.
_EARLIER_SECONDS, _LATER_SECONDS = 5, 300
_STANDS_SH = r"""
data=${1:-$PGDATA} bin=$2
read -r version <"$data/PG_VERSION"
PATH=${bin:+$bin:}$PATH:/usr/lib/postgresql/$version/bin:/usr/pgsql-$version/bin:/usr/local/pgsql/bin
LC_ALL=C pg_controldata -D "$data"
{ read -r _; read -r _; read -r started; read -r port; } <"$data/postmaster.pid" && echo "started: $started $port"
"""


_IN_RECOVERY = {"in production": False, "in archive recovery": True}  # other states last for a moment


class Identity(NamedTuple):
    identifier: str
    started: float  # seconds of the epoch
    port: int
    in_recovery: Optional[bool] = None

    def __str__(self) -> str:
        started = datetime.fromtimestamp(self.started, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        return "system identifier %s, port %d, started %s" % (self.identifier, self.port, started)

    def answers_as(self, other: "Identity") -> bool:
        """``self`` by its files, ``other`` by SQL."""
        return (
            (self.identifier, self.port) == (other.identifier, other.port)
            and -_EARLIER_SECONDS <= other.started - self.started <= _LATER_SECONDS
            and (self.in_recovery is None or self.in_recovery == other.in_recovery)
        )


class ProvedSession:
    """See ``Session``. Where it cannot be proved who answers, nothing is asked."""

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
        """Raises SessionError for another cluster, and where it cannot be told which; TargetError where none runs."""
        if self._proved:
            return
        stands = self._stands(deadline)
        try:
            answers = Identity(**self._session.query(_ANSWERS, deadline)[0])
        except RightsError:
            raise SessionError(
                "it cannot be proved which cluster answers: the login role may not execute pg_control_system()",
                "Grant it: GRANT EXECUTE ON FUNCTION pg_control_system() TO the role.",
            ) from None
        if not stands.answers_as(answers):
            raise SessionError(
                "another cluster answers (%s; the target: %s)" % (answers, stands),
                "Correct login_host, login_port and login_unix_socket, or leave them out.",
            )
        self._proved = True

    def _stands(self, deadline: Deadline) -> Identity:
        given = self._runtime.session_settings()
        words = [given.get("data_directory") or "", given.get("bin_directory") or ""]
        done = self._runtime.run_beside(["sh", "-c", _STANDS_SH, "oncall", *words], deadline)
        found = re.search(r"^Database system identifier: +(\d+)", done.out, re.MULTILINE)
        state = re.search(r"^Database cluster state: +(.+)", done.out, re.MULTILINE)
        noted = re.search(r"^started: (\d{1,12}) (\d{1,5})$", done.out, re.MULTILINE)
        if not noted:  # no postmaster.pid: whoever answers, a copy or the standby maybe, it is not this one
            raise SessionError("no server is running in %s" % (words[0] or "its data directory"))
        if not found:
            raise SessionError(
                "it cannot be proved which cluster answers: pg_controldata said nothing (%s)" % _said(done),
                "Set data_directory and bin_directory.",
            )
        recovering = _IN_RECOVERY.get(state.group(1)) if state else None
        return Identity(found.group(1), float(noted.group(1)), int(noted.group(2)), recovering)


def _said(done: Completed) -> str:
    return " ".join(done.err.split())[:200] or "exit code %d" % done.code
