# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else has the server's data directory: a container of any project or engine, or a process of the engine's host.

The only proof is a server process that works in it. Root on the engine's host sees all of them in ``/proc``; else a
toolbox in the host's pid namespace does. A mount alone proves nothing: a backup or a file browser has one, too.
"""

from __future__ import annotations

import os
import posixpath
import re
import socket
import struct
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ...._core.errors import OncallError, TargetError
from ...._core.numbers import whole
from .. import processes
from . import containers
from .api import EngineError
from .toolbox import TOOLBOX

if TYPE_CHECKING:
    from ...._core.deadline import Deadline
    from ...._model.facts import DirectoryUser
    from .engine import Engine
    from .project import Inspection, View

HOST = "processes of the engine's host that are in no container"
_LIVE = ("running", "paused", "restarting")
_ENGINES = ("dockerd", "podman", "systemd")  # systemd: it holds the socket, and starts the engine when it is needed
_CAPABILITIES = ("DAC_READ_SEARCH", "SYS_PTRACE")  # to see where a process works
_LOOK_SH = r"""
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
[ -e "$1" ] || [ -L "$1" ] || { echo all; exit 0; } # what does not exist has nobody
owner=$(stat -L -c %u "$1") || exit 3
for p in /proc/[0-9]*; do
    comm=; { read -r comm <"$p/comm"; } 2>/dev/null
    case $comm in postgres|postmaster|edb-postgres) ;; *) continue ;; esac
    uid=; ppid=; state=
    while read -r key value _; do
        case $key in State:) state=$value ;; PPid:) ppid=$value ;; Uid:) uid=$value; break ;; esac
    done 2>/dev/null <"$p/status"
    case $state in ''|Z|X) continue ;; esac
    if [ "$p/cwd" -ef "$1" ]; then how=seen
    elif [ -d "$p/cwd/" ] || [ "$uid" != "$owner" ]; then continue
    else how=hidden; fi
    id=$(grep -o -E '[0-9a-f]{64}' "$p/cgroup" 2>/dev/null | tail -n 1)
    [ -n "$id" ] || id=$(grep -o -E 'containers/[0-9a-f]{64}' "$p/mountinfo" 2>/dev/null | tail -n 1)
    printf '%s %s %s %s ' "$how" "${p#/proc/}" "${ppid:-0}" "${id##*/}."
    tr '\0\n' '  ' <"$p/cmdline" 2>/dev/null; echo
done
echo all
"""
_LINE = re.compile(r"(seen|hidden) (\d{1,10}) (\d{1,10}) ([0-9a-f]{64})?\. ?(.*)\Z")


class _Process(NamedTuple):
    """A server process on the engine's host that works in the directory, or (``hidden``) may."""

    pid: int
    parent: int
    container: Optional[str]  # the id
    title: str
    hidden: bool


def users(
    view: View, inspected: Inspection, directory: str, running: Optional[int], deadline: Deadline
) -> Tuple[List[DirectoryUser], Optional[str]]:
    """The users, and what was not looked at (in words).

    ``running``: the postmaster of this very container, where its ``/proc`` can be read. Of a container that is down
    everything is asked; of one that runs, what costs no toolbox."""
    mount = containers.mount_of(inspected, directory)
    if mount is None or mount.get("Type") not in ("bind", "volume"):
        return [], None  # on the container's own layer, or in memory: nobody else can have it
    engine, down = view.engine, inspected["State"]["Status"] not in ("running", "paused")
    near = _Near(inspected, mount, _device(engine, mount, deadline) if running is None else None, directory)
    found, problem = near.processes(engine, running), ""
    if found is None and down:
        try:
            found = _by_toolbox(engine, inspected, directory, deadline)
        except OncallError as error:
            problem = "the host's processes cannot be seen: %s" % error.msg
    others = _others(found or [], inspected["Id"])
    if others and not down:  # an alarm of the highest kind: whoever ends just now is gone at the second look
        still = {each.pid for each in near.processes(engine, running) or []}
        others = [each for each in others if each.pid in still]
    if found is not None and not others and not down:
        return [], None
    listed: List[Dict[str, Any]] = engine.get("/containers/json", deadline, all=1)
    names = {str(one["Id"]): _name(one) for one in listed}
    result = [_user(each, names) for each in others]
    for one in listed:
        # A container that is restarting has no process to be seen by, and will have one at any moment.
        asked = found is None or (down and one.get("State") == "restarting")
        if asked and one["Id"] != inspected["Id"] and near.mounted_in(one, engine, deadline):
            result += _by_engine(near, one, engine, deadline)
    if problem:
        result.append({"container": None, "pid": None, "title": problem, "seen": False})
    return result, HOST if found is None else None


def strangers(engine: Engine, project: str, deadline: Deadline) -> List[DirectoryUser]:
    """Of a server that has no container any more: who, outside of its project, runs one on a volume of the project."""
    volumes = {str(one["Name"]) for one in engine.volumes(deadline, "%s=%s" % (containers.PROJECT, project))}
    found: List[DirectoryUser] = []
    for one in engine.get("/containers/json", deadline) if volumes else []:
        mounted = [mount for mount in one.get("Mounts") or [] if mount.get("Name") in volumes and mount.get("RW", True)]
        if not mounted or (one.get("Labels") or {}).get(containers.PROJECT) == project:
            continue
        inspected = engine.get("/containers/%s/json" % one["Id"], deadline)
        head = containers.postmaster(containers.rows(engine.top(one["Id"], deadline)))
        mount = containers.mount_of(inspected, containers.data_directory(inspected) or "")
        if head is not None and mount is not None and mount.get("Name") in volumes:
            found.append({"container": _name(one), "pid": head["pid"], "title": head["args"], "seen": True})
    return found


class _Near(NamedTuple):
    """Where the directory is on the engine's host."""

    inspected: Inspection
    mount: Mapping[str, Any]
    device: Optional[str]  # what a volume of its own kind stands for; "" where nobody can say where that is mounted
    directory: str

    def sources(self) -> List[str]:
        return [path for path in (self.mount.get("Source"), self.device) if path]

    def path(self) -> Optional[str]:
        """On the host; None where that cannot be told from outside."""
        if self.device == "":
            return None
        source = os.path.realpath(self.device or self.mount.get("Source") or "/nowhere")
        inner = posixpath.relpath(self.directory, self.mount["Destination"])
        whole_path = os.path.realpath(os.path.join(source, _subpath(self.inspected, self.mount), inner))
        # a link that leads out of the volume leads elsewhere in the container than on the host
        return whole_path if os.path.isdir(whole_path) and (whole_path + "/").startswith(source + "/") else None

    def processes(self, engine: Engine, running: Optional[int]) -> Optional[List[_Process]]:
        """By ``/proc``. None: we are not root on the engine's host, or the directory is not to be found there."""
        if not _on_its_host(engine):
            return None
        path = "/proc/%d/cwd" % running if running is not None else self.path()
        try:
            look = processes.on(path) if path is not None else None
        except OSError:
            return None
        if look is None or look.hidden:
            return None
        return [_Process(each.pid, each.parent, each.container(), each.title, False) for each in look.found]

    def mounted_in(self, listed: Mapping[str, Any], engine: Engine, deadline: Deadline) -> bool:
        """Whether a live container has the directory, a part of it or what is above it, and may write there."""
        if listed.get("State") not in _LIVE or TOOLBOX in (listed.get("Labels") or {}):
            return False
        mounts = [mount for mount in listed.get("Mounts") or [] if mount.get("RW", True)]
        return any(self._same(mount, engine, deadline) for mount in mounts)

    def _same(self, mount: Mapping[str, Any], engine: Engine, deadline: Deadline) -> bool:
        if mount.get("Type") == "volume" and mount.get("Name") and mount.get("Name") == self.mount.get("Name"):
            return True
        theirs = [mount.get("Source")]
        if self.device is not None and mount.get("Type") == "volume":
            theirs.append(_device(engine, mount, deadline))
        resolve = os.path.realpath if engine.local else posixpath.normpath
        inner = posixpath.relpath(self.directory, self.mount["Destination"])
        ours = [posixpath.normpath(posixpath.join(resolve(source), inner)) for source in self.sources()]
        return any(_nested(resolve(path), own) for path in theirs if path for own in ours)


def _nested(one: str, other: str) -> bool:
    one, other = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return one.startswith(other) or other.startswith(one)


def _subpath(inspected: Inspection, mount: Mapping[str, Any]) -> str:
    for given in inspected["HostConfig"].get("Mounts") or []:
        if given.get("Target") == mount["Destination"]:
            subpath = str((given.get("VolumeOptions") or {}).get("Subpath") or "")
            return "" if str(mount.get("Source")).endswith("/" + subpath) else subpath
    return ""


def _device(engine: Engine, mount: Mapping[str, Any], deadline: Deadline) -> Optional[str]:
    """What a volume with options stands for: mounted only while a container uses it. None: an ordinary one."""
    if mount.get("Type") != "volume" or not mount.get("Name"):
        return None
    try:
        options = engine.get("/volumes/%s" % mount["Name"], deadline).get("Options") or {}
    except EngineError:
        return None
    device = options.get("device")
    if not device:
        return None
    return str(device) if "bind" in str(options.get("o") or "").split(",") else ""


def _on_its_host(engine: Engine) -> bool:
    """Root in the pid namespace and the file system of the engine itself. The socket of one elsewhere may be forwarded
    here, by ssh for example."""
    if not engine.local or os.geteuid() != 0:
        return False
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(2)
            asked.connect(engine.host[len("unix://") :])
            pid = struct.unpack("3i", asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        root, own = os.stat("/proc/%d/root" % pid), os.stat("/")  # pid 0: of another namespace
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        return False
    return name in _ENGINES and (root.st_dev, root.st_ino) == (own.st_dev, own.st_ino)


def _by_toolbox(engine: Engine, inspected: Inspection, directory: str, deadline: Deadline) -> List[_Process]:
    done = engine.toolbox(
        inspected["Image"],
        ["sh", "-c", _LOOK_SH, "oncall", directory],
        deadline,
        volumes_from=inspected["Id"],
        capabilities=_CAPABILITIES,
        pid_mode="host",
    )
    lines = done.out.splitlines()
    if "all" not in lines:
        raise TargetError(" ".join((done.err or done.out).split())[-200:] or "exit code %d" % done.code)
    found: List[_Process] = []
    for match in filter(None, map(_LINE.match, lines)):
        how, pid, parent, container, title = match.groups()
        found.append(_Process(whole(pid) or 0, whole(parent) or 0, container, title.strip(), how == "hidden"))
    return found


def _others(found: Sequence[_Process], own: str) -> List[_Process]:
    """The postmasters outside of the container ``own``. An orphan of one is what is left of it on the host; a
    container's ends with it. A backend that is ending tells its parent, and no longer its container."""
    pids = {each.pid for each in found}
    return [each for each in found if each.parent not in pids and each.container != own]


def _user(process: _Process, names: Mapping[str, str]) -> DirectoryUser:
    container = process.container
    return {
        "container": None if container is None else names.get(container, container[:12]),
        "pid": process.pid,
        "title": process.title,
        "seen": not process.hidden,
    }


def _by_engine(near: _Near, listed: Mapping[str, Any], engine: Engine, deadline: Deadline) -> List[DirectoryUser]:
    """Of a container that mounts the directory: its server, if it is that directory's or may be."""
    name = _name(listed)
    if listed.get("State") == "restarting":
        return [{"container": name, "pid": None, "title": "it is restarting", "seen": False}]
    try:
        inspected = engine.get("/containers/%s/json" % listed["Id"], deadline)
        head = containers.postmaster(containers.rows(engine.top(listed["Id"], deadline)))
    except EngineError as error:
        gone = error.status in (404, 409)
        return [] if gone else [{"container": name, "pid": None, "title": error.msg, "seen": False}]
    if head is None:
        return []
    directory = containers.data_directory(inspected)
    mount = containers.mount_of(inspected, directory) if directory else None
    seen = False
    if directory is not None and mount is not None:
        theirs, ours = _Near(inspected, mount, _device(engine, mount, deadline), directory), near
        seen = _place(theirs) == _place(ours)
        if not seen:
            return []
    return [{"container": name, "pid": head["pid"], "title": head["args"], "seen": seen}]


def _place(near: _Near) -> str:
    """One text for one place, as far as the engine tells."""
    source = near.device or near.mount.get("Source") or near.mount.get("Name") or ""
    inner = posixpath.relpath(near.directory, near.mount["Destination"])
    return posixpath.normpath(posixpath.join(source, _subpath(near.inspected, near.mount), inner))


def _name(listed: Mapping[str, Any]) -> str:
    names = [str(name).lstrip("/") for name in listed.get("Names") or []]
    return next((name for name in names if "/" not in name), str(listed["Id"])[:12])
