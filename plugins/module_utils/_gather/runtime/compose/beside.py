# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root beside the engine reads of a container by ``/proc``: microseconds, where asking the engine takes 60 ms."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from typing import List, Optional, Tuple

from ...._core.numbers import port
from ...._core.rooted import Rooted
from .. import processes

_LONGEST = 1 << 16  # bytes of a file that has some lines


@dataclass(frozen=True)
class Postmaster:
    """The server's first process; ``uid`` as the container's own users are numbered."""

    pid: int
    uid: Optional[int]
    data_directory: Optional[str]
    bin_directory: Optional[str]


def is_container(pid: int, container: str) -> bool:
    """Whether ``pid`` is, on this machine and in our own pid namespace, a process of that container.

    An engine's socket may be forwarded from elsewhere, or we may be in a container ourselves: the number would then
    name a stranger. The engine mounts each container's ``hosts`` file from a directory that has its id in its name.
    """
    for name in ("mountinfo", "cgroup"):
        try:
            with open("/proc/%d/%s" % (pid, name), encoding="utf-8", errors="replace") as file:
                if container in file.read():
                    return True
        except OSError:
            pass
    return False


def inside(pid: int, path: str) -> Rooted:
    """``path`` as that process sees it."""
    return Rooted("/proc/%d/root" % pid, path)


def postmaster(pid: int) -> Optional[Postmaster]:
    """The first server process at or below ``pid`` (the container's first process), None when there is none."""
    generation = [pid]
    for _depth in range(4):  # an init, a shell, a supervisor
        following: List[int] = []
        for each in generation:
            try:
                executable = os.readlink("/proc/%d/exe" % each)
                if posixpath.basename(executable.replace(" (deleted)", "")) in ("postgres", "postmaster"):
                    directory = processes.link("/proc/%d/cwd" % each)
                    return Postmaster(each, _uid(each), directory, posixpath.dirname(executable))
            except OSError:
                pass
            following += _children(each)
        generation = following
    return None


def lock_file(pid: int, data_directory: str) -> Tuple[Optional[int], Optional[str]]:
    """Port and socket directory from postmaster.pid (PostgreSQL, src/include/utils/pidfile.h)."""
    try:
        text = inside(pid, data_directory + "/postmaster.pid").text(_LONGEST)
    except OSError:
        return None, None
    lines = [line.strip() for line in text.split("\n")] + [""] * 5
    return port(lines[3]), (lines[4] if lines[4].startswith("/") else None)


def _children(pid: int) -> List[int]:
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return []


def _uid(pid: int) -> Optional[int]:
    """By the user namespace's map: the owner that we see is a number of ours."""
    try:
        ours = os.stat("/proc/%d" % pid).st_uid
        with open("/proc/%d/uid_map" % pid, encoding="ascii") as file:
            for line in file:
                theirs, first, count = (int(word) for word in line.split())
                if first <= ours < first + count:
                    return theirs + ours - first
    except (OSError, ValueError):
        pass
    return None
