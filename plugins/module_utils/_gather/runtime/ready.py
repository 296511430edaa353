# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start-up probe where we cannot enter the server's place: ``pg_isready`` by one shell command inside it.

It tells less than our own packet: accepting (exit code 0), rejecting (1, no SQLSTATE) or no answer (2).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence

from ..._core.deadline import libpq_seconds
from ..._core.errors import TargetError
from ..shell import PROGRAMS_PART

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import WireAnswer
    from .base import Completed

_SECONDS = 3
# Each probe in the background: the slowest, not their sum, is waited for.
_READY_SH = (
    PROGRAMS_PART
    + r"""
LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/local/bin:/usr/bin:/bin
programs ""
data=$1; port=$2; seconds=$3; user=$4; sockets=$5; shift 5
if [ -z "$data" ]; then data=$PGDATA; fi
if [ -r "$data/postmaster.pid" ]; then
    { read -r _; read -r _; read -r _; read -r noted; read -r socket; } < "$data/postmaster.pid"
    case $noted in ''|*[!0-9]*) ;; *) port=$noted ;; esac
fi
command -v pg_isready > /dev/null || { echo "pg_isready was not found"; exit 127; }
[ -z "$sockets" ] || [ -z "$socket" ] || sockets=$socket
ask() {
    read -r begin _ < /proc/uptime
    text=$(pg_isready -h "$2" -p "$port" -t "$seconds" -U "$user" -d postgres 2>&1); code=$?
    read -r end _ < /proc/uptime
    there=1; case $2 in /*) [ -S "$2/.s.PGSQL.$port" ] || there=0 ;; esac
    echo "ready $1 $2 $port $code $begin $end $there $text"
}
for each in $sockets; do ask socket "$each" & done
for each; do
    case $each in 127.*) ask loopback "$each" & ;; *) ask network "$each" & ;; esac
done
wait
"""
)


def ask(
    run: Callable[[Sequence[str], Deadline], Completed],
    data_directory: Optional[str],
    port: int,
    user: str,
    sockets: Sequence[str],
    addresses: Sequence[str],
    deadline: Deadline,
) -> List[WireAnswer]:
    """Ask at the sockets' directories (none: not at all), the loopback and ``addresses``.

    Port and socket directory from postmaster.pid where it can be read. ``user`` keeps a server that trusts us from
    logging that there is no such role.
    """
    seconds = libpq_seconds(deadline.left() - 1, _SECONDS)
    done = run(
        [
            "sh",
            "-c",
            _READY_SH,
            "sh",
            data_directory or "",
            str(port),
            str(seconds),
            user,
            " ".join(sockets),
            "127.0.0.1",
            *addresses,
        ],
        deadline,
    )
    answers = [answer for answer in map(_parse, done.out.splitlines()) if answer is not None]
    if not answers:
        raise TargetError(
            "pg_isready inside the container said nothing (exit code %d): %s"
            % (done.code, (done.err or done.out).strip()[:200])
        )
    return answers


def _parse(line: str) -> Optional[WireAnswer]:
    match = re.match(r"ready (\w+) (\S+) ([0-9]+) ([0-9]+) (\d{1,12}\.\d+) (\d{1,12}\.\d+) ([01]) ?(.*)$", line)
    if match is None:
        return None
    kind, host, port, code, begin, end, there, text = match.groups()
    waited = float(end) - float(begin)
    outcome = {"0": "accepting", "1": "rejecting"}.get(code)
    if outcome is None and there == "0":
        outcome = "missing"
    if outcome is None:  # a refusal comes at once; waiting means that somebody took the connection, or the packets
        outcome = "refused" if waited < 1.5 else "silent"
    address = (
        "%s/.s.PGSQL.%s" % (host.rstrip("/"), port)
        if kind == "socket"
        else ("[%s]:%s" % (host, port) if ":" in host else "%s:%s" % (host, port))
    )
    return {
        "kind": kind,
        "address": address,
        "outcome": outcome,
        "severity": None,
        "sqlstate": None,
        "message": text.strip() or None,
        "elapsed_ms": round(waited * 1000, 1),
    }
