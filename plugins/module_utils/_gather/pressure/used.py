# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory and swap that the server's cgroup uses, else its host, and the end of the log that its collector writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from ..._core.numbers import whole
from ..capacity.groups import GROUPS_PART, Rows, limit
from ..shell import RUNS_IN_PART

if TYPE_CHECKING:
    from ..._model.pressure import MemoryUse, OomKills, SwapUse

# The log comes last, and nothing that is read behind its mark is taken for ours.
USED_SH = (
    RUNS_IN_PART
    + GROUPS_PART
    + r"""
of_two() {
  above "$@" memory.max memory.high memory.current memory.swap.current memory.stat memory.events
}
of_one_memory() {
  above /sys/fs/cgroup/memory "$1" memory.limit_in_bytes memory.usage_in_bytes memory.stat memory.oom_control
}
of_one_cpu() { :; }
groups
kernel
while read -r name value; do
  case $name in oom_kill) say vmstat "$value" ;; esac
done </proc/vmstat
now=$(date +%s) && say now "$now"
if [ -r "$data/current_logfiles" ]; then
  log=''
  while read -r kind path; do
    case $kind in stderr) log=$path ;; *) [ -n "$log" ] || log=$path ;; esac
  done <"$data/current_logfiles"
  case $log in '' | /*) ;; *) log=$data/$log ;; esac
  if [ -r "$log" ]; then say log "$log"; tail -c "$2" "$log"; fi
fi
exit 0
"""
)
_MARK = "\nlog\t"


class Used(Rows):
    """What the script told. ``collected``: the end of the collector's log, by its path; empty where it writes none."""

    def __init__(self, out: str) -> None:
        told, mark, log = out.partition(_MARK)
        super().__init__(told)
        path, _line, text = log.partition("\t\n")
        self.collected: Dict[str, str] = {path: text} if mark else {}

    @property
    def now(self) -> Optional[float]:
        """Seconds of the epoch, by the server's clock."""
        return next((float(seconds) for row in self.of("now", 1) for seconds in [whole(row[0])] if seconds), None)

    def memory(self) -> Optional[MemoryUse]:
        """Of the cgroup that is nearest to its limit; where none has one, the host's."""
        host, free = self.in_kb("MemTotal"), self.in_kb("MemAvailable")
        limited: List[MemoryUse] = []
        for path, text in (*self.files("memory.max"), *self.files("memory.high"), *self.files("memory.limit_in_bytes")):
            group, most = path.rpartition("/")[0], limit(text, host)
            used = self._used(group)
            if most and used is not None:
                limited.append({"used_bytes": used, "limit_bytes": most, "source": group})
        if limited:
            return max(limited, key=lambda each: each["used_bytes"] / each["limit_bytes"])
        if host is None or free is None:
            return None
        return {"used_bytes": host - free, "limit_bytes": host, "source": "host"}

    def swap(self) -> Optional[SwapUse]:
        own = [(path, whole(text)) for path, text in self.files("memory.swap.current")]
        own += self._rows_of("memory.stat", "total_swap")
        found = next(((path, value) for path, value in own if value is not None), None)
        if found is not None:
            return {"used_bytes": found[1], "source": found[0]}
        total, free = self.in_kb("SwapTotal"), self.in_kb("SwapFree")
        return None if total is None or free is None else {"used_bytes": total - free, "source": "host"}

    def oom_kills(self) -> Optional[OomKills]:
        own = [*self._rows_of("memory.events", "oom_kill"), *self._rows_of("memory.oom_control", "oom_kill")]
        host = [("host", whole(row[0])) for row in self.of("vmstat", 1)]
        found = next(((path, value) for path, value in (*own, *host) if value is not None), None)
        return None if found is None else {"count": found[1], "source": found[0]}

    def _used(self, group: str) -> Optional[int]:
        """What its processes hold: the pages of files can be had back. Those of shared memory are none of them."""
        counted = {path: whole(text) for path, text in (*self.files("memory.current"), *self.files("memory.usage"))}
        all_of_it = counted.get(group + "/memory.current", counted.get(group + "/memory.usage_in_bytes"))
        if all_of_it is None:
            return None
        stat = self._stat(group + "/memory.stat")
        cached = sum(stat.get("total_" + name, stat.get(name, 0)) for name in ("active_file", "inactive_file"))
        return max(all_of_it - cached, 0)

    def _stat(self, path: str) -> Dict[str, int]:
        rows = [(name, whole(value)) for at, name, value in self.of("row", 3) if at == path]
        return {name: value for name, value in rows if value is not None}

    def _rows_of(self, file: str, name: str) -> List[Tuple[str, Optional[int]]]:
        return [(at, whole(value)) for at, key, value in self.of("row", 3) if key == name and at.endswith("/" + file)]
