# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's files say, as memory, processors and storage: cgroup version 1 and 2, limits above, and none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.capacity.shown import shown
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.capacity.told import Told, cpus_listed

GB = 1 << 30
HOST = ("memory MemTotal 16777216", "memory MemAvailable 8388608", "memory SwapTotal 1048576")  # 16 GiB
TWO, ONE = "/sys/fs/cgroup", "/sys/fs/cgroup/memory"
NO_LIMIT = "9223372036854771712"  # of version 1, with pages of 4 KiB


def told(*lines: str) -> Told:
    """Each word ends with a tab, as the script writes it; an underscore is a blank in a word."""
    return Told("".join("\t".join(line.split()).replace("_", " ") + "\t\n" for line in lines))


def files(*rows: tuple[str, str]) -> Told:
    return Told("cgroup\t\n" + "".join("%s\t\n" % "\t".join(line.split()) for line in HOST) + as_files(rows))


def as_files(rows: tuple[tuple[str, str], ...]) -> str:
    return "".join("file\t%s\t%s\t\n" % row for row in rows)


@pytest.mark.parametrize(
    ("rows", "limit", "source"),
    [
        ([], None, None),
        ([(TWO + "/memory.max", "max")], None, None),
        ([(TWO + "/memory.max", str(2 * GB))], 2 * GB, TWO + "/memory.max"),
        # systemd: the slice above the service is the narrower one
        (
            [
                (TWO + "/db.slice/postgresql.service/memory.max", "max"),
                (TWO + "/db.slice/memory.max", str(4 * GB)),
            ],
            4 * GB,
            TWO + "/db.slice/memory.max",
        ),
        (
            [
                (TWO + "/db.slice/postgresql.service/memory.max", str(6 * GB)),
                (TWO + "/db.slice/memory.max", str(4 * GB)),
            ],
            4 * GB,
            TWO + "/db.slice/memory.max",
        ),
        # MemoryHigh: beyond it the server is slowed down until it does not move
        (
            [(TWO + "/a/memory.max", str(4 * GB)), (TWO + "/a/memory.high", str(3 * GB))],
            3 * GB,
            TWO + "/a/memory.high",
        ),
        ([(ONE + "/memory.limit_in_bytes", NO_LIMIT)], None, None),
        ([(ONE + "/memory.limit_in_bytes", "9223372036854710272")], None, None),  # pages of 64 KiB
        ([(ONE + "/docker/abc/memory.limit_in_bytes", str(GB))], GB, ONE + "/docker/abc/memory.limit_in_bytes"),
        # more than there is, or as much: none
        ([(TWO + "/memory.max", str(64 * GB))], None, None),
        ([(TWO + "/memory.max", str(16 * GB))], None, None),
        ([(TWO + "/memory.max", "0")], None, None),
        ([(TWO + "/memory.max", "many")], None, None),
        # other files of the group are no memory
        ([(TWO + "/cpu.max", "100000 100000")], None, None),
    ],
)
def test_memory(rows: list[tuple[str, str]], limit: int | None, source: str | None) -> None:
    found = files(*rows).memory()
    assert (found["limit_bytes"], found["limit_from"]) == (limit, source)
    assert found["usable_bytes"] == (limit or 16 * GB) and found["host_bytes"] == 16 * GB


def test_a_limit_above_a_container_is_in_its_memory_stat() -> None:
    own = (ONE + "/memory.limit_in_bytes", str(4 * GB))
    wide = Told("cgroup\t\nabove\t%d\t\n" % (4 * GB) + as_files((own,)))
    assert wide.memory()["limit_from"] == own[0]  # as low as its own
    narrow = Told("cgroup\t\nabove\t%d\t\n" % (3 * GB) + as_files((own,)))
    assert (narrow.memory()["limit_bytes"], narrow.memory()["limit_from"]) == (3 * GB, ONE + "/memory.stat")
    assert Told("cgroup\t\nabove\t%s\t\n" % NO_LIMIT).memory()["limit_bytes"] is None


def test_without_the_cgroup_the_memory_is_unknown_and_not_the_hosts() -> None:
    """Such as a data directory that we may not read."""
    found = told(*HOST)
    assert not found.knows_limits
    assert found.memory()["usable_bytes"] is None and found.memory()["host_bytes"] == 16 * GB
    assert Told("").memory() == {
        "usable_bytes": None,
        "limit_bytes": None,
        "limit_from": None,
        "host_bytes": None,
        "available_bytes": None,
        "swap_bytes": None,
    }


V1 = "/sys/fs/cgroup/cpu"


@pytest.mark.parametrize(
    ("rows", "quota", "usable"),
    [
        ([], None, 8),
        ([(TWO + "/cpu.max", "max 100000")], None, 8),
        ([(TWO + "/cpu.max", "150000 100000")], 1.5, 1.5),
        ([(TWO + "/a/b/cpu.max", "400000 100000"), (TWO + "/a/cpu.max", "200000 100000")], 2.0, 2.0),
        ([(TWO + "/cpu.max", "1600000 100000")], 16.0, 8),
        ([(V1 + "/cpu.cfs_quota_us", "-1"), (V1 + "/cpu.cfs_period_us", "100000")], None, 8),
        ([(V1 + "/x/cpu.cfs_quota_us", "50000"), (V1 + "/x/cpu.cfs_period_us", "100000")], 0.5, 0.5),
        # each with the period of its own group
        (
            [
                (V1 + "/x/cpu.cfs_quota_us", "50000"),
                (V1 + "/x/cpu.cfs_period_us", "10000"),
                (V1 + "/cpu.cfs_quota_us", "300000"),
                (V1 + "/cpu.cfs_period_us", "100000"),
            ],
            3.0,
            3.0,
        ),
        ([(V1 + "/cpu.cfs_quota_us", "50000")], None, 8),  # no period
        ([(TWO + "/cpu.max", "150000 0")], None, 8),
    ],
)
def test_processors(rows: list[tuple[str, str]], quota: float | None, usable: float) -> None:
    found = Told("cgroup\t\ncpus\t0-7\t\n" + as_files(tuple(rows))).cpus()
    assert found == {"usable": usable, "count": 8, "quota": quota}


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 1), ("0-3", 4), ("0-3,8", 5), ("0,2,4-5", 4), ("", None), ("3-0", None), ("all", None), ("0-", 1)],
)
def test_lists_of_processors(text: str, count: int | None) -> None:
    assert cpus_listed(text) == count


def test_shared_memory_and_huge_pages() -> None:
    found = told(
        "disk shm /dev/shm 65536 65000 /dev/shm",
        "memory HugePages_Total 512",
        "memory HugePages_Free 100",
        "memory Hugepagesize 2048",
    )
    assert found.huge_pages() is None  # the underscore above is a blank
    assert found.shared_memory() == {"size_bytes": 64 << 20, "free_bytes": 65000 * 1024}
    pages = Told("memory\tHugePages_Total\t512\t\nmemory\tHugePages_Free\t100\t\nmemory\tHugepagesize\t2048\t\n")
    assert pages.huge_pages() == {"page_bytes": 2 << 20, "total": 512, "free": 100}
    assert Told("memory\tHugepagesize\t0\t\n").huge_pages() is None
    assert Told("").shared_memory() is None


@pytest.mark.parametrize(
    ("mounts", "blocks", "device", "rotational"),
    [
        (["mount 8:1 /data /dev/sda1"], ["block sda 8:0 1", "block sda1 8:1 1"], "sda1", True),
        (["mount 259:2 /data /dev/nvme0n1p2"], ["block nvme0n1p2 259:2 0"], "nvme0n1p2", False),
        (["mount 253:0 /data /dev/mapper/vg-pg"], ["block dm-0 253:0 0"], "dm-0", False),
        (["mount 0:45 /data /dev/sdb"], ["block sdb 8:16 1"], "sdb", True),  # btrfs
        (["mount 0:45 /data overlay"], ["block sdb 8:16 1"], None, None),
        (["mount 8:1 /data /dev/sda1"], ["block sda1 8:1"], None, None),  # the kernel does not say
        # mounted over each other: the last one is what is seen
        (
            ["mount 8:1 /data /dev/sda1", "mount 8:2 /data /dev/sda2"],
            ["block sda1 8:1 1", "block sda2 8:2 0"],
            "sda2",
            False,
        ),
        (["mount 8:1 /other /dev/sda1"], ["block sda1 8:1 1"], None, None),
        ([], [], None, None),
    ],
)
def test_storage(mounts: list[str], blocks: list[str], device: str | None, rotational: bool | None) -> None:
    found = told("disk data /data/pg 1024 512 /data", *mounts, *blocks).storage("data")
    expected = {"path": "/data/pg", "device": device, "rotational": rotational, "size_bytes": 1 << 20}
    assert found == expected
    assert told(*mounts).storage("data") is None


def test_a_mount_point_with_a_blank() -> None:
    found = Told(
        "disk\twal\t/my data/wal\t8\t4\t/my data\t\nmount\t8:1\t/my\\040data\t/dev/sda1\t\nblock\tsda1\t8:1\t0\t\n"
    )
    storage = found.storage("wal")
    assert storage is not None and storage["device"] == "sda1"


_words = some.sampled_from(
    ["file", "disk", "data", "shm", "cpus", "memory", "MemTotal", "/x/memory.max", "-1", "0-7", "9" * 30, ""]
)


@given(some.lists(some.lists(_words, max_size=6), max_size=8))
def test_nonsense_is_nothing(rows: list[list[str]]) -> None:
    """A file system may be called anything, and a kernel may have fewer words than ours."""
    found = Told("cgroup\t\n" + "".join("\t".join(row) + "\t\n" for row in rows))
    found.memory(), found.cpus(), found.shared_memory(), found.huge_pages(), found.storage("data")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("16384", "8kB", "128MB"),
        ("131072", "8kB", "1GB"),
        ("4097", "kB", "4097kB"),
        ("1024", "MB", "1GB"),
        ("300", "s", "5min"),
        ("30000", "ms", "30s"),
        ("0", "ms", "0"),
        ("-1", "kB", "-1"),
        ("0.9", None, "0.9"),
        ("100", None, "100"),
        ("try", None, "try"),
        ("1.5", "ms", "1.5"),
    ],
)
def test_settings_as_show_writes_them(value: str, unit: str | None, text: str) -> None:
    assert shown(value, unit) == text
