# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL by psql, run beside the server: in its container, or as its OS user. Needs no driver there, and no password where
the log-in lines let the OS user in. One that is given comes on the first line of standard input; else the image's own
serves.

One command a query. What psql or the server say may be in any language: SQLSTATEs come from psql's own variables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Protocol, Sequence

from ..._core.deadline import libpq_seconds
from ..._core.errors import DeadlineError, DownError, SessionError, TargetError
from ..._core.mask import mask
from ..shell import PROGRAMS_PART, RUNS_IN_PART
from ..sql import rights
from ..sql.query import OLDEST, Query
from .bind import (
    APPLICATION,
    LONGEST_SECONDS,
    TOO_LATE,
    as_json,
    bind,
    first,
    no_right,
    rows,
    settings,
    too_late,
    too_old,
    unlogged,
)

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..runtime.base import Completed
    from .proved import Proof

NO_CONNECTION = "08001"


class RunBeside(Protocol):
    """``Runtime.run_beside``."""

    def __call__(
        self, argv: Sequence[str], deadline: Deadline, stdin: str = "", environment: Optional[Dict[str, str]] = None
    ) -> Completed: ...


# Where the live server listens stands in its postmaster.pid: port (line 4), socket directory (5), address (6); where
# its programs are in postmaster.opts. What was given goes first. Only the shell's own commands: images have few others.
_PSQL_SH = (
    RUNS_IN_PART
    + PROGRAMS_PART
    + r"""
data=${1:-$PGDATA} bin=$2 host=$3 port=$4 user=$5; shift 5
IFS= read -r password
# What the images were told to give their superuser. libpq uses it only where the server asks for a password.
if [ -z "$password" ] && [ "${user:-postgres}" = "${POSTGRES_USER:-postgres}" ]; then
  password=${POSTGRES_PASSWORD:-${POSTGRESQL_POSTGRES_PASSWORD-}}
  file=${POSTGRES_PASSWORD_FILE:-${POSTGRESQL_POSTGRES_PASSWORD_FILE-}}
  if [ -z "$password" ] && [ -n "$file" ] && [ -r "$file" ]; then IFS= read -r password <"$file"; fi
fi
[ -z "$password" ] || export PGPASSWORD="$password"
# Nothing says where it is: the one that runs here is meant, and never whoever has the default socket.
if [ -z "$data$host$port" ]; then
  for each in /proc/[0-9]*; do
    comm=; { read -r comm <"$each/comm"; } 2>/dev/null
    case $comm in postgres|postmaster|edb-postgres) ;; *) continue ;; esac
    found=$(cd "$each/cwd" 2>/dev/null && pwd -P) || continue
    case $data in ''|"$found") data=$found ;; *) echo "several servers run here: $data, $found" >&2; exit 70 ;; esac
  done
  [ -n "$data" ] || { echo "no server process can be seen here" >&2; exit 70; }
fi
unset PGHOST PGHOSTADDR PGPORT PGSERVICE PGSERVICEFILE PGREQUIRESSL PGSSLMODE PGTARGETSESSIONATTRS PGREQUIREAUTH
pid=
if [ -n "$data" ] && [ -r "$data/postmaster.pid" ]; then
  { read -r pid; read -r _; read -r _; read -r p; read -r s; read -r a; } <"$data/postmaster.pid"
  case $a in '*'|0.0.0.0) a=127.0.0.1;; ::) a=::1;; esac
  port=${port:-$p}; host=${host:-${s:-$a}}
fi
# Whoever else answers at its port or socket is not the one that is meant.
if [ -n "$data" ] && [ -x "$data" ] && ! runs_in "$pid" "$data"; then
  echo "no server is running in $data" >&2; exit 69
fi
if [ -n "$data" ] && [ -r "$data/postmaster.opts" ]; then
  read -r program _ <"$data/postmaster.opts"
  bin=${bin:-${program%/*}}
fi
version=; if [ -r "$data/PG_VERSION" ]; then read -r version <"$data/PG_VERSION"; fi
programs "$version"
if [ -n "$bin" ] && [ -x "$bin/psql" ]; then PATH=$bin:$PATH; fi
command -v psql >/dev/null || exit 127
exec psql -X -q -A -t -w ${host:+-h "$host"} ${port:+-p "$port"} ${user:+-U "$user"} "$@"
"""
)

_PSQL_SAYS = re.compile(r"^psql: (?:error: )?")
_NO_PASSWORD = "no password supplied"  # libpq's own words, which LC_ALL=C keeps in English
_DOWN, _UNKNOWN = 69, 70  # of the script above; psql's own codes are below 4
_FAILED, _TOO_OLD, _NO_RIGHT, _DONE = "oncall:failed", "oncall:too_old", "oncall:no_right", "oncall:done"
_POOLED = "oncall:pooled"
# Version and rights are asked and judged in the same run: \if knows no comparison, so the server makes it.
_SCRIPT_HEAD = r"""
SELECT current_setting('server_version') AS oncall_version, current_setting('port') <> :'PORT' AS oncall_pooled%s \gset
\if :ERROR
  \echo oncall:failed :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE
  \quit
\endif
\if :oncall_pooled
  \echo oncall:pooled :PORT
  \quit
\endif
"""
_SCRIPT_RIGHTS = r"""
\if :oncall_no_right
  \echo oncall:no_right :oncall_missing
  \quit
\endif
"""
_SCRIPT_TAIL = r"""
\else
\echo oncall:too_old :oncall_version
\quit
\endif
\if :ERROR
  \echo oncall:failed :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE
\else
  \echo oncall:done
\endif
"""


class PsqlSession:
    """See ``Session``. ``given``: data_directory, bin_directory, user, password, database, socket_directory, port.

    Each query has a connection of its own. ``proof`` is not needed where postmaster.pid alone says where it leads.
    """

    pooled = False  # one that answers is refused

    def __init__(self, run_beside: RunBeside, given: Mapping[str, Any], proof: Optional[Proof] = None) -> None:
        self._run_beside = run_beside
        self._given, self._proof = given, proof

    def query(self, query: Query, deadline: Deadline, **params: Any) -> List[Dict[str, Any]]:
        self._prove(deadline)
        return self._rows(query, deadline, **params)

    def _prove(self, deadline: Deadline) -> None:
        if self._proof is not None:
            self._proof(lambda query: self._rows(query, deadline), deadline)

    def _rows(self, query: Query, deadline: Deadline, **params: Any) -> List[Dict[str, Any]]:
        # Never committed: what only reads ends with the connection.
        whole = first(query, params)
        before = "".join("%s\n;\n" % each for each in (["BEGIN"] if whole else []) + whole)
        statements = {least: "%s%s\n;" % (before, as_json(query, least, params)) for least in query.texts}
        return rows(self._run(query, statements, deadline, read_only=True))

    def execute(self, query: Query, deadline: Deadline, **params: Any) -> None:
        self._prove(deadline)
        # What a statement returns is of no interest, and must not be taken for psql's own words.
        before = unlogged(transaction=False) + "\n;\n" if query.unlogged else ""
        statements = {
            least: "\\o /dev/null\n%s%s\n;\n\\o" % (before, bind(text, params)) for least, text in query.texts.items()
        }
        self._run(query, statements, deadline, read_only=False)

    def in_database(self, name: str) -> "PsqlSession":
        return PsqlSession(self._run_beside, {**self._given, "database": name}, self._proof)

    def _run(self, query: Query, statements: Mapping[int, str], deadline: Deadline, read_only: bool) -> str:
        """What the statement that fits the server's version printed."""
        stdin = "%s\n%s" % (self._given.get("password") or "", _script(query, statements))
        try:
            done = self._run_beside(
                self._argv(), deadline, stdin=stdin, environment=_environment(query, deadline, read_only)
            )
        except DeadlineError:
            raise too_late(query) from None
        if done.code == 127 or done.code == 126:
            raise TargetError(
                "psql cannot be run beside the server: %s" % (_one_line(done.err) or "it is not there"),
                "Install the PostgreSQL client there, or set bin_directory or login_host.",
            )
        if done.code == _DOWN:
            raise DownError(_one_line(done.err))
        if done.code == _UNKNOWN:
            raise SessionError(
                "not asked, for the data directory is not known and %s" % _one_line(done.err),
                "Set data_directory.",
                NO_CONNECTION,
            )
        return _read(query, done)

    def close(self) -> None:
        """Nothing stays open."""

    def _argv(self) -> List[str]:
        def given(name: str) -> str:
            value = self._given.get(name)
            return "" if value is None else str(value)

        return [
            "sh",
            "-c",
            _PSQL_SH,
            "oncall",
            given("data_directory"),
            given("bin_directory"),
            given("socket_directory"),
            given("port"),
            given("user"),
            "-v",
            "VERBOSITY=verbose",
            "-d",
            _dbname(given("database") or "postgres"),
        ]


def _dbname(name: str) -> str:
    """Else libpq takes a name with ``=`` or ``://`` in it for a whole connection string."""
    return "dbname='%s'" % name.replace("\\", "\\\\").replace("'", "\\'")


def _environment(query: Query, deadline: Deadline, read_only: bool) -> Dict[str, str]:
    # The session ends with psql. A pooler refuses these options, or passes over them, our name among them.
    own = {
        "application_name": APPLICATION,
        **settings(query, deadline, read_only),
        "standard_conforming_strings": "on",
        **({} if query.bare else {"idle_in_transaction_session_timeout": "10000"}),
    }
    if own.pop("transaction_read_only", None):  # of one transaction alone
        own["default_transaction_read_only"] = "on"
    return {
        "PGOPTIONS": " ".join("-c %s=%s" % item for item in own.items()),
        "PGAPPNAME": "",  # not psql's own, which would count for more
        "PGCLIENTENCODING": "UTF8",
        "PGCONNECT_TIMEOUT": str(libpq_seconds(deadline.left(), LONGEST_SECONDS)),
        "PGGSSENCMODE": "disable",
        "LC_ALL": "C",
        "LANGUAGE": "C",
    }


def _script(query: Query, statements: Mapping[int, str]) -> str:
    leasts = sorted(statements, reverse=True)
    flags = "".join(
        ", current_setting('server_version_num')::int >= %d AS oncall_%d" % (max(least, OLDEST), least)
        for least in leasts
    )
    if query.needs:
        flags += ", {0} AS oncall_missing, {0} <> '' AS oncall_no_right".format(rights.missing(query.needs))
    parts = [_SCRIPT_HEAD % flags, _SCRIPT_RIGHTS if query.needs else ""]
    for number, least in enumerate(leasts):
        parts.append("\\%s :oncall_%d\n%s\n" % ("elif" if number else "if", least, statements[least]))
    return "".join(parts) + _SCRIPT_TAIL


def _read(query: Query, done: Completed) -> str:
    out = done.out.strip()
    if out.startswith(_TOO_OLD):
        raise too_old(out[len(_TOO_OLD) :].strip())
    if out.startswith(_NO_RIGHT):
        raise no_right(query, out[len(_NO_RIGHT) :])
    if out.startswith(_POOLED):
        raise SessionError(
            "port %s is a connection pooler's, not the server's own" % out[len(_POOLED) :].strip(),
            "Leave out login_unix_socket and login_port; or set login_host, to go through the pooler.",
        )
    if out.startswith(_FAILED):
        sqlstate, _unused, message = out[len(_FAILED) :].strip().partition(" ")
        _fail(query, sqlstate, message)
    if done.code == 0 and out.endswith(_DONE):
        return out[: -len(_DONE)]
    # The connection ended under the statement: verbose messages have the code after the (localised) severity.
    ended = re.search(r"^[^\n:]+: +([0-9A-Z]{5}): ([^\n]*)", done.err, re.MULTILINE)
    if ended:
        _fail(query, ended.group(1), ended.group(2))
    said = _one_line(done.err)
    raise SessionError(
        "psql could not connect: %s" % (_PSQL_SAYS.sub("", said) or "exit code %d" % done.code),
        "The server asks for a password here: set login_password." if _NO_PASSWORD in said else "",
        sqlstate=NO_CONNECTION,
    )


def _fail(query: Query, sqlstate: str, message: str) -> None:
    if sqlstate == TOO_LATE:
        raise too_late(query)
    raise SessionError("the query %r failed: %s" % (query.name, _one_line(message)), sqlstate=sqlstate)


def _one_line(text: str) -> str:
    return mask(" ".join(text.split()))[:300]
