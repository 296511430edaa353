# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program is at the client's end of a TCP connection, where that end is on this host: by Linux's /proc."""

from __future__ import annotations

import ipaddress
import os
from typing import Dict, Iterator, List, Sequence, Set, Tuple

End = Tuple[str, int]  # address and port of the client's end


def programs(processes: Sequence[int], wanted: Set[End]) -> Dict[End, Tuple[str, ...]]:
    """Of ``wanted`` those that can be seen. ``processes``: one in each network namespace to be looked into.

    What may not be read (somebody else's file descriptors, by any but root) is left out.
    """
    ends: Dict[str, End] = {}
    for pid in processes:
        for name in ("tcp", "tcp6"):
            for end, inode in _sockets("/proc/%d/net/%s" % (pid, name)):
                if end in wanted:
                    ends["socket:[%s]" % inode] = end
    found: Dict[End, List[str]] = {}
    for pid, links in _descriptors() if ends else ():
        for link in links:
            if link in ends:
                found.setdefault(ends[link], []).append(_program(pid))
    return {end: tuple(sorted(set(names))) for end, names in found.items()}


def _sockets(path: str) -> Iterator[Tuple[End, str]]:
    """proc(5), /proc/net/tcp: the local address is in the machine's byte order, word by word."""
    try:
        with open(path, encoding="ascii") as table:
            lines = table.readlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        address, _colon, port = words[1].partition(":")
        packed = b"".join(bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
        parsed = ipaddress.ip_address(packed)
        mapped = getattr(parsed, "ipv4_mapped", None)
        yield (str(mapped or parsed), int(port, 16)), words[9]


def _descriptors() -> Iterator[Tuple[int, List[str]]]:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        directory = "/proc/%s/fd" % name
        links: List[str] = []
        try:
            for each in os.listdir(directory):
                links.append(os.readlink("%s/%s" % (directory, each)))
        except OSError:  # not ours to see, or gone; what was read counts
            pass
        yield int(name), links


def _program(pid: int) -> str:
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as comm:
            return comm.read().strip()
    except OSError:
        return "?"
