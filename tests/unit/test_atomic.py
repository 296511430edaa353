# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file exchanged as a whole, on a real file system."""

from __future__ import annotations

import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core import atomic
from ansible_collections.oncall.postgresql.plugins.module_utils._core.atomic import WriteError, put_back, read, write
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError

SECRET = b"PW=old-Secret\r\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(SECRET)
    path.chmod(0o640)
    return path


def test_exchanges_content_and_keeps_the_rest(file: Path) -> None:
    os.setxattr(file, "user.oncall", b"kept")
    if os.geteuid() == 0:
        os.chown(file, 1234, 4321)
    before, inode = file.stat(), file.stat().st_ino
    found = read(str(file))
    atomic.check_writable(found)
    write(found, b"new")
    after = file.stat()
    assert file.read_bytes() == b"new"
    assert after.st_ino != inode
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert os.getxattr(file, "user.oncall") == b"kept"
    put_back(found, b"new")
    assert file.read_bytes() == SECRET
    assert [one.name for one in file.parent.iterdir()] == [".env"]


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe, loop = tmp_path / "pipe", tmp_path / "loop"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    for path, says in (
        (pipe, "is not a regular file. Give the path of the file itself."),
        (tmp_path, "cannot be read: Is a directory. Correct the path."),
        (loop, "cannot be read: Too many levels of symbolic links. Correct the path."),
    ):
        with pytest.raises(RefusedError) as refused:
            read(str(path))
        assert str(refused.value) == "%s %s" % (path, says)


def test_follows_a_symbolic_link(file: Path) -> None:
    link = file.parent / "sub"
    link.mkdir()
    (link / "link").symlink_to("../.env")
    write(read(str(link / "link")), b"new")
    assert (link / "link").is_symlink() and file.read_bytes() == b"new"
    assert [one.name for one in link.iterdir()] == ["link"]


def test_makes_and_removes_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "password"
    found = read(str(path), must_exist=False)
    atomic.check_writable(found)
    write(found, b"new\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    put_back(found, b"new\n")
    assert list(tmp_path.iterdir()) == []


def test_never_overwrites_somebody_else(file: Path) -> None:
    found = read(str(file))
    file.write_bytes(b"theirs")
    with pytest.raises(WriteError, match="changed by someone else"):
        write(found, b"new")
    with pytest.raises(WriteError, match="changed by someone else"):
        put_back(found, b"new")
    assert file.read_bytes() == b"theirs"
    assert [one.name for one in file.parent.iterdir()] == [".env"]


def test_undoing_what_was_not_done_does_nothing(file: Path) -> None:
    found, inode = read(str(file)), file.stat().st_ino
    put_back(found, b"new")
    assert (file.read_bytes(), file.stat().st_ino) == (SECRET, inode)


def test_a_failing_write_leaves_the_old_file(file: Path) -> None:
    """The kernel refuses to write on, as on a full disk."""
    found = read(str(file))
    limit, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limit[1]))
    try:
        with pytest.raises(WriteError) as failed:
            write(found, b"new-Secret is longer")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert "it is unchanged" in str(failed.value) and "Secret" not in str(failed.value)
    assert file.read_bytes() == SECRET
    assert [one.name for one in file.parent.iterdir()] == [".env"]


def test_refuses(file: Path) -> None:
    with pytest.raises(RefusedError, match="does not exist"):
        read(str(file) + "x")
    with pytest.raises(RefusedError, match="not a regular file"):
        read("/dev/null")
    os.link(file, str(file) + ".second")
    with pytest.raises(RefusedError, match="hard links"):
        read(str(file))
    with pytest.raises(RefusedError, match="does not exist"):
        atomic.check_writable(read(str(file.parent / "none" / "password"), must_exist=False))


def test_no_content_in_a_repr(file: Path) -> None:
    assert "Secret" not in repr(read(str(file)))
