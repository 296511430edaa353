# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The most that a server may take of its memory and of /dev/shm with given settings, as a sum that can be read.

PostgreSQL's manual, "Resource Consumption": work_mem is for each sort or hash (a hash takes hash_mem_multiplier times
as much) of each session *and* each parallel worker; maintenance_work_mem is taken by each autovacuum worker. One
sort or hash a session is counted: a query can have more, and most have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, List, Mapping

from ...module_utils._core.text import size
from .units import kilobytes

_GB = 1 << 20
# PostgreSQL's own, where the server did not tell.
_DEFAULTS = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "work_mem": "4MB",
    "maintenance_work_mem": "64MB",
    "autovacuum_work_mem": "-1",
    "autovacuum_max_workers": "3",
    "wal_buffers": "4MB",
    "max_worker_processes": "8",
    "max_parallel_workers": "8",
    "max_parallel_workers_per_gather": "2",
    "max_parallel_maintenance_workers": "2",
    "dynamic_shared_memory_type": "posix",
}


@dataclass(frozen=True)
class Part:
    """``how``: the multiplication, in the settings' own names."""

    name: str
    kb: int
    how: str

    @property
    def words(self) -> str:
        return "%s (%s)" % (self.how, size(self.kb * 1024))


class Settings:
    """The settings that a server would have: what it has, with what is planned on top. ``version``: its major one."""

    def __init__(self, version: int, live: Mapping[str, Any], planned: Mapping[str, Any]) -> None:
        given = {name: value for name, value in planned.items() if value is not None}
        self.version = version
        self._values = {**_DEFAULTS, "hash_mem_multiplier": "1" if version < 15 else "2", **live, **given}

    def text(self, name: str) -> str:
        return str(self._values[name])

    def whole(self, name: str) -> int:
        try:
            return int(self.text(name))
        except ValueError:
            raise ValueError("%s is %r: give a whole number" % (name, self.text(name))) from None

    def kb(self, name: str) -> int:
        return kilobytes(name, self.text(name))

    @property
    def wal_buffers_kb(self) -> int:
        """-1 is a 32nd of shared_buffers, 16 MB at most."""
        if self.text("wal_buffers") == "-1":
            return min(self.kb("shared_buffers") // 32, 16 << 10)
        return self.kb("wal_buffers")

    @property
    def hash_times(self) -> float:
        """How many times work_mem one hash may take."""
        name = "hash_mem_multiplier"
        try:
            return max(1.0, float(self.text(name)))
        except ValueError:
            raise ValueError("%s is %r: give a number" % (name, self.text(name))) from None

    @property
    def hash_kb(self) -> int:
        return int(self.kb("work_mem") * self.hash_times)

    @property
    def parallel_workers(self) -> int:
        if not self.whole("max_parallel_workers_per_gather"):
            return 0
        return min(self.whole("max_parallel_workers"), self.whole("max_worker_processes"))

    @property
    def vacuum_kb(self) -> int:
        """Of one autovacuum worker. Before 17, VACUUM never uses more than 1 GB."""
        own = self.text("autovacuum_work_mem")
        return self.limited(self.kb("maintenance_work_mem" if own in ("-1", "-1kB") else "autovacuum_work_mem"))

    def limited(self, kb: int) -> int:
        return kb if self.version >= 17 else min(kb, _GB)


def memory(settings: Settings) -> List[Part]:
    each = "work_mem %s x hash_mem_multiplier %s" % (settings.text("work_mem"), settings.text("hash_mem_multiplier"))
    connections, workers = settings.whole("max_connections"), settings.parallel_workers
    vacuums = settings.whole("autovacuum_max_workers")
    return [
        Part("shared_buffers", settings.kb("shared_buffers"), "shared_buffers"),
        Part("connections", connections * settings.hash_kb, "max_connections %d x %s" % (connections, each)),
        Part("parallel workers", workers * settings.hash_kb, "parallel workers %d x %s" % (workers, each)),
        Part(
            "autovacuum",
            vacuums * settings.vacuum_kb,
            "autovacuum_max_workers %d x %s" % (vacuums, size(settings.vacuum_kb * 1024)),
        ),
        Part("wal_buffers", settings.wal_buffers_kb, "wal_buffers"),
    ]


def shared_memory(settings: Settings) -> List[Part]:
    """What parallel queries and one parallel VACUUM may take of /dev/shm. Manual, dynamic_shared_memory_type: posix.

    A parallel hash is shared by the leader and its workers, and may be as large as those of all of them.
    """
    if settings.text("dynamic_shared_memory_type") != "posix":
        return []
    parts = []
    gather = min(settings.whole("max_parallel_workers_per_gather"), settings.parallel_workers)
    if gather:
        queries = max(settings.parallel_workers // gather, 1)
        how = "parallel queries %d x processes %d x work_mem %s x hash_mem_multiplier %s" % (
            queries,
            gather + 1,
            settings.text("work_mem"),
            settings.text("hash_mem_multiplier"),
        )
        parts.append(Part("parallel queries", queries * (gather + 1) * settings.hash_kb, how))
    if settings.whole("max_parallel_maintenance_workers"):
        kb = settings.limited(settings.kb("maintenance_work_mem"))
        parts.append(Part("parallel VACUUM", kb, "parallel VACUUM maintenance_work_mem"))
    return parts


def total(parts: Iterable[Part]) -> int:
    return sum(part.kb for part in parts)


def words(parts: Iterable[Part]) -> str:
    return " + ".join(part.words for part in parts if part.kb)
