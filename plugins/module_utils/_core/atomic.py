# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small file exchanged as a whole: whoever reads it gets the old content or the new one, whatever fails in between.

What it was stays in memory only: a copy beside it would be one more file full of secrets. No message shows content.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import glob
import os
import re
import stat
import tempfile
from dataclasses import dataclass, field
from typing import Dict, List, Optional

from .errors import OncallError, RefusedError

_ROOM_BYTES = 65536  # the new file beside the old one, and its directory entry
_LONGEST_BYTES = 1 << 20  # a .env file of that size is something else
_HARMLESS = (errno.ENOTSUP, errno.ENODATA)


class WriteError(OncallError):
    """The file could not be exchanged; it is as it was."""


@dataclass(frozen=True)
class Found:
    """A file as it was read. ``path`` is where it really is (symbolic links followed); ``data`` None: there is none."""

    path: str
    data: Optional[bytes] = field(repr=False)
    mode: int = 0o600
    uid: int = -1
    gid: int = -1
    attributes: Dict[str, bytes] = field(default_factory=dict, repr=False)  # SELinux context, ACL, ...

    @property
    def text(self) -> str:
        return (self.data or b"").decode("utf-8", "surrogateescape")


def _at_once(path: str, flags: int) -> int:
    """A pipe would be waited for until somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def read(path: str, must_exist: bool = True) -> Found:
    """Raises RefusedError for what cannot be read, or could not be restored as it is."""
    real = os.path.realpath(path)
    try:
        with open(real, "rb", opener=_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RefusedError("%s is not a regular file" % path, "Give the path of the file itself.")
            data = file.read(_LONGEST_BYTES + 1)
    except FileNotFoundError:
        if must_exist:
            raise RefusedError("%s does not exist" % path, "Correct the path.") from None
        return Found(real, None)
    except OSError as error:
        hint = "Use become: true." if isinstance(error, PermissionError) else "Correct the path."
        raise RefusedError("%s cannot be read: %s" % (path, error.strerror), hint) from None
    if len(data) > _LONGEST_BYTES:
        raise RefusedError("%s is larger than 1 MiB" % path, "That is not an .env file: correct the path.")
    if status.st_nlink > 1:
        raise RefusedError(
            "%s has %d hard links, and replacing it would break them" % (path, status.st_nlink),
            "Use a symbolic link instead.",
        )
    return Found(real, data, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, _attributes(real))


def check_writable(found: Found) -> None:
    """Raise RefusedError where ``write`` would fail for certain. Touches nothing, so check mode can ask, too."""
    directory = os.path.dirname(found.path)
    if found.data is not None and not os.access(found.path, os.W_OK):
        raise RefusedError(
            "%s is read-only here (permissions, an immutable flag or the file system's mount)" % found.path,
            "Make it writable, or use become: true.",
        )
    if not os.path.isdir(directory):
        raise RefusedError("The directory %s does not exist" % directory, "Create it, or correct the path.")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise RefusedError(
            "The directory %s is read-only here, and the new file must be written beside the old one" % directory,
            "Make it writable, or use become: true.",
        )
    if _is_mounted(found.path):
        raise RefusedError(
            "%s is itself a mount point, so it cannot be replaced" % found.path,
            "Run on the host that the file comes from.",
        )
    free = os.statvfs(directory)
    need = len(found.data or b"") + _ROOM_BYTES
    if free.f_bavail * free.f_frsize < need or (free.f_files and not free.f_favail):
        raise RefusedError(
            "The disk of %s is full (%d bytes free, %d needed)" % (directory, free.f_bavail * free.f_frsize, need),
            "Free some space there first.",
        )


def write(found: Found, data: bytes) -> None:
    """Put ``data`` in the place of what was found. Raises WriteError.

    Mode, owner, SELinux context and ACL are the old file's. Someone else's edit since ``read`` is never overwritten.
    """
    directory, name = os.path.split(found.path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=_prefix(name), dir=directory)
        with open(handle, "wb") as file:
            if found.uid != -1:
                os.fchown(file.fileno(), found.uid, found.gid)
            os.fchmod(file.fileno(), found.mode)
            for attribute, value in found.attributes.items():
                _set_attribute(temporary, attribute, value)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _same(found)
        os.replace(temporary, found.path)
        temporary = ""
        _sync(directory)
    except OSError as error:
        raise WriteError(
            "%s could not be written: %s; it is unchanged" % (found.path, error.strerror or error),
            "Check its disk and permissions.",
        ) from None
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def temporaries(path: str) -> List[str]:
    """What writers of ``path`` that were killed have left; or what one that is at work needs."""
    directory, name = os.path.split(path)
    return glob.glob(os.path.join(glob.escape(directory), glob.escape(_prefix(name)) + "*"))


def _prefix(name: str) -> str:
    return ".%s." % name[:100]


def put_back(before: Found, ours: bytes) -> None:
    """Undo ``write``, or nothing where it was not done.

    Raises WriteError where someone else has changed the file since, or it cannot be written.
    """
    data = _content(before.path)
    if data == before.data:
        return
    now = dataclasses.replace(before, data=ours)
    if before.data is not None:
        write(now, before.data)
        return
    _same(now)
    try:
        os.unlink(now.path)
    except OSError as error:
        raise WriteError("%s could not be removed again: %s" % (now.path, error.strerror)) from None
    _sync(os.path.dirname(now.path))


def _same(found: Found) -> None:
    if _content(found.path) != found.data:
        raise WriteError("%s was changed by someone else meanwhile; it was not touched" % found.path, "Run again.")


def _content(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as file:
            return file.read(_LONGEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WriteError("%s cannot be read: %s" % (path, error.strerror)) from None


def _sync(directory: str) -> None:
    """So that the new name survives a power cut. Some file systems know no such thing."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_mounted(path: str) -> bool:
    """A file that is bind-mounted by itself, as into a container."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            points = [line.split(" ")[4] for line in file]
    except OSError:
        return False
    return any(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), point) == path for point in points)


def _attributes(path: str) -> Dict[str, bytes]:
    if not hasattr(os, "listxattr"):
        return {}
    try:
        return {name: os.getxattr(path, name) for name in os.listxattr(path)}
    except OSError:
        return {}


def _set_attribute(path: str, name: str, value: bytes) -> None:
    try:
        if os.getxattr(path, name) == value:  # SELinux: the directory gave it already, and another is not allowed
            return
    except OSError:
        pass
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if error.errno not in _HARMLESS and not name.startswith("user."):
            raise
