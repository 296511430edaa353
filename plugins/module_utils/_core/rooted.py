# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of somebody else's root directory: opened as it would be after chroot(2), or not at all.

Whoever owns that root (a container, seen below ``/proc/<pid>/root``) chooses its symbolic links and may change them
while we look. So no path is ever computed and opened afterwards: the kernel resolves it below the root (openat2(2)),
or, before Linux 5.6, each step is opened by the descriptor of the one before. More than 40 links, a link to itself, a
device, a FIFO: an OSError, never a file of ours and never a wait.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from dataclasses import dataclass
from typing import Iterator, List

_MOST_LINKS = 40  # the kernel's own limit (path_resolution(7))
_DEEPEST = 200  # each level holds a descriptor
_MOST_STEPS = 4096
_PATH = getattr(os, "O_PATH", 0) | os.O_CLOEXEC  # elsewhere than on Linux this file is imported, not used
# openat2(2): the number is the same wherever the common system call table is used.
_OPENAT2 = 437
_MACHINES = ("x86_64", "aarch64", "ppc64le", "ppc64", "s390x", "riscv64", "i686", "armv7l")
_NO_MAGICLINKS, _IN_ROOT = 0x02, 0x10
_ASK_THE_WALK = (errno.ENOSYS, errno.EPERM, errno.EAGAIN, errno.EINVAL)  # an old kernel, seccomp, a rename meanwhile


@dataclass(frozen=True)
class Rooted:
    """``path`` as processes below ``root`` see it. Every method raises OSError where it is not what is asked for."""

    root: str
    path: str

    def text(self, at_most: int) -> str:
        """The first ``at_most`` bytes of a regular file. What the kernel makes up (/proc) has no size and no text."""
        with _opened(self.root, self.path) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", self.path)
            # The same inode, whatever its name is by now.
            handle = os.open("/proc/self/fd/%d" % descriptor, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
            with open(handle, "rb") as file:
                return file.read(min(at_most, status.st_size)).decode("utf-8", "replace")

    @contextlib.contextmanager
    def socket(self) -> Iterator[str]:
        """An address for connect(2): it names the socket that was found, whatever its length and its name by then."""
        with _opened(self.root, self.path) as descriptor:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK), self.path)
            yield "/proc/self/fd/%d" % descriptor


@contextlib.contextmanager
def _opened(root: str, path: str) -> Iterator[int]:
    """A descriptor that only locates (O_PATH): nothing was opened yet, so that no device was woken."""
    try:
        wanted = os.fsencode(path)
    except UnicodeError:
        wanted = b"\0"
    if not wanted or b"\0" in wanted:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    top = os.open(root, _PATH | os.O_DIRECTORY)
    try:
        try:
            descriptor = _by_kernel(top, wanted)
        except OSError as error:
            if error.errno not in _ASK_THE_WALK:
                raise
            descriptor = _by_walk(top, wanted)
    finally:
        os.close(top)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def _by_kernel(top: int, path: bytes) -> int:
    if os.uname().machine not in _MACHINES:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    how = _How(_PATH, 0, _IN_ROOT | _NO_MAGICLINKS)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(
        ctypes.c_long(_OPENAT2), ctypes.c_int(top), path, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
    )
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), os.fsdecode(path))
    return int(descriptor)


def _by_walk(top: int, path: bytes) -> int:
    """``..`` goes back to the descriptor that we came from, never up by the kernel: a directory may be moved out."""
    waiting = _steps(path)
    way: List[int] = []
    links = 0
    try:
        while waiting:
            here = way[-1] if way else top
            step = waiting.pop()
            if step in (b"", b".", b".."):
                if not stat.S_ISDIR(os.fstat(here).st_mode):
                    raise _refusal(errno.ENOTDIR, path)
                if step == b".." and way:
                    os.close(way.pop())
                continue
            way.append(os.open(step, _PATH | os.O_NOFOLLOW, dir_fd=here))
            if stat.S_ISLNK(os.fstat(way[-1]).st_mode):
                target = os.readlink(b"", dir_fd=way[-1])
                links += 1
                if links > _MOST_LINKS:
                    raise _refusal(errno.ELOOP, path)
                for _unused in range(len(way) if target.startswith(b"/") else 1):
                    os.close(way.pop())
                waiting += _steps(target)
            if len(way) > _DEEPEST or len(waiting) > _MOST_STEPS:
                raise _refusal(errno.ENAMETOOLONG, path)
        return os.dup(way[-1] if way else top)
    finally:
        for descriptor in way:
            os.close(descriptor)


def _steps(path: bytes) -> List[bytes]:
    """Last one first. An empty one, as behind a slash at the end, says that a directory is meant."""
    return path.split(b"/")[::-1]


def _refusal(code: int, path: bytes) -> OSError:
    return OSError(code, os.strerror(code), os.fsdecode(path))
