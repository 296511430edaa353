# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, processors, /dev/shm and storage as the server's processes see them. A shell, df, and files of the kernel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, List, Optional

from ..._core.numbers import decimal, whole
from ..shell import RUNS_IN_PART
from .groups import GROUPS_PART, Rows
from .groups import limit as below

if TYPE_CHECKING:
    from ..._model.capacity import Cpus, HugePages, Memory, SharedMemory, Storage

CAPACITY_SH = (
    RUNS_IN_PART
    + GROUPS_PART
    + r"""
of_two() { above "$@" memory.max memory.high cpu.max; }
of_one_memory() { above /sys/fs/cgroup/memory "$1" memory.limit_in_bytes; }
of_one_cpu() {
  at=/sys/fs/cgroup/cpu
  [ -d "$at" ] || at=/sys/fs/cgroup/$2
  above "$at" "$1" cpu.cfs_quota_us cpu.cfs_period_us
}
groups
if runs_in "$pid" "$data"; then
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
kernel
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
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class _Disk:
    """``size`` and ``free`` in bytes; ``mounted``: where."""

    path: str
    size: int
    free: int
    mounted: str


class Told(Rows):
    """What the script told."""

    def memory(self) -> Memory:
        host = self.in_kb("MemTotal")
        said = [*self.files("memory."), *((_ABOVE, row[0]) for row in self.of("above", 1))]
        limits = [(limit, path) for path, text in said for limit in [below(text, host)] if limit]
        # Of those that are as low the group's own comes first.
        limit, source = min(limits, key=itemgetter(0)) if limits else (None, None)
        return {
            "usable_bytes": (limit or host) if self.knows_limits else None,
            "limit_bytes": limit,
            "limit_from": source,
            "host_bytes": host,
            "available_bytes": self.in_kb("MemAvailable"),
            "swap_bytes": self.in_kb("SwapTotal"),
        }

    def cpus(self) -> Cpus:
        quotas = [quota for quota in (*self._quotas(), *self._old_quotas()) if quota is not None]
        allowed = self.of("cpus", 1)
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
            self.in_kb("Hugepagesize"),
            self.counted("HugePages_Total"),
            self.counted("HugePages_Free"),
        )
        if not page or total is None or free is None:
            return None
        return {"page_bytes": page, "total": total, "free": free}

    def storage(self, kind: str) -> Optional[Storage]:
        """``kind``: data or wal."""
        disk = self._disk(kind)
        if disk is None:
            return None
        mounts = [row for row in self.of("mount", 3) if _unescaped(row[1]) == disk.mounted]
        for name, device, turns in self.of("block", 3):
            # Some file systems (btrfs, overlay) have a number that no device has; they name it as their source.
            if mounts and (device == mounts[-1][0] or "/dev/" + name == mounts[-1][2]):
                rotational = {"0": False, "1": True}.get(turns)
                return {"path": disk.path, "device": name, "rotational": rotational, "size_bytes": disk.size}
        return {"path": disk.path, "device": None, "rotational": None, "size_bytes": disk.size}

    def _quotas(self) -> List[Optional[float]]:
        """Version 2: time and period, in microseconds."""
        return [_quota(*text.split()[:2]) for _path, text in self.files("cpu.max") if len(text.split()) == 2]

    def _old_quotas(self) -> List[Optional[float]]:
        periods = {path.rpartition("/")[0]: text for path, text in self.files("cpu.cfs_period_us")}
        quotas = [(path.rpartition("/")[0], text) for path, text in self.files("cpu.cfs_quota_us")]
        return [_quota(text, periods.get(group, "")) for group, text in quotas]

    def _disk(self, kind: str) -> Optional[_Disk]:
        for own, path, blocks, left, mounted in self.of("disk", 5):
            size, free = whole(blocks), whole(left)
            if own == kind and size is not None and free is not None:
                return _Disk(path, size * 1024, free * 1024, mounted)
        return None


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
