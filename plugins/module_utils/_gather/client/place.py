# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another network namespace, entered by a thread.

Each thread of a process has a network namespace of its own, and threads that it starts are born into it. So a thread
does what a forked child would, without the risk of forking a process that has threads (a lock that nobody is left to
release). The thread ends with its work and serves nothing else: no other code ever runs in a foreign namespace.
Files still are this host's there: the container's are reached by ``_core.rooted`` below ``/proc/<pid>/root``.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import TYPE_CHECKING, Callable, List, TypeVar

from ..._core.errors import DeadlineError, TargetError

if TYPE_CHECKING:
    from ..._core.deadline import Deadline

_CLONE_NEWNET = 0x40000000
_CAP_SYS_ADMIN = 21

Result = TypeVar("Result")


def namespace_path(pid: int) -> str:
    return "/proc/%d/ns/net" % pid


def can_enter(pid: int) -> bool:
    """Whether this process may enter that process's network namespace (CAP_SYS_ADMIN, and the process is there)."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
        os.close(os.open(namespace_path(pid), os.O_RDONLY))
    except (OSError, StopIteration, ValueError):
        return False
    return bool(effective >> _CAP_SYS_ADMIN & 1)


def in_namespace(pid: int, function: Callable[[], Result], deadline: Deadline) -> Result:
    """What ``function`` returns (or raises) inside the network namespace of process ``pid``.

    Raises TargetError when it cannot be entered, DeadlineError when ``function`` is not back in time (its thread is
    left behind and ends with its own sockets' deadlines).
    """
    results: List[Result] = []
    errors: List[BaseException] = []

    def run() -> None:
        try:
            _enter(pid)
            results.append(function())
        except BaseException as error:  # handed to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="oncall-netns-%d" % pid, daemon=True)
    thread.start()
    thread.join(deadline.left())
    if errors:
        raise errors[0]
    if not results:
        raise DeadlineError(
            "Checking from inside the network of process %d took too long" % pid, "Raise deadline_seconds."
        )
    return results[0]


def _enter(pid: int) -> None:
    path = namespace_path(pid)
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(descriptor, _CLONE_NEWNET) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise TargetError(
            "Cannot enter the network namespace %s: %s" % (path, error.strerror or error),
            "Run as root beside the engine (become: true).",
        ) from None
