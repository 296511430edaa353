# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory in use by what the kernel's files say, version 1 and 2; and what a log holds, by kinds."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OptionsError
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.pressure import _seconds
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.pressure.used import Used
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.log import counts

GB, MB = 1 << 30, 1 << 20
NO_LIMIT = 9223372036854771712
TWO, ONE = "/sys/fs/cgroup/shop/db", "/sys/fs/cgroup/memory/docker/abc"
HOST: list[tuple[Any, ...]] = [
    ("memory", "MemTotal", 16 * MB),
    ("memory", "MemAvailable", 12 * MB),
    ("memory", "SwapTotal", 4 * MB),
    ("memory", "SwapFree", 3 * MB),
    ("vmstat", 5),
    ("now", 1700000000),
]


def used(*rows: tuple[Any, ...], log: str = "") -> Used:
    return Used("".join("".join("%s\t" % word for word in row) + "\n" for row in [("cgroup",), *rows, *HOST]) + log)


def test_without_a_limit_it_is_the_hosts() -> None:
    found = used(("file", TWO + "/memory.max", "max"), ("file", TWO + "/memory.current", GB))
    assert found.memory() == {"used_bytes": 4 * GB, "limit_bytes": 16 * GB, "source": "host"}
    assert found.swap() == {"used_bytes": GB, "source": "host"}
    assert found.oom_kills() == {"count": 5, "source": "host"}
    assert found.now == 1700000000 and found.collected == {}
    nothing = Used("")
    assert (nothing.memory(), nothing.swap(), nothing.oom_kills(), nothing.now) == (None, None, None, None)


def test_files_that_the_kernel_can_drop_are_not_counted() -> None:
    found = used(
        ("file", TWO + "/memory.max", GB),
        ("file", TWO + "/memory.current", 1000 * MB),
        ("file", TWO + "/memory.swap.current", 7 * MB),
        ("row", TWO + "/memory.stat", "anon", 300 * MB),
        ("row", TWO + "/memory.stat", "shmem", 200 * MB),
        ("row", TWO + "/memory.stat", "active_file", 100 * MB),
        ("row", TWO + "/memory.stat", "inactive_file", 400 * MB),
        ("row", TWO + "/memory.events", "oom_kill", 3),
    )
    assert found.memory() == {"used_bytes": 500 * MB, "limit_bytes": GB, "source": TWO}
    assert found.swap() == {"used_bytes": 7 * MB, "source": TWO + "/memory.swap.current"}
    assert found.oom_kills() == {"count": 3, "source": TWO + "/memory.events"}


def test_of_version_1() -> None:
    found = used(
        ("file", ONE + "/memory.limit_in_bytes", GB),
        ("file", ONE + "/memory.usage_in_bytes", 900 * MB),
        ("row", ONE + "/memory.stat", "active_file", 1),
        ("row", ONE + "/memory.stat", "total_active_file", 100 * MB),
        ("row", ONE + "/memory.stat", "total_inactive_file", 300 * MB),
        ("row", ONE + "/memory.stat", "total_swap", 5 * MB),
        ("row", ONE + "/memory.oom_control", "oom_kill_disable", 0),
        ("row", ONE + "/memory.oom_control", "oom_kill", 1),
    )
    assert found.memory() == {"used_bytes": 500 * MB, "limit_bytes": GB, "source": ONE}
    assert found.swap() == {"used_bytes": 5 * MB, "source": ONE + "/memory.stat"}
    assert found.oom_kills() == {"count": 1, "source": ONE + "/memory.oom_control"}
    wide = used(
        ("file", ONE + "/memory.limit_in_bytes", NO_LIMIT), ("file", ONE + "/memory.usage_in_bytes", 900 * MB)
    ).memory()
    assert wide and wide["source"] == "host"


def test_of_nested_groups_the_one_nearest_to_its_limit() -> None:
    rows = [
        ("file", "/g/a/memory.max", 2 * GB),
        ("file", "/g/a/memory.current", GB),
        ("file", "/g/memory.high", 4 * GB),
        ("file", "/g/memory.current", 3 * GB),
    ]
    found = used(*rows).memory()
    assert found == {"used_bytes": 3 * GB, "limit_bytes": 4 * GB, "source": "/g"}


def test_what_stands_in_a_log_is_not_taken_for_the_kernels() -> None:
    found = used(log="log\t/data/log/x.log\t\nmemory\tMemTotal\t1\t\n")
    assert found.collected == {"/data/log/x.log": "memory\tMemTotal\t1\t\n"}
    memory = found.memory()
    assert memory and memory["limit_bytes"] == 16 * GB


BEGIN = 1764000000.0  # 2025-11-24 16:00:00 UTC
PLAIN = """\
2025-11-24 15:59:59.999 UTC [1] ERROR:  too early
2025-11-24 16:00:00.000 UTC [1] ERROR:  relation "x" does not exist at character 15
2025-11-24 16:00:00.000 UTC [1] STATEMENT:  SELECT * FROM x
2025-11-24 16:00:01.000 UTC [1] FATAL:  sorry, too many clients already
2025-11-24 16:00:02.000 UTC [1] LOG:  could not fork new process for connection: Resource temporarily unavailable
2025-11-24 16:00:03.000 UTC [1] LOG:  could not fork new process for connection: Cannot allocate memory
2025-11-24 16:00:04.000 UTC [1] ERROR:  out of memory
2025-11-24 16:00:04.000 UTC [1] DETAIL:  Failed on request of size 1048576 in memory context "ExecutorState".
2025-11-24 16:00:05.000 UTC [1] PANIC:  could not write to file "pg_wal/xlogtemp.7": No space left on device
2025-11-24 16:00:06.000 UTC [1] LOG:  duration: 9 ms  statement: SELECT 'out of memory', 'No space left on device'
2025-11-24 16:00:07.000 UTC [1] LOG:  statement: could not fork
2025-11-24 16:00:10.000 UTC [1] ERROR:  too late
"""
FOUND = {"panic": 1, "fatal": 1, "error": 2, "out_of_memory": 2, "could_not_fork": 2, "no_space": 1}


def test_messages_by_kind_and_time() -> None:
    found = counts([PLAIN], BEGIN, BEGIN + 10)
    assert found == {"since": "2025-11-24T16:00:00.000Z", "seconds": 10.0, **FOUND}
    twice = counts([PLAIN, PLAIN], BEGIN, BEGIN + 10)
    assert twice and (twice["error"], twice["panic"]) == (4, 2)
    parts = [counts([PLAIN], BEGIN + at, BEGIN + at + 5) for at in (-5, 0, 5, 10)]
    assert [part and part["error"] for part in parts] == [1, 2, 0, 1]


def test_whole_seconds_belong_to_the_moment_itself() -> None:
    """As with %t in log_line_prefix."""
    text = "2026-11-24 01:00:00 UTC [7] ERROR:  one\n2026-11-24 01:00:10 UTC [7] ERROR:  two\n"
    at = _seconds("2026-11-24T01:00:00.000Z") or 0
    found = [counts([text], since, since + 10) for since in (at - 10, at, at + 10)]
    assert [each and each["error"] for each in found] == [0, 1, 1]


def test_a_log_without_times_counts_for_nothing() -> None:
    assert counts(["[1] ERROR:  x\n"], BEGIN, BEGIN + 10) is None
    empty = counts([""], BEGIN, BEGIN + 10)
    assert empty and empty["error"] == 0


@pytest.mark.parametrize(
    "line",
    [
        "2025-11-24 16:00:02.000 UTC [1] LOG:  konnte neuen Prozess für Verbindung nicht starten (fork-Fehler): x",
        "2025-11-24 16:00:02.000 UTC [1] СООБЩЕНИЕ:  породить новый процесс для соединения не удалось: x",
    ],
)
def test_in_another_language(line: str) -> None:
    found = counts([line], BEGIN, BEGIN + 10)
    assert found and found["could_not_fork"] == 1 and found["error"] == 0


def test_a_time_is_one_as_results_have_it() -> None:
    assert _seconds(None) is None
    assert _seconds("2025-11-24T16:00:00.000Z") == _seconds("2025-11-24T16:00:00Z") == BEGIN
    with pytest.raises(OptionsError, match="since is 'yesterday'"):
        _seconds("yesterday")
