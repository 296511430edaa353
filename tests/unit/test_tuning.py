# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: by profile, machine and what the server has now; what it refuses, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as some

from ansible_collections.oncall.postgresql.plugins.filter.tuning import tuning
from ansible_collections.oncall.postgresql.plugins.plugin_utils._tune import given as facts
from ansible_collections.oncall.postgresql.plugins.plugin_utils._tune.pgtune import CONCURRENCY, WORKLOADS
from ansible_collections.oncall.postgresql.plugins.plugin_utils._tune.units import kilobytes, seconds, written

MB, GB = 1 << 20, 1 << 30
LIVE = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "4GB",
    "work_mem": "4MB",
    "hash_mem_multiplier": "2",
    "maintenance_work_mem": "64MB",
    "autovacuum_work_mem": "-1",
    "autovacuum_max_workers": "3",
    "wal_buffers": "4MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "5min",
    "max_worker_processes": "8",
    "max_parallel_workers": "8",
    "max_parallel_workers_per_gather": "2",
    "max_parallel_maintenance_workers": "2",
    "dynamic_shared_memory_type": "posix",
    "huge_pages": "try",
}


def info(
    memory: Any = 16 * GB, limit: Any = None, cpus: Any = 8, version: str = "17.5", live: Any = None, **more: Any
) -> dict[str, Any]:
    usable = memory if limit is None else limit
    capacity = {
        "memory": {
            "usable_bytes": usable,
            "limit_bytes": limit,
            "limit_from": limit and "/sys/fs/cgroup/memory.max",
            "host_bytes": memory,
            "available_bytes": memory,
            "swap_bytes": 0,
        },
        "cpus": {"usable": cpus, "count": cpus, "quota": None},
        "shared_memory": {"size_bytes": 8 * GB, "free_bytes": 8 * GB},
        "huge_pages": {"page_bytes": 2 * MB, "total": 0, "free": 0},
        "data": {"path": "/data", "device": "sda", "rotational": False, "size_bytes": 1000 * GB},
        "wal": {"path": "/data/pg_wal", "device": "sda", "rotational": False, "size_bytes": 1000 * GB},
        "database_bytes": 2 * (usable or 0),
        "wal_rate": None,
        "clients": 0,
        "settings": {**LIVE, **(live or {})},
    }
    return {"target": {"version": version}, "capacity": {**capacity, **more}}


def shm(size: int) -> dict[str, int]:
    return {"size_bytes": size, "free_bytes": size}


def rate(bytes_per_second: float) -> dict[str, Any]:
    return {"bytes_per_second": bytes_per_second, "seconds": 86400.0, "source": "pg_stat_wal"}


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


def test_the_runbook_to_the_letter() -> None:
    plan = tuning(info(), profile="runbook")
    assert plan["settings"] == RUNBOOK
    assert plan["refused"] == []


def test_sized_by_the_memory_of_the_host() -> None:
    plan = tuning(info(), workload="web")
    assert plan["settings"] == {
        **RUNBOOK,
        "shared_buffers": "4GB",
        "effective_cache_size": "12GB",
        "work_mem": "38836kB",  # 12 GB / (108 x 3)
        "maintenance_work_mem": "1GB",
        "max_wal_size": "4GB",
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        "huge_pages": "try",
        "max_worker_processes": "8",
        "max_parallel_workers": "8",
        "max_parallel_workers_per_gather": "4",
        "max_parallel_maintenance_workers": "4",
    }
    assert plan["memory"]["from"] == "the host's memory" and plan["refused"] == []
    row = next(each for each in plan["table"] if each["name"] == "shared_buffers")
    assert row == {"name": "shared_buffers", "before": "128MB", "after": "4GB", "source": "PGTune"}


def test_a_limit_is_the_memory() -> None:
    plan = tuning(info(memory=64 * GB, limit=4 * GB, cpus=2))
    assert plan["settings"]["shared_buffers"] == "1GB"
    assert plan["memory"]["has_bytes"] == 4 * GB and "memory.max" in plan["memory"]["from"]
    assert "max_worker_processes" not in plan["settings"]  # PGTune: from four processors on


def test_the_worst_case_is_written_out_and_refused() -> None:
    plan = tuning(info(memory=64 * GB, limit=1 * GB, cpus=1), profile="runbook")
    parts = {part["name"]: part["bytes"] // MB for part in plan["memory"]["parts"]}
    assert parts == {
        "shared_buffers": 256,
        "connections": 100 * 4 * 2,
        "parallel workers": 8 * 4 * 2,
        "autovacuum": 3 * 64,
        "wal_buffers": 16,
    }
    assert plan["memory"]["worst_case_bytes"] == 1328 * MB
    (said,) = plan["refused"]
    assert said == (
        "Worst case 1.3 GiB of memory does not fit into 1 GiB: shared_buffers (256 MiB) + max_connections 100 x "
        "work_mem 4MB x hash_mem_multiplier 2 (800 MiB) + parallel workers 8 x work_mem 4MB x hash_mem_multiplier 2 "
        "(64 MiB) + autovacuum_max_workers 3 x 64 MiB (192 MiB) + wal_buffers (16 MiB). Lower max_connections to 62 "
        "(a pooler in front), or work_mem; give it more memory; or accept it with tuning_memory_percent."
    )
    assert tuning(info(limit=1 * GB), profile="runbook", overrides={"max_connections": 62})["refused"] == []
    assert tuning(info(limit=1 * GB), profile="runbook", overrides={"max_connections": 63})["refused"] != []
    assert tuning(info(limit=1 * GB), profile="runbook", memory_percent=130)["refused"] == []


def test_the_plan_can_be_read() -> None:
    plan = tuning(info(limit=1 * GB, cpus=1, shared_memory=None), profile="runbook")
    assert "shared_buffers                       128MB -> 256MB  (runbook)" in plan["text"]
    assert "statement_timeout                    ? -> 30s  (runbook)" in plan["text"]
    assert "max_connections                      100  (runbook)" in plan["text"]
    (memory,) = [line for line in plan["text"] if line.startswith("Memory")]
    assert memory.startswith("Memory: worst case 1.3 GiB of 1 GiB (limit of /sys/fs/cgroup/memory.max): shared_buffers")
    assert any(line.startswith("/dev/shm: worst case 160 MiB of an unknown size: parallel") for line in plan["text"])
    assert plan["text"][-1] == "Refused: " + plan["refused"][0]
    reset = tuning(info(), state="absent")
    assert "work_mem                             4MB -> reset  (reset)" in reset["text"]


def test_what_does_not_grow_is_said_and_not_refused() -> None:
    """A second run after the first was accepted. Fewer connections are no room for more shared_buffers, though."""
    live = {"max_connections": "500", "shared_buffers": "256MB", "wal_buffers": "16MB"}
    plan = tuning(info(limit=1 * GB, live=live), profile="runbook")
    assert plan["refused"] == []
    assert any(note.startswith("No part of it grows (now: 4.4 GiB). Worst case 1.3 GiB") for note in plan["notes"])
    live["shared_buffers"] = "255MB"
    assert "Worst case 1.3 GiB" in tuning(info(limit=1 * GB, live=live), profile="runbook")["refused"][0]


@pytest.mark.parametrize(
    ("version", "times", "vacuum"), [("14.9", 1, 3 * 1024), ("16.1", 2, 3 * 1024), ("17.0", 2, 6144)]
)
def test_versions_differ(version: str, times: int, vacuum: int) -> None:
    """hash_mem_multiplier is 1 before 15; before 17, VACUUM takes no more than 1 GB."""
    live = {name: value for name, value in LIVE.items() if name != "hash_mem_multiplier"}
    known = info(memory=32 * GB, version=version)
    known["capacity"]["settings"] = live
    parts = {
        part["name"]: part["bytes"] // MB for part in tuning(known, overrides={"work_mem": "4MB"})["memory"]["parts"]
    }
    assert parts["connections"] == 100 * 4 * times
    assert parts["autovacuum"] == vacuum


def test_work_mem_is_lowered_until_the_worst_case_fits() -> None:
    """What fits into memory gets 30 % more work_mem from PGTune: with hashes twice as large it would be too much."""
    plan = tuning(info(database_bytes=GB), workload="web")
    assert plan["refused"] == []
    assert plan["settings"]["work_mem"] == "43614kB"
    assert "work_mem is 43614kB: with PGTune's 50486kB the worst case" in " ".join(plan["notes"])
    assert 0.98 < plan["memory"]["worst_case_bytes"] / (16 * GB) <= 1
    assert "work_mem" not in " ".join(tuning(info(database_bytes=GB), overrides={"work_mem": "8MB"})["notes"])


def test_too_small_a_container_is_refused() -> None:
    plan = tuning(info(limit=256 * MB, cpus=1))
    assert plan["settings"]["shared_buffers"] == "64MB" and plan["settings"]["work_mem"] == "4MB"
    assert "does not fit into 256 MiB" in plan["refused"][0]


def test_shared_memory_of_a_container() -> None:
    """Docker's own 64 MiB: the runbook's settings take no more of it than before; sized ones would."""
    small = info(limit=4 * GB, cpus=4, shared_memory=shm(64 * MB))
    assert tuning(small, profile="runbook")["refused"] == []
    (said,) = tuning(small)["refused"]
    assert "/dev/shm does not fit into 64 MiB" in said and "shm_size" in said
    off = {"max_parallel_workers_per_gather": 0, "max_parallel_maintenance_workers": 0}
    assert tuning(small, overrides=off)["refused"] == []
    assert tuning(info(limit=4 * GB, cpus=4, shared_memory=shm(2 * GB)))["refused"] == []
    elsewhere = info(limit=4 * GB, shared_memory=shm(64 * MB), live={"dynamic_shared_memory_type": "sysv"})
    assert tuning(elsewhere)["refused"] == [] and tuning(elsewhere)["shared_memory"]["worst_case_bytes"] == 0


def test_clients_on_the_same_host_get_their_part() -> None:
    plan = tuning(info(clients=2))
    assert plan["settings"]["shared_buffers"] == "3GB"
    assert plan["settings"]["effective_cache_size"] == "6GB"  # half: the page cache is theirs, too
    assert plan["notes"][0].startswith("2 clients run on the same host, and the server has no memory limit")
    limited = tuning(info(clients=2, limit=16 * GB))
    assert limited["settings"]["shared_buffers"] == "4GB" and "same host" not in " ".join(limited["notes"])


def test_huge_pages() -> None:
    def pages(total: int) -> dict[str, int]:
        return {"page_bytes": 2 * MB, "total": total, "free": total}

    none = tuning(info(huge_pages=pages(0)))
    assert none["settings"]["huge_pages"] == "try" and "vm.nr_hugepages = 2183" in none["notes"][0]
    assert none["settings"]["shared_buffers"] == "4GB"
    few = tuning(info(huge_pages=pages(1024)))  # 2 GiB that nobody can use
    assert few["settings"]["shared_buffers"] == "3584MB" and "too few for shared_buffers" in few["notes"][0]
    enough = tuning(info(cpus=10, huge_pages=pages(2200)))
    assert enough["settings"]["shared_buffers"] == "4GB" and enough["notes"] == []
    on = tuning(info(huge_pages=pages(2200), live={"huge_pages": "on"}))
    assert on["settings"]["huge_pages"] == "on"
    assert tuning(info(memory=4 * GB))["settings"]["huge_pages"] == "off"


@pytest.mark.parametrize(
    ("per_second", "live", "expected"),
    [
        (1 * MB, "1GB", "4GB"),  # 570 MB between two checkpoints
        (20 * MB, "1GB", "16GB"),  # 11.1 GB
        (5 * MB, "8GB", "8GB"),  # as it was made when more was written
        (5 * MB, "16GB", "4GB"),
    ],
)
def test_max_wal_size_by_the_measured_rate(per_second: int, live: str, expected: str) -> None:
    plan = tuning(info(wal_rate=rate(per_second), live={"max_wal_size": live}))
    assert plan["settings"]["max_wal_size"] == expected


def test_max_wal_size_leaves_most_of_the_disk() -> None:
    disk = {"path": "/data/pg_wal", "device": "sda", "rotational": False, "size_bytes": 10 * GB}
    plan = tuning(info(wal=disk), workload="dw")
    assert plan["settings"]["max_wal_size"] == "2560MB" and "a quarter of the disk" in " ".join(plan["notes"])


def test_many_connections_get_a_word() -> None:
    said = " ".join(tuning(info(cpus=4), profile="runbook")["notes"])
    assert "max_connections 100 is more than 10 for each of 4 processors" in said and "PgBouncer" in said
    assert tuning(info(cpus=10), profile="runbook")["notes"] == []


def test_timeouts_on_roles() -> None:
    plan = tuning(info(), timeout_scope="roles")
    assert plan["role_settings"] == {"statement_timeout": "30s"}
    assert plan["settings"]["statement_timeout"] is None  # reset on the server
    assert plan["settings"]["idle_in_transaction_session_timeout"] == "60s"
    assert any(row["name"] == "statement_timeout" for row in plan["table"])


def test_timeouts_that_are_left_alone_are_left_alone_on_both() -> None:
    plan = tuning(info(), timeout_scope="roles", overrides={"statement_timeout": None})
    assert plan["role_settings"] == {} and "statement_timeout" not in plan["settings"]


@pytest.mark.parametrize("profile", ["runbook", "sized"])
def test_to_reset_is_to_reset_all_that_it_ever_sets(profile: str) -> None:
    """Whatever the machine is now: its memory may be unknown, or other than it was."""
    plan = tuning(info(memory=None), state="absent", profile=profile, overrides={"jit": False})
    assert set(plan["settings"].values()) == {None} and plan["role_settings"] == {"statement_timeout": None}
    ever = {"jit"}
    for memory in (GB, 16 * GB, 256 * GB):
        ever |= set(tuning(info(memory=memory, cpus=16))["settings"])
    assert set(plan["settings"]) == ever


def test_overrides() -> None:
    plan = tuning(info(), overrides={"jit": False, "shared_buffers": "2GB", "random_page_cost": None})
    assert plan["settings"]["jit"] == "off" and plan["settings"]["shared_buffers"] == "2GB"
    assert "random_page_cost" not in plan["settings"]
    listed = tuning(info(), overrides={"shared_preload_libraries": ["pg_stat_statements", "My.Lib"]})
    assert listed["settings"]["shared_preload_libraries"] == 'pg_stat_statements, "My.Lib"'
    large = tuning(info(), overrides={"Work_Mem": "1GB"})
    assert large["settings"]["work_mem"] == "1GB" and "does not fit" in large["refused"][0]
    kept = tuning(info(live={"max_connections": "300"}), overrides={"max_connections": None})
    assert "max_connections" not in kept["settings"] and "max_connections 300" in kept["memory"]["parts"][1]["how"]


def test_unknown_storage_leaves_alone_what_depends_on_it() -> None:
    plan = tuning(info(data=None))
    assert not {"random_page_cost", "effective_io_concurrency"} & set(plan["settings"])
    assert "Give tuning_storage" in plan["notes"][0]
    assert tuning(info(data=None), storage="san")["settings"]["effective_io_concurrency"] == "300"


def test_a_virtual_disk_is_no_hard_disk_because_its_kernel_says_so() -> None:
    disk = {"path": "/data", "device": "vda", "rotational": True, "size_bytes": 1000 * GB}
    plan = tuning(info(data=disk))
    assert not {"random_page_cost", "effective_io_concurrency"} & set(plan["settings"])
    assert "vda is a virtual disk" in plan["notes"][0] and "Give tuning_storage" in plan["notes"][0]
    turning = tuning(info(data={**disk, "device": "sda"}))
    assert turning["settings"]["effective_io_concurrency"] == "2" and turning["settings"]["random_page_cost"] == "4.0"
    known = tuning(info(data={**disk, "rotational": False}))
    assert known["settings"]["effective_io_concurrency"] == "200"


def test_unknown_memory_is_asked_for_and_never_guessed() -> None:
    with pytest.raises(AnsibleFilterError, match="give tuning_memory, such as 8GB"):
        tuning(info(memory=None))
    assert tuning(info(memory=None), memory="8GB")["settings"]["shared_buffers"] == "2GB"
    more = tuning(info(limit=GB), memory="8GB")["notes"][0]
    assert more == "tuning_memory is 8 GiB, but the server may use 1 GiB: the plan counts on memory that is not there."
    assert "Not checked: memory" in tuning(info(memory=None), profile="runbook")["notes"][0]


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"state": "gone"}, "tuning_state is 'gone': give one of present, absent"),
        ({"profile": "large"}, "tuning_profile is 'large': give one of runbook, sized"),
        ({"workload": "olap"}, "tuning_workload is 'olap'"),
        ({"storage": "tape"}, "tuning_storage is 'tape'"),
        ({"timeout_scope": "role"}, "tuning_timeout_scope is 'role'"),
        ({"memory_percent": 0}, "must be at least 1"),
        ({"memory": "8 gigs"}, "give a size such as 512MB"),
        ({"memory": "8192"}, "tuning_memory is '8192': give a size with its unit"),
        ({"memory": "0GB"}, "tuning_memory is '0GB'"),
        ({"overrides": {"work_mem": "8MB", "WORK_MEM": "9MB"}}, "tuning_overrides names work_mem twice"),
        ({"overrides": {"search_path": {"a": 1}}}, "tuning_overrides, search_path: a value is a text"),
        ({"overrides": {"hash_mem_multiplier": "x"}}, "hash_mem_multiplier is 'x': give a number"),
        ({"overrides": {"shared_buffers": "lots"}}, "shared_buffers is 'lots'"),
        ({"overrides": {"max_connections": "many"}}, "give a whole number"),
        ({"wishes": 1}, "wishes"),
    ],
)
def test_a_slip_of_the_finger(wishes: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        tuning(info(), **wishes)


@pytest.mark.parametrize("nothing", [None, {}, {"capacity": None}, []])
def test_what_is_no_result(nothing: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"the result of oncall\.postgresql\.capacity_info"):
        tuning(nothing)


def test_a_server_that_did_not_answer() -> None:
    silent = info()
    silent["capacity"]["settings"] = {}
    with pytest.raises(AnsibleFilterError, match="SQL did not get through"):
        tuning(silent)


@settings(max_examples=300, deadline=None)
@given(
    some.integers(128 * MB, 2048 * GB),
    some.integers(1, 256),
    some.sampled_from(WORKLOADS),
    some.integers(0, 4096 * GB),
    some.integers(10, 5000),
)
def test_what_is_not_refused_fits(memory: int, cpus: int, workload: str, database: int, connections: int) -> None:
    here = info(memory=memory, cpus=cpus, database_bytes=database, shared_memory=shm(2048 * GB))
    plan = tuning(here, workload=workload, overrides={"max_connections": connections})
    worst = plan["memory"]["worst_case_bytes"]
    assert plan["refused"] or worst <= plan["memory"]["has_bytes"]
    # A second run, with all of it applied, wants the same.
    again = info(memory=memory, cpus=cpus, database_bytes=database, shared_memory=shm(2048 * GB), live=plan["settings"])
    assert tuning(again, workload=workload, overrides={"max_connections": connections})["settings"] == plan["settings"]


@pytest.mark.parametrize(
    ("name", "value", "kb"),
    [
        ("shared_buffers", "16384", 131072),  # 8 kB each
        ("work_mem", "4096", 4096),
        ("max_wal_size", "1024", 1048576),
        ("work_mem", "1.5 GB", 1572864),
        ("work_mem", "2048B", 2),
    ],
)
def test_sizes_are_read_as_postgresql_reads_them(name: str, value: str, kb: int) -> None:
    assert kilobytes(name, value) == kb


@pytest.mark.parametrize(
    ("kb", "text"), [(0, "0kB"), (64, "64kB"), (4096, "4MB"), (5000, "5000kB"), (38836, "38836kB")]
)
def test_sizes_as_they_are_written(kb: int, text: str) -> None:
    assert written(kb) == text and kilobytes("work_mem", text) == kb


def test_large_sizes_lose_their_fraction_of_a_megabyte() -> None:
    assert written(262145) == "256MB" and written(1048577) == "1GB" and written(1536 * 1024) == "1536MB"


def test_times() -> None:
    assert (seconds("5min"), seconds("30s"), seconds("1h"), seconds("500ms")) == (300, 30, 3600, 0.5)


def test_another_unit_is_no_change() -> None:
    live = {"idle_in_transaction_session_timeout": "1min", "shared_buffers": "32768", "statement_timeout": "0"}
    found = tuning(info(live=live), profile="runbook")["text"]
    assert "idle_in_transaction_session_timeout  60s  (runbook)" in found
    assert "shared_buffers                       256MB  (runbook)" in found
    assert "statement_timeout                    0 -> 30s  (runbook)" in found


def test_the_filter_is_documented_as_it_is() -> None:
    path = Path(__file__).parents[2] / "plugins" / "filter" / "tuning.yml"
    options = yaml.safe_load(path.read_text(encoding="utf-8"))["DOCUMENTATION"]["options"]
    wishes = facts.Wishes()
    assert set(options) - {"_input"} == set(vars(wishes))
    for name, value in vars(wishes).items():
        assert options[name].get("default") == value, name
    assert options["storage"]["choices"] == ["auto", *CONCURRENCY]
    assert options["workload"]["choices"] == list(WORKLOADS)
