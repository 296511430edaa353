# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the server's cgroup and of those above it, and of its kernel: a part of a shell script, and its lines."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from ..._core.numbers import whole

# A process is held to the limits of its cgroup and of all above it (a systemd slice, such as user.slice). A container
# may see its own path in a hierarchy that is mounted from its own group on: what is missing there is climbed over.
# Which files: the functions of_two ROOT GROUP, of_one_memory GROUP, of_one_cpu GROUP of the script with this part. It
# has RUNS_IN_PART before that.
GROUPS_PART = r"""
data=${1:-$PGDATA} pid=''
say() { printf '%s\t' "$@"; echo; }
if [ -r "$data/postmaster.pid" ]; then read -r pid <"$data/postmaster.pid"; fi
file() { # what file $1 says, unless nothing
  got=''
  if [ -r "$1" ]; then read -r got <"$1"; fi 2>/dev/null
  [ -z "$got" ] || say file "$1" "$got"
}
table() { # the lines "name value" of file $1
  [ -r "$1" ] || return 0
  from=$1
  while read -r key value _; do say row "$from" "$key" "$value"; done <"$1" 2>/dev/null
}
above() { # the files $3... of group $2 in the hierarchy $1, and of those above it
  root=$1 group=${2%/}; shift 2
  while :; do
    for name in "$@"; do
      case $name in
        *.stat | *.events | *.oom_control) table "$root$group/$name" ;;
        *) file "$root$group/$name" ;;
      esac
    done
    [ -n "$group" ] || break
    group=${group%/*}
  done
}
groups() {
  { runs_in "$pid" "$data" && [ -r "/proc/$pid/cgroup" ]; } || return 0
  old=''
  while IFS=: read -r _ controllers path; do
    case ,$controllers, in
      ,,)
        for each in /sys/fs/cgroup /sys/fs/cgroup/unified; do
          [ -r "$each/cgroup.controllers" ] || continue
          [ -n "$old" ] || say cgroup
          of_two "$each" "$path"
        done ;;
      *,memory,*)
        old=1
        if [ -r /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then say cgroup; fi
        of_one_memory "$path" ;;
      *,cpu,*) of_one_cpu "$path" "$controllers" ;;
    esac
  done <"/proc/$pid/cgroup"
}
kernel() {
  while read -r name value _; do
    case $name in MemTotal: | MemAvailable: | SwapTotal: | SwapFree: | \
      HugePages_Total: | HugePages_Free: | Hugepagesize:)
      say memory "${name%:}" "$value" ;;
    esac
  done </proc/meminfo
}
"""
_LARGEST = 1 << 60  # what version 1 says where there is no limit is as large as a signed number can be


class Rows:
    """The lines of the script, by their first word."""

    def __init__(self, out: str) -> None:
        self._rows: Dict[str, List[List[str]]] = {}
        for line in out.splitlines():
            kind, *words = line.split("\t")
            self._rows.setdefault(kind, []).append([word.strip() for word in words[:-1]])

    @property
    def knows_limits(self) -> bool:
        """Whether the limits of the server could be read at all, be there any or not. A container may hide them."""
        return "cgroup" in self._rows

    def of(self, kind: str, words: int) -> List[List[str]]:
        return [row for row in self._rows.get(kind, []) if len(row) == words]

    def files(self, beginning: str) -> List[Tuple[str, str]]:
        """Path and first line of those whose name begins so, those of the server's own group first."""
        rows = self.of("file", 2)
        return [(path, text) for path, text in rows if path.rpartition("/")[2].startswith(beginning)]

    def counted(self, name: str) -> Optional[int]:
        return next((whole(row[1]) for row in self.of("memory", 2) if row[0] == name), None)

    def in_kb(self, name: str) -> Optional[int]:
        """As bytes."""
        kb = self.counted(name)
        return None if kb is None else kb * 1024


def limit(text: str, host: Optional[int]) -> Optional[int]:
    """``max`` is none, nor is what is as much as the host has, or more."""
    found = whole(text)
    return found if found and found < _LARGEST and (host is None or found < host) else None
