# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When no slot is left for SQL: the roll of backends beside the server, and SIGTERM to exactly the chosen ones.

SIGTERM is what pg_terminate_backend sends. A process is checked again as it is signalled: the same start, the same
title (so still idle), still a child of this server's postmaster. Only the shell's own commands: images have few others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, List, Sequence

from ..._core.errors import TargetError
from ..._core.numbers import whole
from ..._judge import titles
from . import peers
from .by_title import Titled

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._gather.target import Target

_TICKS = 100.0  # a second, in /proc/PID/stat: USER_HZ, on every Linux that PostgreSQL runs on
_LOOK_PART = r"""
data=${1:-$PGDATA}
look() {  # pid -> state, parent, start, title; see proc(5)
  state=- parent=- start=- title='' line=''
  { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
  # shellcheck disable=SC2086 # it is parted on purpose; what stands there are numbers and a letter
  set -- "$1" ${line##*) }
  # shellcheck disable=SC2034 # the roll shows it
  state=$2 parent=$3 start=${21}
  { IFS= read -r title <"/proc/$1/cmdline"; } 2>/dev/null
  return 0
}
read -r postmaster <"$data/postmaster.pid" || exit 3
"""
_ROLL_SH = (
    _LOOK_PART
    + r"""
look $$; echo "now $start"
for place in /proc/[0-9]*; do
  look "${place#/proc/}"
  if [ "$parent" = "$postmaster" ]; then printf '%s %s %s %s\n' "${place#/proc/}" "$state" "$start" "$title"; fi
done
"""
)
_TERMINATE_SH = (
    _LOOK_PART
    + r"""
while IFS=' ' read -r pid started wanted; do
  look "$pid"
  if [ "$parent" = "$postmaster" ] && [ "$start" = "$started" ] && [ "$title|" = "$wanted" ]; then
    kill -TERM "$pid" && echo "$pid"
  fi
done
"""
)


def roll(target: Target, deadline: Deadline) -> List[Titled]:
    """The server's client backends by their processes; the numbers are those that SQL shows, too."""
    found: List[Titled] = []
    now = 0
    for line in _run(target, _ROLL_SH, "", deadline):
        words = line.split(" ", 3)
        if words[0] == "now" and len(words) > 1:
            now = whole(words[1]) or 0
            continue
        pid, started = (whole(word) for word in (words[0], words[2])) if len(words) == 4 else (None, None)
        if pid is not None and started is not None:
            for backend in titles.backends([{"pid": pid, "state": words[1], "title": words[3]}]):
                found.append(Titled(backend, words[3], started, max(0.0, (now - started) / _TICKS)))
    return found


def identified(target: Target, found: Sequence[Titled]) -> List[Titled]:
    """With the programs at the other end of their connections, as far as those are on this host and may be seen."""
    processes = sorted({client.process for client in target.runtime.clients() if client.process is not None})
    seen = peers.programs(processes, {_end(one) for one in found if one.backend.port is not None})
    return [replace(one, programs=seen.get(_end(one), ())) for one in found]


def _end(one: Titled) -> peers.End:
    return one.backend.address or "", one.backend.port or 0


def terminate(target: Target, chosen: Sequence[Titled], deadline: Deadline) -> List[Titled]:
    """Those that were sent SIGTERM; the others were gone, or no longer what they were."""
    lines = ["%d %d %s|\n" % (one.backend.pid, one.started, one.title) for one in chosen]
    sent = set(_run(target, _TERMINATE_SH, "".join(lines), deadline))
    return [one for one in chosen if str(one.backend.pid) in sent]


def _run(target: Target, script: str, stdin: str, deadline: Deadline) -> List[str]:
    directory = target.runtime.session_settings().get("data_directory") or ""
    done = target.runtime.run_beside(["sh", "-c", script, "oncall", directory], deadline, stdin)
    if done.code != 0:
        said = " ".join(done.err.split())[:200] or "exit code %d" % done.code
        raise TargetError(
            "The server's processes cannot be seen beside it: %s" % said,
            "Restart a client, or end one of its sessions by hand.",
        )
    return done.out.split("\n")
