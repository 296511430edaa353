# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of one data directory's server on this host, by Linux's /proc. See proc(5)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, List, Optional

if TYPE_CHECKING:
    from ..._model.facts import Process

_NAMES = ("postgres", "postmaster")


@dataclass(frozen=True)
class Running:
    """One server process."""

    pid: int
    parent: int
    uid: int
    state: str
    title: str
    started: float  # seconds since the epoch

    def fact(self) -> Process:
        return {"pid": self.pid, "state": self.state, "title": self.title}


def of_directory(data_directory: str) -> List[Running]:
    """All live processes that work in that directory (a server's all do), by number. The same path is not enough: a
    container's server has its own ``/var/lib/postgresql/data``."""
    try:
        directory = os.stat(data_directory)
    except OSError:
        return []
    found, hidden = [], []
    for name in os.listdir("/proc"):
        if not name.isdigit() or _read("/proc/%s/comm" % name).strip() not in _NAMES:
            continue
        try:
            cwd = os.stat("/proc/%s/cwd" % name)
        except PermissionError:  # somebody else's, or we are root without CAP_SYS_PTRACE (in a container)
            hidden.append(int(name))
            continue
        except OSError:  # gone, or a zombie
            continue
        if (cwd.st_dev, cwd.st_ino) == (directory.st_dev, directory.st_ino):
            process = _process(int(name))
            if process is not None:
                found.append(process)
    if not found:
        found = _named(_read(os.path.join(data_directory, "postmaster.pid")), hidden, directory.st_uid)
    return sorted(found, key=lambda process: process.pid)


def _named(lock_file: str, pids: List[int], owner: int) -> List[Running]:
    """Where the working directories may not be seen: the server that postmaster.pid names, and its children."""
    processes = [process for process in map(_process, pids) if process is not None and process.uid == owner]
    named = lock_file.partition("\n")[0].strip()
    if named not in [str(process.pid) for process in processes]:
        return []
    return [process for process in processes if named in (str(process.pid), str(process.parent))]


def postmaster(processes: List[Running]) -> Optional[Running]:
    """The one that started the others; None when only orphans are left of it."""
    pids = {process.pid for process in processes}
    return next(
        (process for process in processes if process.parent not in pids and not process.title.startswith("postgres: ")),
        None,
    )


def programs(pid: int) -> Optional[str]:
    """The directory of the program that the process runs, even when an upgrade has replaced it."""
    try:
        return os.path.dirname(re.sub(r" \(deleted\)$", "", os.readlink("/proc/%d/exe" % pid)))
    except OSError:
        return None


def standard_error(pid: int) -> Optional[str]:
    """The file that the process's standard error goes to; None when it is none (a pipe, a terminal)."""
    try:
        path = os.readlink("/proc/%d/fd/2" % pid)
    except OSError:
        return None
    return path if os.path.isfile(path) else None


def unit(pid: int) -> Optional[str]:
    """The systemd service that the process belongs to, None when it is ours too or there is no systemd."""
    if not os.path.isdir("/run/systemd/system"):
        return None
    units = [_unit(_read("/proc/%s/cgroup" % each)) for each in (pid, "self")]
    return units[0] if units[0] != units[1] else None


def _unit(cgroup: str) -> Optional[str]:
    found = re.findall(r"/([^/\n]+\.service)(?=/|$)", cgroup, re.MULTILINE)
    return str(found[-1]) if found else None


def killed_for_memory(pid: int) -> Optional[bool]:
    """Whether the kernel's own log says that it killed that process for lack of memory; None if it may not be read."""
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    wanted = re.compile(r"[Oo]ut of memory.*: Kill(?:ed)? process %d \(postgres" % pid)
    try:
        for _record in range(100000):
            try:
                if wanted.search(os.read(log, 8192).decode("utf-8", "replace")):
                    return True
            except BlockingIOError:
                return False  # the end
            except BrokenPipeError:
                continue  # overwritten while we read: the next read goes on after it
        return None
    except OSError:
        return None
    finally:
        os.close(log)


def _process(pid: int) -> Optional[Running]:
    # the name stands in parentheses and may hold anything, so what follows is counted from the last one
    fields = _read("/proc/%d/stat" % pid).rpartition(") ")[2].split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    try:
        uid = os.stat("/proc/%d" % pid).st_uid
    except OSError:
        return None
    title = _read("/proc/%d/cmdline" % pid).replace("\0", " ").strip()
    return Running(
        pid, int(fields[1]), uid, fields[0], title, _boot_time() + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    )


_boot: Dict[str, float] = {}


def _boot_time() -> float:
    if "at" not in _boot:
        match = re.search(r"^btime (\d+)$", _read("/proc/stat"), re.MULTILINE)
        _boot["at"] = float(match.group(1)) if match else 0.0
    return _boot["at"]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
