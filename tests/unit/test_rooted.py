# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of a container's file system never lead out of it: by the kernel's openat2 and by the walk of older kernels."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._core import rooted
from ansible_collections.oncall.postgresql.plugins.module_utils._core.rooted import Rooted

LONGEST = 1 << 16


def no_openat2(top: int, path: bytes) -> int:
    raise OSError(errno.ENOSYS, "an old kernel")


@pytest.fixture(params=["kernel", "walk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "walk":
        monkeypatch.setattr(rooted, "_by_kernel", no_openat2)
    else:  # no fallback: what is tested is what is named
        monkeypatch.setattr(rooted, "_by_walk", None)
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A container's file system, and a file of the host beside it."""
    (tmp_path / "secret-of-the-host").write_text("host")
    inner = tmp_path / "root"
    (inner / "etc").mkdir(parents=True)
    (inner / "etc" / "hostname").write_text("container")
    return inner


def chain(root: Path, links: int, end: str) -> str:
    """``links`` symbolic links, the last one to ``end``."""
    for number in range(links):
        (root / ("link%d" % number)).symlink_to("link%d" % (number + 1) if number < links - 1 else end)
    return "/link0"


def refused(root: Path, path: str) -> int | None:
    with pytest.raises(OSError) as caught:
        Rooted(str(root), path).text(LONGEST)
    return caught.value.errno


@pytest.mark.usefixtures("way")
class TestText:
    @pytest.mark.parametrize(
        "path", ["etc/hostname", "/etc/hostname", "//etc/./../../etc/hostname", "../../etc/hostname"]
    )
    def test_a_file(self, root: Path, path: str) -> None:
        assert Rooted(str(root), path).text(LONGEST) == "container"

    def test_no_more_than_asked_for(self, root: Path) -> None:
        assert Rooted(str(root), "etc/hostname").text(4) == "cont"

    def test_no_text_at_all_is_refused_no_bytes(self, root: Path) -> None:
        (root / "bytes").write_bytes(b"a\xff\xfe")
        assert Rooted(str(root), "bytes").text(LONGEST) == "a\ufffd\ufffd"

    @pytest.mark.parametrize(
        "target",
        ["/etc/hostname", "etc/hostname", "../etc/hostname", "../../../../../etc/hostname", "/../etc/hostname"],
    )
    def test_links_are_the_containers(self, root: Path, target: str) -> None:
        (root / "link").symlink_to(target)
        assert Rooted(str(root), "link").text(LONGEST) == "container"

    @pytest.mark.parametrize("target", ["{host}", "../secret-of-the-host", "/../../../..{host}"])
    def test_a_file_of_the_host_is_not_there(self, root: Path, target: str) -> None:
        (root / "link").symlink_to(target.format(host=root.parent / "secret-of-the-host"))
        assert refused(root, "link") == errno.ENOENT

    def test_forty_links_are_followed(self, root: Path) -> None:
        assert Rooted(str(root), chain(root, 40, "/etc/hostname")).text(LONGEST) == "container"

    @pytest.mark.parametrize("links", [41, 42, 200])
    def test_a_longer_chain_is_refused(self, root: Path, links: int) -> None:
        """The link that remains must not be followed from the host's root."""
        assert refused(root, chain(root, links, "/etc/hostname")) == errno.ELOOP
        for number in range(40, links):
            (root / ("link%d" % number)).unlink()
        (root / "link40").symlink_to(str(root.parent / "secret-of-the-host"))
        assert refused(root, "/link0") == errno.ELOOP

    def test_loops(self, root: Path) -> None:
        (root / "self").symlink_to("self")
        (root / "a").symlink_to("/b/x")
        (root / "b").symlink_to("a")
        assert refused(root, "self") == refused(root, "a") == errno.ELOOP

    def test_links_that_grow_without_end(self, root: Path) -> None:
        (root / "grow").symlink_to("grow/" * 500 + "grow")
        assert refused(root, "grow") in (errno.ELOOP, errno.ENAMETOOLONG)

    def test_dangling(self, root: Path) -> None:
        (root / "link").symlink_to("/nowhere")
        assert refused(root, "link") == refused(root, "nowhere/at/all") == errno.ENOENT

    @pytest.mark.parametrize("path", ["etc/hostname/", "etc/hostname/.", "etc/hostname/..", "etc/hostname/x"])
    def test_a_file_is_no_directory(self, root: Path, path: str) -> None:
        assert refused(root, path) == errno.ENOTDIR

    @pytest.mark.parametrize("path", ["", "a\0b", "\ud800"])
    def test_no_path(self, root: Path, path: str) -> None:
        assert refused(root, path) == errno.ENOENT

    def test_a_directory(self, root: Path) -> None:
        assert refused(root, "etc") == refused(root, "/") == errno.EINVAL

    def test_a_fifo_is_not_waited_for(self, root: Path) -> None:
        os.mkfifo(root / "fifo")
        codes: list[int | None] = []
        thread = threading.Thread(target=lambda: codes.append(refused(root, "fifo")), daemon=True)
        thread.start()
        thread.join(10)
        assert codes == [errno.EINVAL]

    def test_a_device_is_not_opened(self) -> None:
        assert refused(Path("/dev"), "zero") == errno.EINVAL

    def test_what_the_kernel_makes_up_is_not_read(self) -> None:
        """A container's /proc shows root some of the host's (/proc/kmsg), and reading it may wait for ever."""
        assert Rooted("/proc", "version").text(LONGEST) == ""

    def test_a_magic_link_is_not_jumped_through(self) -> None:
        """/proc/PID/root and its like lead to places, not to names."""
        with pytest.raises(OSError):
            Rooted("/proc", "%d/cwd/pyproject.toml" % os.getpid()).text(LONGEST)

    def test_no_descriptor_is_left(self, root: Path) -> None:
        before = len(os.listdir("/proc/self/fd"))
        (root / "self").symlink_to("self")
        for path in ("etc/hostname", "self", "etc/../etc/nothing", "etc"):
            with contextlib.suppress(OSError):
                Rooted(str(root), path).text(LONGEST)
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("way")
class TestSocket:
    def test_it_is_reached_by_a_link_and_a_long_name(self, root: Path) -> None:
        deep = root / "run" / ("d" * 100) / ("e" * 100)  # past the 108 bytes of an address
        deep.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            here = os.getcwd()
            try:
                os.chdir(deep)
                server.bind("s")
            finally:
                os.chdir(here)
            server.listen()
            (root / "var").symlink_to("/run")
            with Rooted(str(root), "/var/%s/%s/s" % ("d" * 100, "e" * 100)).socket() as address:
                client.connect(address)
            server.accept()[0].close()

    def test_a_hosts_socket_is_not_reached(self, root: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(root.parent / "s"))
            (root / "link").symlink_to(str(root.parent / "s"))
            (root / "up").symlink_to("../s")
            for path in ("link", "up", "../s", chain(root, 41, str(root.parent / "s"))):
                with pytest.raises(OSError), Rooted(str(root), path).socket():
                    raise AssertionError(path)

    def test_a_file_is_no_socket(self, root: Path) -> None:
        with pytest.raises(OSError, match="socket"), Rooted(str(root), "etc/hostname").socket():
            raise AssertionError


# --- against a model -------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c")
steps = st.lists(st.sampled_from([*NAMES, "..", ".", ""]), min_size=1, max_size=6).map("/".join)
links = st.tuples(st.just("link"), st.tuples(st.booleans(), steps).map(lambda one: "/" * one[0] + (one[1] or ".")))
trees = st.recursive(
    st.one_of(st.tuples(st.just("file"), st.just("")), links),
    lambda inner: st.tuples(st.just("directory"), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)),
    max_leaves=8,
)
roots = st.dictionaries(st.sampled_from(NAMES), trees, min_size=1, max_size=3)


def make(place: Path, tree: dict[str, tuple[str, object]], name: str = "") -> None:
    for step, (kind, content) in tree.items():
        inner = "%s/%s" % (name, step)
        if kind == "file":
            (place / step).write_text("content of " + inner)
        elif kind == "link":
            os.symlink(str(content), place / step)
        else:
            (place / step).mkdir()
            assert isinstance(content, dict)
            make(place / step, content, inner)


def model(tree: dict[str, tuple[str, object]], path: str) -> str | None:
    """What chroot(2) and open(2) would give, by the book (path_resolution(7)); None for an error."""
    waiting, links = path.split("/")[::-1], 0
    way: list[tuple[str, tuple[str, object]]] = []
    while waiting:
        kind, content = way[-1][1] if way else ("directory", tree)
        step = waiting.pop()
        if kind != "directory":
            return None
        assert isinstance(content, dict)
        if step in ("", "."):
            continue
        if step == "..":
            way = way[:-1]
            continue
        if step not in content:
            return None
        found = content[step]
        if found[0] == "link":
            links += 1
            if links > 40:
                return None
            target = str(found[1])
            way = [] if target.startswith("/") else way
            waiting += target.split("/")[::-1]
        else:
            way = [*way, (step, found)]
    return "content of /" + "/".join(name for name, _one in way) if way and way[-1][1][0] == "file" else None


def read(top: Path, path: str) -> str | None:
    try:
        return Rooted(str(top), path).text(LONGEST)
    except OSError:
        return None


@pytest.mark.usefixtures("way")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(roots, steps.filter(bool))
@example({"a": ("directory", {"b": ("link", "/c/.")}), "c": ("file", "")}, "a/b")
@example({"a": ("link", "../../a/."), "b": ("file", "")}, "a/../b")
def test_like_a_root_directory_of_its_own(tree: dict[str, tuple[str, object]], path: str) -> None:
    with tempfile.TemporaryDirectory() as outside:
        for name in NAMES:  # what an escape would find
            (Path(outside) / name).write_text("host")
        top = Path(outside) / "root"
        top.mkdir()
        make(top, tree)
        assert read(top, path) == model(tree, path)


def test_a_race_between_look_and_open_is_lost_by_whoever_makes_it(root: Path, way: str) -> None:
    """A directory that is exchanged for a link to the host, thousands of times: what is read is never the host's."""
    inner = root / "var"
    inner.mkdir()
    (inner / "secret-of-the-host").write_text("container")
    (root / "evil").symlink_to(str(root.parent))
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            os.rename(inner, root / "put-aside")
            os.rename(root / "evil", inner)
            os.rename(inner, root / "evil")
            os.rename(root / "put-aside", inner)

    thread = threading.Thread(target=exchange, daemon=True)
    thread.start()
    try:
        found: set[str | None] = set()
        for number in range(100_000):
            found.add(read(root, "var/secret-of-the-host"))
            if number >= 1500 and "container" in found:
                break
    finally:
        stop.set()
        thread.join()
    assert found <= {"container", None} and "container" in found
