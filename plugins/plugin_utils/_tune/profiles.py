# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two profiles: which value each setting is to have, and where that comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional

from ...module_utils._core.text import size
from . import pgtune
from .given import Given, Wishes, in_huge_pages_kb
from .units import kilobytes, seconds, written
from .worst_case import Settings, memory, total

_GB = 1 << 20
# The runbook's recommended settings, to the letter.
RUNBOOK = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "checkpoint_completion_target": "0.9",
    "wal_buffers": "16MB",
    "default_statistics_target": "100",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
}


# All that either profile sets on some machine.
NAMES = tuple(
    sorted(
        (
            *RUNBOOK,
            "autovacuum_work_mem",
            "effective_io_concurrency",
            "huge_pages",
            "maintenance_work_mem",
            "max_parallel_maintenance_workers",
            "max_parallel_workers",
            "max_parallel_workers_per_gather",
            "max_wal_size",
            "max_worker_processes",
            "random_page_cost",
            "work_mem",
        )
    )
)


@dataclass(frozen=True)
class Value:
    """``source``: runbook, PGTune, measured, override, ... in a word or two."""

    value: str
    source: str


def runbook() -> Dict[str, Value]:
    return {name: Value(value, "runbook") for name, value in RUNBOOK.items()}


def sized(given: Given, wishes: Wishes, notes: List[str]) -> Dict[str, Value]:
    """Raises ValueError where the memory is unknown, or an override is no value."""
    if given.memory_kb is None:
        raise ValueError("the memory that the server may use is unknown: give tuning_memory, such as 8GB")
    told = Settings(given.version, given.live, {**RUNBOOK, **wishes.overrides})  # None: as it is
    machine = pgtune.Machine(
        memory_kb=given.memory_kb,
        cpus=given.cpus,
        connections=told.whole("max_connections"),
        workload=wishes.workload,
        storage=given.storage,
        database=pgtune.database_class(given.database_bytes, given.memory_kb),
    )
    buffers = pgtune.shared_buffers_kb(machine)
    if "shared_buffers" in wishes.overrides:
        buffers = told.kb("shared_buffers")
    maintenance = pgtune.maintenance_work_mem_kb(machine)
    cache = pgtune.effective_cache_size_kb(machine)
    values: Dict[str, Any] = {
        "shared_buffers": written(buffers),
        "effective_cache_size": written(cache if given.alone else min(cache, given.memory_kb // 2)),
        "maintenance_work_mem": written(maintenance),
        "random_page_cost": pgtune.random_page_cost(machine),
        "effective_io_concurrency": pgtune.effective_io_concurrency(machine),
        **pgtune.parallel(machine),
    }
    autovacuum = pgtune.autovacuum_work_mem_kb(machine)
    if autovacuum is not None:
        values["autovacuum_work_mem"] = written(autovacuum)
    found = runbook()
    found.update({name: Value(str(value), "PGTune") for name, value in values.items() if value is not None})
    if "huge_pages" not in wishes.overrides:
        found["huge_pages"] = _huge_pages(given, buffers, notes)
    if "max_wal_size" not in wishes.overrides:
        found["max_wal_size"] = _max_wal_size(pgtune.max_wal_size_kb(machine), given, notes)
    if "work_mem" not in wishes.overrides:
        found["work_mem"] = _work_mem(pgtune.work_mem_kb(machine, buffers), found, given, wishes, notes)
    return found


def _huge_pages(given: Given, buffers: int, notes: List[str]) -> Value:
    """Also for less than PGTune has them for, where the host has set enough of them aside."""
    needed = in_huge_pages_kb(buffers)
    holds = given.huge_kb >= needed
    if holds and given.live.get("huge_pages") == "on":
        return Value("on", "as it is")
    wanted = pgtune.huge_pages(buffers)
    if wanted == "try" and not holds and given.huge_page_kb:
        notes.append(
            "huge_pages is try, and the host has not set enough aside: it takes about vm.nr_hugepages = %d (exactly: "
            "postgres -C shared_memory_size_in_huge_pages, PostgreSQL 15 or newer). Until then ordinary pages are used."
            % math.ceil(needed / given.huge_page_kb)
        )
    return Value("try", "huge pages set aside") if holds else Value(wanted, "PGTune")


def _max_wal_size(kb: int, given: Given, notes: List[str]) -> Value:
    """So that checkpoints come by time, and not because so much was written; at most a quarter of the disk.

    PostgreSQL's manual, "WAL Configuration": one starts before the log since the last one, and what is kept of the one
    before, is max_wal_size. In powers of two, and kept until half would do: it does not move with the load.
    """
    source = "PGTune"
    if given.wal_bytes_per_second is not None:
        between = seconds(given.live.get("checkpoint_timeout", "5min"))
        target = float(RUNBOOK["checkpoint_completion_target"])
        needed = given.wal_bytes_per_second * between * (1 + target) / 1024
        if needed > kb:
            kb, source = _GB * 2 ** math.ceil(math.log2(needed / _GB)), "measured WAL rate"
        live = kilobytes("max_wal_size", given.live.get("max_wal_size", "1GB"))
        if kb < live <= 2 * kb:
            kb, source = live, "as it is"
    if given.wal_disk_kb is not None and kb > given.wal_disk_kb // 4:
        kb, source = given.wal_disk_kb // 4, "disk"
        notes.append("max_wal_size is limited to %s, a quarter of the disk that pg_wal is on." % size(kb * 1024))
    return Value(written(kb), source)


def _work_mem(kb: int, found: Mapping[str, Value], given: Given, wishes: Wishes, notes: List[str]) -> Value:
    """PGTune's, or less where the worst case would not fit; never less than PostgreSQL's own."""
    planned = {**{name: value.value for name, value in found.items()}, **wishes.overrides, "work_mem": "0kB"}
    rest = Settings(given.version, given.live, planned)
    takers = (rest.whole("max_connections") + rest.parallel_workers) * rest.hash_times
    left = int(((budget_kb(given, wishes) or 0) - total(memory(rest))) / takers)
    if kb <= left:
        return Value(written(kb), "PGTune")
    lowered = max(left, pgtune.LEAST_WORK_MEM_KB)
    if lowered < kb:
        said = "work_mem is %s: with PGTune's %s the worst case would not fit into the memory."
        notes.append(said % (written(lowered), written(kb)))
    return Value(written(lowered), "memory")


def budget_kb(given: Given, wishes: Wishes) -> Optional[int]:
    return None if given.memory_kb is None else given.memory_kb * wishes.memory_percent // 100
