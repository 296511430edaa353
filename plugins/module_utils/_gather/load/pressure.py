# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pressure stall information of the server's cgroup (version 2), else of its host. The shell's own commands only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from ..._core.errors import TargetError
from ..._core.numbers import decimal

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.load import Pressure
    from ..target import Target

PRESSURE_SH = r"""
data=${1:-$PGDATA} pid=''
if [ -r "$data/postmaster.pid" ]; then read -r pid <"$data/postmaster.pid"; fi
group=/none
if [ -n "$pid" ] && [ -r "/proc/$pid/cgroup" ]; then
  while IFS=: read -r _ controllers path; do [ -n "$controllers" ] || group=$path; done <"/proc/$pid/cgroup"
fi
root=/sys/fs/cgroup
[ -r "$root/cgroup.controllers" ] || root=$root/unified
group=$root${group%/}
told() {
  [ -r "$3" ] || return 1
  none=1
  while read -r kind ten sixty _; do echo "$1 $2 $kind $ten $sixty"; none=0; done <"$3" 2>/dev/null
  return $none
}
for each in cpu io memory; do
  # The root of all groups, which has no type, is the host.
  { [ -e "$group/cgroup.type" ] && told cgroup $each "$group/$each.pressure"; } ||
    told host $each "/proc/pressure/$each"
done
exit 0
"""


def pressure(target: Target, deadline: Deadline) -> List[Pressure]:
    """Empty where the kernel does not tell. Raises TargetError where nothing can be run beside the server."""
    directory = target.runtime.session_settings().get("data_directory") or ""
    done = target.runtime.run_beside(["sh", "-c", PRESSURE_SH, "-", directory], deadline)
    if done.code:
        raise TargetError(
            "reading it beside the server failed: %s" % (done.err.strip().splitlines() or ["no reason given"])[-1]
        )
    return parsed(done.out)


def parsed(out: str) -> List[Pressure]:
    """Lines such as ``cgroup cpu some avg10=0.12 avg60=0.40``."""
    found: Dict[Tuple[str, str], Dict[str, Any]] = {}
    for line in out.splitlines():
        words = line.split()
        if len(words) != 5 or words[2] not in ("some", "full"):
            continue
        row = found.setdefault((words[1], words[0]), {})
        for average, seconds in zip(words[3:], ("10s", "60s")):
            row["%s_percent_%s" % (words[2], seconds)] = decimal(average.partition("=")[2])
    return [
        {
            "resource": resource,
            "source": source,
            "some_percent_10s": row["some_percent_10s"],
            "some_percent_60s": row["some_percent_60s"],
            "full_percent_10s": row.get("full_percent_10s"),
            "full_percent_60s": row.get("full_percent_60s"),
        }
        for (resource, source), row in found.items()
        if row.get("some_percent_10s") is not None and row.get("some_percent_60s") is not None
    ]
