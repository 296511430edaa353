# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hard a server is pressed at one moment, to be compared with another one."""

from __future__ import annotations

from typing import Optional, TypedDict


class MemoryUse(TypedDict):
    """Memory that cannot be had back at once: without the file cache."""

    used_bytes: int  # how much of it is used
    limit_bytes: int  # how much may be used
    source: str  # the directory of the cgroup that is nearest to its limit, or `host` where no cgroup has one


class SwapUse(TypedDict):
    """Swap space in use."""

    used_bytes: int  # how much
    source: str  # the file that says so for the server's cgroup, or `host`


class OomKills(TypedDict):
    """Processes that the kernel has killed for want of memory."""

    count: int  # how many since its cgroup was made, or the host was started
    source: str  # the file that says so for the server's cgroup, or `host`


class LogCounts(TypedDict):
    """What the server has logged, as far as it is in the last 4 MiB of its log."""

    since: str  # from when on
    seconds: float  # how long that is
    panic: int  # messages of severity PANIC
    fatal: int  # messages of severity FATAL
    error: int  # messages of severity ERROR
    out_of_memory: int  # messages of whatever severity that name want of memory
    could_not_fork: int  # messages that no process could be started
    no_space: int  # messages that name a full disk


class Probe(TypedDict):
    """A new connection and one small query."""

    milliseconds: Optional[float]  # how long both took; null when there was no answer
    error: Optional[str]  # why there was none; null when there was one


class Sample(TypedDict):
    """How hard the server is pressed."""

    at: str  # when, by the clock of where it runs
    memory: Optional[MemoryUse]  # its memory; null when unread
    swap: Optional[SwapUse]  # swap space; null when unread
    oom_kills: Optional[OomKills]  # processes killed for want of memory; null when unread
    log: Optional[LogCounts]  # what it has logged; null when its log cannot be read, or has no times
    probe: Probe  # a new connection and one small query
    connections: Optional[int]  # client connections beside ours; null when there was no answer
    started: Optional[str]  # when the server was started; null when there was no answer
