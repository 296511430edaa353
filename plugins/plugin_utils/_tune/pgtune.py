# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PGTune's formulas for Linux and PostgreSQL 13 to 18, as of 2026-07 (https://github.com/le0pard/pgtune, 7caef27).

Sizes are in kB, as there. The memory is what the server may use. Not taken over: wal_compression and io_method, which
need a server built with lz4 or liburing and a container that may call io_uring; jit, wal_level and min_wal_size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, Optional

_MB, _GB = 1 << 10, 1 << 20

WORKLOADS = ("web", "oltp", "dw", "mixed", "desktop")
# What a disk answers at once: effective_io_concurrency.
CONCURRENCY = {"hdd": 2, "ssd": 200, "san": 300, "nvme": 1000}
DATABASES = ("less_ram", "mid_ram", "greater_ram")  # fits into the memory; up to three times as large; larger
_WAL_MB = {"web": 4096, "oltp": 8192, "dw": 16384, "mixed": 4096, "desktop": 2048}
WORKERS = 8  # PostgreSQL's own max_worker_processes and max_parallel_workers
LEAST_WORK_MEM_KB = 4 * _MB  # PostgreSQL's own


@dataclass(frozen=True)
class Machine:
    """``storage``: None, where nobody knows. ``database``: one of DATABASES."""

    memory_kb: int
    cpus: Optional[int]
    connections: int
    workload: str
    storage: Optional[str]
    database: str


def database_class(database_bytes: Optional[int], memory_kb: int) -> str:
    """PGTune's form asks for it: less than the memory, one to three times as much, more. Unknown is the middle."""
    if database_bytes is None:
        return "mid_ram"
    times = database_bytes / (memory_kb * 1024)
    return "less_ram" if times < 1 else "mid_ram" if times <= 3 else "greater_ram"


def shared_buffers_kb(machine: Machine) -> int:
    return machine.memory_kb // (16 if machine.workload == "desktop" else 4)


def effective_cache_size_kb(machine: Machine) -> int:
    return machine.memory_kb // 4 if machine.workload == "desktop" else machine.memory_kb * 3 // 4


def maintenance_work_mem_kb(machine: Machine) -> int:
    """A sixteenth of the memory, an eighth for a data warehouse, 8 GB at most."""
    return min(machine.memory_kb // (8 if machine.workload == "dw" else 16), 8 * _GB)


def autovacuum_work_mem_kb(machine: Machine) -> Optional[int]:
    """2 GB where maintenance_work_mem is as much or more, for each of several workers takes it."""
    return 2 * _GB if maintenance_work_mem_kb(machine) >= 2 * _GB else None


def max_wal_size_kb(machine: Machine) -> int:
    return _WAL_MB[machine.workload] * _MB


def work_mem_kb(machine: Machine, shared_buffers: int) -> int:
    """What is left beside shared_buffers, for three sorts or hashes in each session and each parallel worker."""
    workers = parallel(machine).get("max_worker_processes", WORKERS)
    size = (machine.memory_kb - shared_buffers) / ((machine.connections + workers) * 3)
    kb = math.floor(size / {"dw": 2, "mixed": 2, "desktop": 6}.get(machine.workload, 1))
    kb = math.floor(kb * {"less_ram": 1.3, "greater_ram": 0.9}.get(machine.database, 1))
    return max(kb, LEAST_WORK_MEM_KB)


def huge_pages(shared_buffers: int) -> str:
    return "try" if shared_buffers >= 2 * _GB else "off"


def random_page_cost(machine: Machine) -> Optional[float]:
    """None where the storage is not known and it matters. What fits into memory is read from there."""
    if machine.database == "less_ram":
        return 1.1
    if machine.workload == "dw":
        return 4.0
    return None if machine.storage is None else 4.0 if machine.storage == "hdd" else 1.1


def effective_io_concurrency(machine: Machine) -> Optional[int]:
    return None if machine.storage is None else CONCURRENCY[machine.storage]


def parallel(machine: Machine) -> Dict[str, int]:
    """Half of the processors for one query, four at most unless it is a data warehouse. Nothing below four of them."""
    if machine.cpus is None or machine.cpus < 4:
        return {}
    half = math.ceil(machine.cpus / 2)
    return {
        "max_worker_processes": machine.cpus,
        "max_parallel_workers_per_gather": half if machine.workload == "dw" else min(half, 4),
        "max_parallel_workers": machine.cpus,
        "max_parallel_maintenance_workers": min(half, 4),
    }
