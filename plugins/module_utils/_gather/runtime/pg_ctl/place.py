# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the port or the socket that a server would take, by the lock files of this host's other servers."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ...._core.numbers import port as numbered
from ...._core.times import utc
from .. import processes

if TYPE_CHECKING:
    from ...._model.facts import ServerIdentity

_ANY = ("*", "0.0.0.0", "::")
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
            path = _link(home)
            if path is not None and path != os.path.realpath(directory):
                identity: ServerIdentity = {
                    "data_directory": path,
                    "system_identifier": _identifier(home),
                    "port": place.port,
                    "started_at": utc(process.started),
                }
                yield Holder(process.pid, identity)


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


def _link(path: str) -> Optional[str]:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _identifier(directory: str) -> Optional[str]:
    """The first member of the control file (PostgreSQL, src/include/catalog/pg_control.h), in all versions."""
    try:
        with open(directory + "/global/pg_control", "rb") as file:
            return str(struct.unpack("=Q", file.read(8))[0])
    except (OSError, struct.error):
        return None
