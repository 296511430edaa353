# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the port or the socket that a server would take, or has taken: by lock files, and by who answers there."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ...._core.numbers import port as numbered
from ...._core.times import utc
from .. import processes

if TYPE_CHECKING:
    from ...._model.facts import DirectoryUser, ServerIdentity

_ANY = ("*", "0.0.0.0", "::")
_PATIENCE_SECONDS = 1.0  # a Unix socket takes a connection at once, or its backlog is full
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Wanted(NamedTuple):
    """Where a server would listen."""

    port: int
    addresses: Tuple[str, ...]
    sockets: Tuple[str, ...]


class Holder(NamedTuple):
    pid: int
    identity: ServerIdentity


def wanted(settings: Mapping[str, str], port: Optional[int], unix_socket: Optional[str]) -> Optional[Wanted]:
    """``settings`` of the server that is down; what the login options say goes first. None: they are not known."""
    number = port or numbered(settings.get("port"))
    if number is None:
        return None
    sockets = (unix_socket,) if unix_socket else _listed(settings.get("unix_socket_directories", ""))
    return Wanted(number, _listed(settings.get("listen_addresses", "")), sockets)


def holders(place: Wanted, directory: str) -> Iterator[Holder]:
    """The servers outside of containers that listen there, and do not work in ``directory``."""
    for process in processes.heads(processes.all_servers()):
        home = "/proc/%d/cwd" % process.pid
        lines = _lines(home + "/postmaster.pid")
        if process.contained or lines[0] != str(process.pid) or numbered(lines[3]) != place.port:
            continue
        if _same(lines[4], place.sockets) or _meet(lines[5], place.addresses):
            path = processes.link(home)
            if path is not None and path != os.path.realpath(directory):
                identity: ServerIdentity = {
                    "data_directory": path,
                    "system_identifier": _identifier(home),
                    "port": place.port,
                    "started_at": utc(process.started),
                }
                yield Holder(process.pid, identity)


def unseen(directory: str) -> Optional[DirectoryUser]:
    """A live server whose process cannot be seen from here (we are in a container, it is not), by the socket that
    postmaster.pid names.

    A socket has a lock file of its own, with the same pid and start. Who listens there is told by the kernel: 0 where
    we may not see him. Whoever can be seen is no server of the directory, or would have been found as one.
    """
    lines = _lines(directory + "/postmaster.pid")
    path = "%s/.s.PGSQL.%s" % (lines[4].rstrip("/"), lines[3])
    if not lines[4].startswith("/") or not lines[3].isdigit() or not lines[2]:
        return None
    if [_lines(path + ".lock")[each] for each in (0, 2)] != [lines[0], lines[2]]:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(_PATIENCE_SECONDS)
            asked.connect(path)
            pid = struct.unpack("3i", asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    except OSError:
        return None
    if pid and os.path.exists("/proc/%d" % pid):
        return None
    title = "it answers at %s, and its process cannot be seen from here" % path
    return {"container": None, "pid": None, "title": title, "seen": False}


def _listed(setting: str) -> Tuple[str, ...]:
    return tuple(word for word in (each.strip().strip('"') for each in setting.split(",")) if word)


def _same(socket_directory: str, others: Tuple[str, ...]) -> bool:
    return bool(socket_directory) and os.path.realpath(socket_directory) in map(os.path.realpath, others)


def _meet(address: str, others: Tuple[str, ...]) -> bool:
    if not address or not others:
        return False
    if address in _ANY or any(each in _ANY for each in others):
        return True
    return address in others or (address in _LOCAL and any(each in _LOCAL for each in others))


def _lines(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file.read(8192).split("\n")] + [""] * 8
    except OSError:
        return [""] * 8


def _identifier(directory: str) -> Optional[str]:
    """The first member of the control file (PostgreSQL, src/include/catalog/pg_control.h), in all versions."""
    try:
        with open(directory + "/global/pg_control", "rb") as file:
            return str(struct.unpack("=Q", file.read(8))[0])
    except (OSError, struct.error):
        return None
