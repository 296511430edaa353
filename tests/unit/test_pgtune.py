# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PGTune's formulas, held to the results that PGTune's own tests expect.

Source of the figures: https://github.com/le0pard/pgtune, commit 7caef27 (2026-07-30),
src/features/configuration/__tests__/configurationSlice.test.js; those for Linux and PostgreSQL 13 to 18.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._tune import pgtune
from ansible_collections.oncall.postgresql.plugins.plugin_utils._tune.pgtune import Machine

GB = 1 << 20  # in kB


def machine(**given: Any) -> Machine:
    values = {"memory_kb": 64 * GB, "cpus": None, "connections": 200, "workload": "web", "storage": "ssd"}
    return Machine(**{**values, "database": "mid_ram", **given})


@pytest.mark.parametrize(
    ("storage", "workload", "database", "expected"),
    [
        ("hdd", "web", "mid_ram", 4),
        ("ssd", "web", "mid_ram", 1.1),
        ("san", "web", "mid_ram", 1.1),
        ("nvme", "web", "mid_ram", 1.1),
        ("hdd", "web", "less_ram", 1.1),
        ("ssd", "dw", "mid_ram", 4),
        ("ssd", "dw", "less_ram", 1.1),
        (None, "web", "mid_ram", None),  # ours: PGTune always knows
    ],
)
def test_random_page_cost(storage: str, workload: str, database: str, expected: float) -> None:
    assert pgtune.random_page_cost(machine(storage=storage, workload=workload, database=database)) == expected


@pytest.mark.parametrize(("storage", "expected"), [("hdd", 2), ("ssd", 200), ("san", 300), ("nvme", 1000)])
def test_effective_io_concurrency(storage: str, expected: int) -> None:
    assert pgtune.effective_io_concurrency(machine(storage=storage)) == expected


@pytest.mark.parametrize(
    ("cpus", "workload", "expected"),
    [
        (1, "web", {}),
        (12, "web", (12, 4, 12, 4)),
        (31, "web", (31, 4, 31, 4)),  # PGTune: for PostgreSQL 10, which has no fourth
        (31, "dw", (31, 16, 31, 4)),
    ],
)
def test_parallel_workers(cpus: int, workload: str, expected: Any) -> None:
    names = ["worker_processes", "parallel_workers_per_gather", "parallel_workers", "parallel_maintenance_workers"]
    found = pgtune.parallel(machine(cpus=cpus, workload=workload))
    assert found == {"max_" + name: value for name, value in zip(names, expected)}


@pytest.mark.parametrize(("gb", "kb"), [(256, 8388608), (16, 1048576)])
def test_maintenance_work_mem(gb: int, kb: int) -> None:
    assert pgtune.maintenance_work_mem_kb(machine(memory_kb=gb * GB)) == kb


@pytest.mark.parametrize(("gb", "kb"), [(4, None), (256, 2097152)])
def test_autovacuum_work_mem(gb: int, kb: int) -> None:
    assert pgtune.autovacuum_work_mem_kb(machine(memory_kb=gb * GB)) == kb


@pytest.mark.parametrize(("gb", "expected"), [(4, "off"), (16, "try")])
def test_huge_pages(gb: int, expected: str) -> None:
    assert pgtune.huge_pages(pgtune.shared_buffers_kb(machine(memory_kb=gb * GB))) == expected


def work_mem(**given: Any) -> int:
    it = machine(**given)
    return pgtune.work_mem_kb(it, pgtune.shared_buffers_kb(it))


def test_work_mem() -> None:
    assert work_mem(memory_kb=4 * GB, connections=9999, cpus=4) == 4096
    # PGTune's comment for Windows and PostgreSQL 18, where the formula is the same.
    assert work_mem(memory_kb=256 * GB, connections=20, cpus=4) == 2796202
    assert work_mem(database="less_ram") == int(work_mem() * 1.3)
    assert work_mem(database="greater_ram") == int(work_mem() * 0.9)


# Not in PGTune's tests: what its formulas give by hand, for (memory in GB, processors, connections, workload).
@pytest.mark.parametrize(
    ("gb", "cpus", "connections", "workload", "buffers", "cache", "sort", "wal"),
    [
        (16, 8, 200, "web", 4 * GB, 12 * GB, 20164, 4 * GB),  # 12 GB / (208 x 3)
        (16, 8, 300, "oltp", 4 * GB, 12 * GB, 13617, 8 * GB),  # 12 GB / (308 x 3)
        (64, 16, 40, "dw", 16 * GB, 48 * GB, 149796, 16 * GB),  # 48 GB / (56 x 3) / 2
        (8, 2, 100, "mixed", 2 * GB, 6 * GB, 9709, 4 * GB),  # 6 GB / (108 x 3) / 2
        (8, 4, 20, "desktop", GB // 2, 2 * GB, 18204, 2 * GB),  # 7.5 GB / (24 x 3) / 6
    ],
)
def test_whole_machines(
    gb: int, cpus: int, connections: int, workload: str, buffers: int, cache: int, sort: int, wal: int
) -> None:
    it = machine(memory_kb=gb * GB, cpus=cpus, connections=connections, workload=workload)
    assert pgtune.shared_buffers_kb(it) == buffers
    assert pgtune.effective_cache_size_kb(it) == cache
    assert pgtune.work_mem_kb(it, buffers) == sort
    assert pgtune.max_wal_size_kb(it) == wal


@pytest.mark.parametrize(
    ("database_gb", "expected"),
    [(None, "mid_ram"), (7, "less_ram"), (8, "mid_ram"), (24, "mid_ram"), (25, "greater_ram")],
)
def test_the_class_of_a_database(database_gb: Any, expected: str) -> None:
    size = None if database_gb is None else database_gb << 30
    assert pgtune.database_class(size, 8 * GB) == expected
