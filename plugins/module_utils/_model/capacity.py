# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server has to work with: memory, processors, shared memory, storage, databases, write-ahead log."""

from __future__ import annotations

from typing import Dict, Optional, TypedDict


class Memory(TypedDict):
    """The memory that the server may use."""

    usable_bytes: Optional[int]  # `limit_bytes` where there is one below the host's memory, else `host_bytes`
    limit_bytes: Optional[int]  # the lowest limit of its cgroup and of those above it; null when there is none
    limit_from: Optional[str]  # the file that says so; null without a limit
    host_bytes: Optional[int]  # the host's memory
    available_bytes: Optional[int]  # how much of the host's memory is free, or could be at once
    swap_bytes: Optional[int]  # the host's swap space


class Cpus(TypedDict):
    """The processors that the server may use."""

    usable: Optional[float]  # `quota` where it is lower, else `count`
    count: Optional[int]  # those that its processes may run on
    quota: Optional[float]  # for how many its cgroup and those above it give time; null when there is no quota


class SharedMemory(TypedDict):
    """The file system /dev/shm, where parallel queries and parallel VACUUM share memory."""

    size_bytes: int  # its size
    free_bytes: int  # how much of it is free


class HugePages(TypedDict):
    """Huge pages of the default size, of the host."""

    page_bytes: int  # the size of one
    total: int  # how many the host has set aside
    free: int  # how many of them are not in use


class Storage(TypedDict):
    """The file system of a directory."""

    path: str  # the directory
    device: Optional[str]  # its device, such as "sda" or "dm-0"; null when it has none that can be seen
    rotational: Optional[bool]  # whether the kernel takes that for a disk that turns; null when it does not say
    size_bytes: Optional[int]  # the size of the file system


class WalRate(TypedDict):
    """How much write-ahead log the server writes, on average."""

    bytes_per_second: float  # the average
    seconds: float  # of how long
    # what was counted: `pg_stat_wal` (from 14 on) or `position` (13: since the cluster was made, all that it wrote)
    source: str


class Capacity(TypedDict):
    """What a server has to work with."""

    memory: Memory  # the memory that it may use
    cpus: Cpus  # the processors that it may use
    shared_memory: Optional[SharedMemory]  # /dev/shm as the server sees it; null when there is none, or unread
    huge_pages: Optional[HugePages]  # the host's huge pages; null when the kernel has none, or unread
    data: Optional[Storage]  # where the data directory is; null when unread
    wal: Optional[Storage]  # where pg_wal is; null when unread
    database_bytes: Optional[int]  # the size of all databases; null when SQL did not get through, or without the right
    wal_rate: Optional[WalRate]  # the write-ahead log; null on a standby, or when less than an hour was counted
    clients: int  # declared clients that run on the same host, and share its memory
    settings: Dict[
        str, str
    ]  # the settings that tuning is about, as SHOW writes them; empty when SQL did not get through
