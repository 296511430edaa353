# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that the cluster that answers is the one that the target describes.

Another cluster may have the port: its sessions are not the target's, and must not be signalled for it. Each new
connection is asked, before anything else is sent over it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..._core.errors import AnotherServerError, DownError, RightsError, SessionError
from ..._core.times import utc
from ..._model.identity import sentence
from ..shell import PROGRAMS_PART, RUNS_IN_PART
from ..sql import rights
from ..sql.query import OLDEST, Query

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import AnotherServer, ServerIdentity
    from ..runtime.base import Completed, Runtime

Ask = Callable[[Query], List[Dict[str, Any]]]  # over the connection that is to be proved

# PostgreSQL, "System Information Functions", table "Control Data Functions": executable by everybody. pg_settings has
# no row of what the role may not see.
_ANSWERS = Query(
    "identity",
    {
        OLDEST: "SELECT system_identifier::text AS identifier, current_setting('port')::int AS port,"
        " extract(epoch FROM pg_postmaster_start_time())::float8 AS started, pg_is_in_recovery() AS in_recovery,"
        " (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS directory,"
        " pg_backend_pid() AS backend, coalesce('(' || inet_client_port() || ')', '[local]') AS place,"
        " session_user || ' ' || current_database() || ' ' AS who"
        " FROM pg_control_system()"
    },
    needs=(rights.CONTROL,),
)
# A copy and a standby have the same identifier. Of a connection that stays open its own process tells them apart: it is
# a child of the target's postmaster, or not. Else it is the directory, the port, the recovery and the start. The server
# notes its start a little after postmaster.pid does: libraries are loaded in between.
_EARLIER_SECONDS, _LATER_SECONDS = 5, 300
_STANDS_SH = (
    RUNS_IN_PART
    + PROGRAMS_PART
    + r"""
data=${1:-$PGDATA} bin=$2 named=$3 backend=$4 place=$5 who=$6
read -r version <"$data/PG_VERSION"
programs "$version"
PATH=${bin:+$bin:}$PATH
echo "directory: $data"
LC_ALL=C pg_controldata -D "$data"
{ read -r pid; read -r _; read -r started; read -r port; } <"$data/postmaster.pid"
runs_in "$pid" "$data" || exit 0
echo "started: $started $port"
[ -z "$named" ] || [ "$named" -ef "$data" ] || echo "other: it works in $named"
[ -n "$backend" ] || exit 0
parent=; while read -r key value _; do
    case $key in PPid:) parent=$value; break ;; esac
done 2>/dev/null <"/proc/$backend/status"
title=$(tr '\0' ' ' <"/proc/$backend/cmdline" 2>/dev/null)
case $parent:$title in # USER DATABASE HOST(PORT) or USER DATABASE [local], cut where there is no room
    "$pid":*"$place"*) ;;
    "$pid":*[\(\[]*) echo "other: process $backend is another client's" ;;
    "$pid":*"$who"*) ;;
    *) echo "other: process $backend is not one of its backends" ;;
esac
"""
)

_IN_RECOVERY = {"in production": False, "in archive recovery": True}  # other states last for a moment
HINT = "Correct login_host, login_port and login_unix_socket, or leave them out."


class Identity(NamedTuple):
    identifier: Optional[str]
    started: Optional[float]  # seconds of the epoch; None: it does not run
    port: Optional[int]
    in_recovery: Optional[bool] = None
    directory: Optional[str] = None

    def fact(self) -> ServerIdentity:
        return {
            "data_directory": self.directory,
            "system_identifier": self.identifier,
            "port": self.port,
            "started_at": utc(self.started),
        }

    def answers_as(self, other: "Identity") -> bool:
        """``self`` by its files, ``other`` by SQL."""
        return (
            self.started is not None
            and other.started is not None
            and (self.identifier, self.port) == (other.identifier, other.port)
            and -_EARLIER_SECONDS <= other.started - self.started <= _LATER_SECONDS
            and (self.in_recovery is None or self.in_recovery == other.in_recovery)
        )


def another(where: str, answers: Identity, expected: Identity, hint: str) -> AnotherServerError:
    found: AnotherServer = {"where": where, "answers": answers.fact(), "expected": expected.fact()}
    return AnotherServerError(sentence(found), hint, found)


class Proof:
    """Of a target's connections. ``where``: the login options that they follow; ``lasting``: they stay open."""

    def __init__(self, runtime: Runtime, where: str, lasting: bool) -> None:
        self._runtime, self._where, self._lasting = runtime, where, lasting

    def __call__(self, ask: Ask, deadline: Deadline) -> None:
        """Raises AnotherServerError, and SessionError where it cannot be told who answers."""
        try:
            row = ask(_ANSWERS)[0]
        except RightsError:
            raise SessionError(
                "it cannot be proved which cluster answers: the login role may not execute pg_control_system()",
                "Grant it: GRANT EXECUTE ON FUNCTION pg_control_system() TO the role.",
            ) from None
        process = [row.pop(name) for name in ("backend", "place", "who")]
        answers = Identity(**row)
        try:
            expected, other = self._expected(answers, process, deadline)
        except DownError:  # then whoever answers is another one, a copy or the standby maybe
            expected = Identity(None, None, None, directory=self._runtime.session_settings().get("data_directory"))
            other = True
        if other or not expected.answers_as(answers):
            raise another(self._where, answers, expected, HINT)

    def _expected(self, answers: Identity, process: Sequence[Any], deadline: Deadline) -> Tuple[Identity, bool]:
        """By its files; and whether they or its processes say that ``answers`` is another one. Raises DownError."""
        given = self._runtime.session_settings()
        known = [given.get("data_directory"), given.get("bin_directory"), answers.directory]
        words = [str(word or "") for word in known + (list(process) if self._lasting else [])]
        done = self._runtime.run_beside(["sh", "-c", _STANDS_SH, "oncall", *words], deadline)
        directory = re.search(r"^directory: (/.*)", done.out, re.MULTILINE)
        found = re.search(r"^Database system identifier: +(\d+)", done.out, re.MULTILINE)
        state = re.search(r"^Database cluster state: +(.+)", done.out, re.MULTILINE)
        noted = re.search(r"^started: (\d{1,12}) (\d{1,5})$", done.out, re.MULTILINE)
        where = directory.group(1) if directory else words[0] or None
        if not noted:
            return Identity(found.group(1) if found else None, None, None, directory=where), True
        if not found:
            raise SessionError(
                "it cannot be proved which cluster answers: pg_controldata said nothing (%s)" % _said(done),
                "Set data_directory and bin_directory.",
            )
        recovering = _IN_RECOVERY.get(state.group(1)) if state else None
        expected = Identity(found.group(1), float(noted.group(1)), int(noted.group(2)), recovering, where)
        return expected, re.search("^other: ", done.out, re.MULTILINE) is not None


def _said(done: Completed) -> str:
    return " ".join(done.err.split())[:200] or "exit code %d" % done.code
