# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tuning has to work with: what capacity_info found, and what the operator says instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ...module_utils._core.numbers import major, whole
from ...module_utils._core.text import count, size
from .pgtune import CONCURRENCY
from .units import kilobytes

# Disks of QEMU's virtio and of Xen: a kernel says of most of them that they turn, whatever is behind them.
_VIRTUAL = ("vd", "xvd")

PROFILES = ("runbook", "sized")
SCOPES = ("server", "roles")
STATES = ("present", "absent")


@dataclass(frozen=True)
class Wishes:
    """What the operator said. ``state``: absent is to reset what a profile sets. ``memory``: instead of what was
    found; ``storage``: auto is what was found.

    ``overrides``: value by setting, None to leave one alone. ``memory_percent``: how much of its memory the server may
    take in the worst case.
    """

    state: str = "present"
    profile: str = "sized"
    workload: str = "mixed"
    storage: str = "auto"
    memory: Optional[str] = None
    memory_percent: int = 100
    timeout_scope: str = "server"
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """``memory_kb``: what the server may use, None where nobody knows; ``memory_from``: who says so."""

    version: int
    memory_kb: Optional[int]
    memory_from: str
    alone: bool  # no client takes a part of that memory
    cpus: Optional[int]
    storage: Optional[str]
    huge_kb: int  # set aside in huge pages
    huge_page_kb: int
    shm_kb: Optional[int]
    database_bytes: Optional[int]
    wal_disk_kb: Optional[int]
    wal_bytes_per_second: Optional[float]
    live: Dict[str, str]
    notes: List[str]


def given(info: Mapping[str, Any], wishes: Wishes) -> Given:
    """``info``: what capacity_info returned. Raises ValueError for what is no such result."""
    try:
        capacity, version = info["capacity"], whole(major(str(info["target"]["version"] or "")))
        memory, cpus = capacity["memory"], capacity["cpus"]["usable"]
    except (KeyError, TypeError):
        raise ValueError("give it the result of oncall.postgresql.capacity_info") from None
    if version is None or not capacity["settings"]:
        raise ValueError(
            "SQL did not get through, so neither version nor settings are known: see errors, or run triage"
        )
    pool, shm, wal = capacity["huge_pages"], capacity["shared_memory"], capacity["wal"]
    huge_page_kb = pool["page_bytes"] // 1024 if pool else 0
    huge_kb = pool["total"] * huge_page_kb if pool else 0
    notes: List[str] = []
    shares = capacity["clients"] > 0 and memory["limit_bytes"] is None and wishes.memory is None
    kb: Optional[int]
    if wishes.memory is not None:
        kb, told = _told(wishes.memory, memory["usable_bytes"], notes), "as told"
    elif memory["usable_bytes"] is None:
        kb, told = None, "unknown"
    elif memory["limit_bytes"] is not None:
        kb, told = memory["usable_bytes"] // 1024, "limit of %s" % memory["limit_from"]
    else:
        kb, told = _of_host(memory["host_bytes"] // 1024, huge_kb, capacity["clients"], notes)
    return Given(
        version=version,
        memory_kb=kb,
        memory_from=told,
        alone=not shares,
        cpus=None if cpus is None else max(int(cpus), 1),
        storage=_storage(capacity["data"], wishes.storage, notes),
        huge_kb=huge_kb,
        huge_page_kb=huge_page_kb,
        shm_kb=shm["size_bytes"] // 1024 if shm else None,
        database_bytes=capacity["database_bytes"],
        wal_disk_kb=wal["size_bytes"] // 1024 if wal and wal["size_bytes"] else None,
        wal_bytes_per_second=capacity["wal_rate"]["bytes_per_second"] if capacity["wal_rate"] else None,
        live=dict(capacity["settings"]),
        notes=notes,
    )


def _told(memory: str, usable_bytes: Optional[int], notes: List[str]) -> int:
    """In kB. Raises ValueError for what is no size, or has no unit: 8192 is MB to one, and kB to another."""
    kb = kilobytes("tuning_memory", memory)
    if str(memory).strip().isdigit() or not kb:
        raise ValueError("tuning_memory is %r: give a size with its unit, such as 8GB" % memory)
    if usable_bytes is not None and kb > usable_bytes // 1024:
        notes.append(
            "tuning_memory is %s, but the server may use %s: the plan counts on memory that is not there."
            % (size(kb * 1024), size(usable_bytes))
        )
    return kb


def in_huge_pages_kb(shared_buffers_kb: int) -> int:
    """About what shared memory with these buffers takes. With less, and huge_pages=on, the server would not start."""
    return shared_buffers_kb * 105 // 100 + (64 << 10)


def _of_host(host_kb: int, huge_kb: int, clients: int, notes: List[str]) -> Tuple[int, str]:
    """All of it; three quarters where clients live there, too. Huge pages that do not hold shared_buffers are lost."""
    kb = host_kb
    if huge_kb and huge_kb < in_huge_pages_kb(kb // 4):
        kb -= huge_kb
        notes.append(
            "The host has set %s aside in huge pages, too few for shared_buffers: the server cannot use them."
            % size(huge_kb * 1024)
        )
    if not clients:
        return kb, "the host's memory"
    notes.append(
        "%s on the same host, and the server has no memory limit: three quarters of the host's memory are counted. "
        "Give the server a memory limit, or tuning_memory." % count(clients, "client runs", "clients run")
    )
    return kb * 3 // 4, "three quarters of the host's memory"


def _storage(data: Optional[Mapping[str, Any]], wished: str, notes: List[str]) -> Optional[str]:
    if wished != "auto":
        return wished
    if data is None or data["rotational"] is None:
        notes.append(
            "The kind of storage is unknown: what depends on it is left as it is. Give tuning_storage (%s)."
            % ", ".join(sorted(CONCURRENCY))
        )
        return None
    if data["rotational"] and data["device"].startswith(_VIRTUAL):
        notes.append(
            "%s is a virtual disk, of which the kernel does not know the kind: what depends on it is left as it is. "
            "Give tuning_storage (%s)." % (data["device"], ", ".join(sorted(CONCURRENCY)))
        )
        return None
    if data["rotational"]:
        notes.append("The kernel takes %s for a hard disk: if it is none, give tuning_storage." % data["device"])
    return "hdd" if data["rotational"] else "ssd"
