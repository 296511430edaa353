# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, processors, /dev/shm and storage as the server's processes see them. A shell, df, and files of the kernel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from ..._core.numbers import decimal, whole
from ..shell import RUNS_IN_PART

if TYPE_CHECKING:
    from ..._model.capacity import Cpus, HugePages, Memory, SharedMemory, Storage

# A process is held to the limits of its cgroup and of all above it (a systemd slice, such as user.slice). A container
# may see its own path in a hierarchy that is mounted from its own group on: what is missing there is climbed over.
CAPACITY_SH = (
    RUNS_IN_PART
    + r"""
data=${1:-$PGDATA} pid=''
say() { printf '%s\t' "$@"; echo; }
if [ -r "$data/postmaster.pid" ]; then read -r pid <"$data/postmaster.pid"; fi
file() { # what file $1 says, unless nothing
  got=''
  if [ -r "$1" ]; then read -r got <"$1"; fi 2>/dev/null
  [ -z "$got" ] || say file "$1" "$got"
}
above() { # the files $3... of group $2 in the hierarchy $1, and of those above it
  root=$1 group=${2%/}; shift 2
  while :; do
    for name in "$@"; do file "$root$group/$name"; done
    [ -n "$group" ] || break
    group=${group%/*}
  done
}
if runs_in "$pid" "$data" && [ -r "/proc/$pid/cgroup" ]; then
  say cgroup
  while IFS=: read -r _ controllers path; do
    case ,$controllers, in
      ,,)
        for root in /sys/fs/cgroup /sys/fs/cgroup/unified; do
          above "$root" "$path" memory.max memory.high cpu.max
        done ;;
      *,memory,*)
        above /sys/fs/cgroup/memory "$path" memory.limit_in_bytes ;;
      *,cpu,*)
        root=/sys/fs/cgroup/cpu
        [ -d "$root" ] || root=/sys/fs/cgroup/$controllers
        above "$root" "$path" cpu.cfs_quota_us cpu.cfs_period_us ;;
    esac
  done <"/proc/$pid/cgroup"
  while read -r name value; do
    case $name in Cpus_allowed_list:) say cpus "$value" ;; esac
  done <"/proc/$pid/status"
fi
# In a container only version 1 tells of a limit above it.
if [ -r /sys/fs/cgroup/memory/memory.stat ]; then
  while read -r name value; do
    case $name in hierarchical_memory_limit) say above "$value" ;; esac
  done </sys/fs/cgroup/memory/memory.stat
fi
while read -r name value _; do
  case $name in MemTotal: | MemAvailable: | SwapTotal: | HugePages_Total: | HugePages_Free: | Hugepagesize:)
    say memory "${name%:}" "$value" ;;
  esac
done </proc/meminfo
for each in shm:/dev/shm "data:$data" "wal:$data/pg_wal"; do
  path=${each#*:}
  [ -d "$path" ] || continue
  df -Pk "$path" 2>/dev/null | while read -r _ blocks _ free _ mounted; do
    case $blocks in '' | *[!0-9]*) ;; *) say disk "${each%%:*}" "$path" "$blocks" "$free" "$mounted" ;; esac
  done
done
while read -r _ _ device _ mounted rest; do
  rest=${rest#*- }; rest=${rest#* }
  say mount "$device" "$mounted" "${rest%% *}"
done </proc/self/mountinfo
for each in /sys/class/block/*; do
  device='' turns=''
  if [ -r "$each/dev" ]; then read -r device <"$each/dev"; fi
  for queue in "$each/queue" "$each/../queue"; do
    if [ -z "$turns" ] && [ -r "$queue/rotational" ]; then read -r turns <"$queue/rotational"; fi
  done
  [ -z "$device" ] || say block "${each##*/}" "$device" "$turns"
done
exit 0
"""
)
_ABOVE = "/sys/fs/cgroup/memory/memory.stat"
_LARGEST = 1 << 60  # what version 1 says where there is no limit is as large as a signed number can be
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class _Disk:
    """``size`` and ``free`` in bytes; ``mounted``: where."""

    path: str
    size: int
    free: int
    mounted: str


class Told:
    """The lines of the script, by their first word."""

    def __init__(self, out: str) -> None:
        self._rows: Dict[str, List[List[str]]] = {}
        for line in out.splitlines():
            kind, *words = line.split("\t")
            self._rows.setdefault(kind, []).append([word.strip() for word in words[:-1]])

    @property
    def knows_limits(self) -> bool:
        """Whether the limits of the server could be read at all, be there any or not."""
        return "cgroup" in self._rows

    def memory(self) -> Memory:
        host = self._in_kb("MemTotal")
        said = [*self._files("memory."), *((_ABOVE, row[0]) for row in self._of("above", 1))]
        limits = [(limit, path) for path, text in said for limit in [_limit(text, host)] if limit]
        # Of those that are as low the group's own comes first.
        limit, source = min(limits, key=itemgetter(0)) if limits else (None, None)
        return {
            "usable_bytes": (limit or host) if self.knows_limits else None,
            "limit_bytes": limit,
            "limit_from": source,
            "host_bytes": host,
            "available_bytes": self._in_kb("MemAvailable"),
            "swap_bytes": self._in_kb("SwapTotal"),
        }

    def cpus(self) -> Cpus:
        quotas = [quota for quota in (*self._quotas(), *self._old_quotas()) if quota is not None]
        allowed = self._of("cpus", 1)
        count = cpus_listed(allowed[0][0]) if allowed else None
        quota = min(quotas) if quotas else None
        return {
            "usable": count if quota is None else quota if count is None else min(quota, float(count)),
            "count": count,
            "quota": quota,
        }

    def shared_memory(self) -> Optional[SharedMemory]:
        disk = self._disk("shm")
        return None if disk is None else {"size_bytes": disk.size, "free_bytes": disk.free}

    def huge_pages(self) -> Optional[HugePages]:
        page, total, free = (
            self._in_kb("Hugepagesize"),
            self._counted("HugePages_Total"),
            self._counted("HugePages_Free"),
        )
        if not page or total is None or free is None:
            return None
        return {"page_bytes": page, "total": total, "free": free}

    def storage(self, kind: str) -> Optional[Storage]:
        """``kind``: data or wal."""
        disk = self._disk(kind)
        if disk is None:
            return None
        mounts = [row for row in self._of("mount", 3) if _unescaped(row[1]) == disk.mounted]
        for name, device, turns in self._of("block", 3):
            # Some file systems (btrfs, overlay) have a number that no device has; they name it as their source.
            if mounts and (device == mounts[-1][0] or "/dev/" + name == mounts[-1][2]):
                rotational = {"0": False, "1": True}.get(turns)
                return {"path": disk.path, "device": name, "rotational": rotational, "size_bytes": disk.size}
        return {"path": disk.path, "device": None, "rotational": None, "size_bytes": disk.size}

    def _of(self, kind: str, words: int) -> List[List[str]]:
        return [row for row in self._rows.get(kind, []) if len(row) == words]

    def _files(self, beginning: str) -> List[Tuple[str, str]]:
        rows = self._of("file", 2)
        return [(path, text) for path, text in rows if path.rpartition("/")[2].startswith(beginning)]

    def _quotas(self) -> List[Optional[float]]:
        """Version 2: time and period, in microseconds."""
        return [_quota(*text.split()[:2]) for _path, text in self._files("cpu.max") if len(text.split()) == 2]

    def _old_quotas(self) -> List[Optional[float]]:
        periods = {path.rpartition("/")[0]: text for path, text in self._files("cpu.cfs_period_us")}
        quotas = [(path.rpartition("/")[0], text) for path, text in self._files("cpu.cfs_quota_us")]
        return [_quota(text, periods.get(group, "")) for group, text in quotas]

    def _counted(self, name: str) -> Optional[int]:
        return next((whole(row[1]) for row in self._of("memory", 2) if row[0] == name), None)

    def _in_kb(self, name: str) -> Optional[int]:
        kb = self._counted(name)
        return None if kb is None else kb * 1024

    def _disk(self, kind: str) -> Optional[_Disk]:
        for own, path, blocks, left, mounted in self._of("disk", 5):
            size, free = whole(blocks), whole(left)
            if own == kind and size is not None and free is not None:
                return _Disk(path, size * 1024, free * 1024, mounted)
        return None


def _limit(text: str, host: Optional[int]) -> Optional[int]:
    """``max`` is none, nor is what is as much as the host has, or more."""
    limit = whole(text)
    return limit if limit and limit < _LARGEST and (host is None or limit < host) else None


def _quota(time: str, period: str) -> Optional[float]:
    """For how many processors there is time; ``max`` and -1 are none."""
    given, each = decimal(time), decimal(period)
    return round(given / each, 2) if given and each else None


def cpus_listed(text: str) -> Optional[int]:
    """How many are in a list such as ``0-3,8``; None for what is none."""
    count = 0
    for part in text.split(","):
        first, _dash, last = part.partition("-")
        low, high = whole(first), whole(last or first)
        if low is None or high is None or high < low:
            return None
        count += high - low + 1
    return count


def _unescaped(mounted: str) -> str:
    """Blanks and the like are octal in mountinfo (man 5 proc)."""
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 8)), mounted)
