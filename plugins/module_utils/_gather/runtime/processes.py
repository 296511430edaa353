# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of one data directory's server on this host, by Linux's /proc. See proc(5)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from ..._model.facts import DirectoryUser, Process

NAMES = ("postgres", "postmaster", "edb-postgres")
_CONTAINER_ID = re.compile("[0-9a-f]{64}")
_CONTAINER_FILES = re.compile("containers/([0-9a-f]{64})/")


@dataclass(frozen=True)
class Running:
    """One server process."""

    pid: int
    parent: int
    uid: int
    state: str
    title: str
    started: float  # seconds since the epoch
    contained: bool  # it lives in a container, and we do not

    def fact(self) -> Process:
        return {"pid": self.pid, "state": self.state, "title": self.title}

    def container(self) -> Optional[str]:
        """The id of the container it lives in; "" where only its pid namespace says that there is one."""
        return (_container(str(self.pid)) or "") if self.contained else None

    def user(self, seen: bool) -> DirectoryUser:
        container = self.container()
        return {
            "container": None if container is None else container[:12],
            "pid": self.pid,
            "title": self.title,
            "seen": seen,
        }


class OnDirectory(NamedTuple):
    """The server processes that work in one directory (a server's all do), and those whose directory is hidden."""

    found: List[Running]
    hidden: List[Running]


def on(data_directory: str) -> OnDirectory:
    """All live ones, in containers too, by number. The same path is not enough: a container's server has its own
    ``/var/lib/postgresql/data``. Raises OSError where the directory itself may not be seen."""
    directory = os.stat(data_directory)
    found: List[Running] = []
    hidden: List[Running] = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or _read("/proc/%s/comm" % name).strip() not in NAMES:
            continue
        try:
            cwd = os.stat("/proc/%s/cwd" % name)
        except PermissionError:  # somebody else's, or we are root without CAP_SYS_PTRACE (in a container)
            process = _process(int(name))
            # PostgreSQL serves only a directory that belongs to its own user (checkDataDir in miscinit.c)
            if process is not None and process.uid == directory.st_uid:
                hidden.append(process)
            continue
        except OSError:  # gone, or a zombie
            continue
        if (cwd.st_dev, cwd.st_ino) == (directory.st_dev, directory.st_ino):
            process = _process(int(name))
            if process is not None:
                found.append(process)
    return OnDirectory(sorted(found, key=_number), sorted(hidden, key=_number))


_FIRST_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of Linux's include/linux/proc_ns.h


def all_are_seen() -> bool:
    """We are in no container, or share the host's processes with it."""
    try:
        return os.readlink("/proc/self/ns/pid") == _FIRST_NAMESPACE
    except OSError:
        return False


def all_servers() -> List[Running]:
    """The server processes of every directory, in containers too."""
    pids = [name for name in os.listdir("/proc") if name.isdigit() and _read("/proc/%s/comm" % name).strip() in NAMES]
    return [process for process in map(_process, map(int, pids)) if process is not None]


def of_directory(data_directory: str) -> List[Running]:
    """The processes of this host's own server of that directory, by number."""
    return _apart(data_directory)[0]


def others(data_directory: str) -> List[DirectoryUser]:
    """Further servers on that directory: in a container, or a second one of this host; and those that may be one."""
    return _apart(data_directory)[1]


def _apart(data_directory: str) -> Tuple[List[Running], List[DirectoryUser]]:
    try:
        look = on(data_directory)
    except OSError:
        return [], []
    named = _read(os.path.join(data_directory, "postmaster.pid")).partition("\n")[0].strip()
    own = [process for process in look.found if not process.contained]
    if not look.found:
        own = [each for each in look.hidden if not each.contained and named in (str(each.pid), str(each.parent))]
        own = own if named in [str(each.pid) for each in own] else []
    servers = heads(own)
    if len(servers) > 1:
        # Only one can have written the lock file. Without it the older one is whom everybody knows.
        first = min(servers, key=lambda each: (str(each.pid) != named, each.started))
        rest = [each.pid for each in servers if each is not first]
        own = [each for each in own if each.pid not in rest and each.parent not in rest]
    mine = {process.pid for process in own}
    strangers = [each for each in heads(look.found) if each.pid not in mine and each.parent not in mine]
    # A lock of this host is PostgreSQL's own business; one that a container's server holds says nothing to it.
    unsure = [each for each in heads(look.hidden) if each.contained]
    return own, [each.user(True) for each in strangers] + [each.user(False) for each in unsure]


def heads(processes: List[Running]) -> List[Running]:
    """The postmasters: not started by another of them, and no orphan of one."""
    pids = {process.pid for process in processes}
    return [each for each in processes if each.parent not in pids and not each.title.startswith("postgres: ")]


def _number(process: Running) -> int:
    return process.pid


def postmaster(processes: List[Running]) -> Optional[Running]:
    """The one that started the others; None when only orphans are left of it."""
    return next(iter(heads(processes)), None)


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


def link(path: str) -> Optional[str]:
    """Where it leads; None where that cannot be seen, and where it is none."""
    try:
        return os.readlink(path)
    except OSError:
        return None


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
    started = _boot_time() + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    numbers = re.search(r"^NSpid:\s*(.*)$", _read("/proc/%d/status" % pid), re.MULTILINE)
    below = numbers is not None and len(numbers.group(1).split()) > 1
    # Without a pid namespace of its own (--pid host) only its cgroup tells.
    contained = below or _container(str(pid)) not in (None, _container("self"))
    return Running(pid, int(fields[1]), uid, fields[0], title, started, contained)


def _container(pid: str) -> Optional[str]:
    """The id of a process's container, as engines name cgroups, or the files that they mount."""
    found = _CONTAINER_ID.findall(_read("/proc/%s/cgroup" % pid))
    found = found or _CONTAINER_FILES.findall(_read("/proc/%s/mountinfo" % pid))
    return str(found[-1]) if found else None


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
