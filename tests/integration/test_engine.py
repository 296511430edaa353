# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's layer on a real engine: nothing lost, nothing left behind, nothing waited for beyond its deadline."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    DeadlineError,
    OptionsError,
    TargetError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import Completed
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.engine import (
    Engine,
    EngineError,
    connect,
)
from tests.integration.containers import TOOLBOX, docker, inspect, over_tcp, wait_for
from tests.lab.images import image

MEGABYTE = "0123456789abcdef" * 65536


@pytest.fixture(params=["socket", "tcp"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with over_tcp() as address:
        opened = connect(None if request.param == "socket" else address, Deadline(5))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    """It has the image's anonymous volume, with a file of another user in it that nobody else may read."""
    name = "engine-test-%s" % uuid.uuid4().hex[:8]
    docker(
        "run",
        "-d",
        "--name",
        name,
        "--entrypoint",
        "sh",
        image("postgres:17"),
        "-c",
        "umask 077; cd $PGDATA; echo kept > file; chown postgres file; trap exit TERM; while :; do sleep 1; done",
    )
    yield docker("inspect", "-f", "{{.Id}}", name)
    docker("rm", "-f", "-v", name, check=False)


def volume(container: str) -> str:
    name: str = inspect(container)["Mounts"][0]["Name"]
    return name


def toolboxes(before: Set[str] = frozenset()) -> set[str]:
    return set(docker("ps", "-aq", "--no-trunc", "--filter", TOOLBOX).split()) - before


def of(text: str, before: Set[str]) -> set[str]:
    """The new toolboxes whose configuration has ``text`` in it (others' may come and go meanwhile)."""
    return {one for one in toolboxes(before) if text in docker("inspect", one, check=False)}


class TestRun:
    def test_a_megabyte_goes_in_and_comes_back(self, engine: Engine, container: str) -> None:
        assert engine.run(container, ["cat"], Deadline(10), stdin=MEGABYTE) == Completed(0, MEGABYTE, "")

    def test_both_outputs_are_told_apart(self, engine: Engine, container: str) -> None:
        script = "i=0; while [ $i -lt 2000 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done"
        done = engine.run(container, ["sh", "-c", script], Deadline(10))
        assert done.out == "".join("out%d\n" % number for number in range(2000))
        assert done.err == "".join("err%d\n" % number for number in range(2000))

    @pytest.mark.parametrize("code", [0, 1, 3, 126, 255])
    def test_exit_code(self, engine: Engine, container: str, code: int) -> None:
        assert engine.run(container, ["sh", "-c", "exit %d" % code], Deadline(5)).code == code

    def test_killed_by_a_signal(self, engine: Engine, container: str) -> None:
        assert engine.run(container, ["sh", "-c", "kill -TERM $$"], Deadline(5)).code == 143

    def test_no_such_command(self, engine: Engine, container: str) -> None:
        done = engine.run(container, ["no-such-command"], Deadline(5))
        assert done.code in (126, 127) and "no-such-command" in done.out + done.err

    def test_input_that_nobody_reads(self, engine: Engine, container: str) -> None:
        assert engine.run(container, ["true"], Deadline(5), stdin=MEGABYTE).code == 0

    def test_user_and_environment(self, engine: Engine, container: str) -> None:
        done = engine.run(
            container, ["sh", "-c", 'id -un; echo "$A"'], Deadline(5), environment={"A": "b 'c'=d"}, user="postgres"
        )
        assert done.out == "postgres\nb 'c'=d\n"

    def test_deadline(self, engine: Engine, container: str) -> None:
        begin = time.monotonic()
        with pytest.raises(DeadlineError, match="run sleep in container"):
            engine.run(container, ["sleep", "20"], Deadline(0.7))
        assert 0.6 < time.monotonic() - begin < 1.5

    def test_deadline_holds_for_a_command_that_goes_on_talking(self, engine: Engine, container: str) -> None:
        begin = time.monotonic()
        with pytest.raises(DeadlineError):
            engine.run(container, ["sh", "-c", "while sleep 0.1; do echo x; done"], Deadline(0.7))
        assert time.monotonic() - begin < 1.5

    def test_many_at_once(self, engine: Engine, container: str) -> None:
        done: dict[int, Completed] = {}

        def work(number: int) -> None:
            done[number] = engine.run(container, ["cat"], Deadline(20), stdin=str(number) * 50000)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {number: one.out for number, one in done.items()} == {n: str(n) * 50000 for n in range(8)}

    def test_paused(self, engine: Engine, container: str) -> None:
        docker("pause", container)
        try:
            with pytest.raises(EngineError, match="is paused") as raised:
                engine.run(container, ["true"], Deadline(5))
        finally:
            docker("unpause", container)
        assert raised.value.status == 409


class TestToolbox:
    def test_its_answer(self, engine: Engine) -> None:
        script = "cat; echo err >&2; exit 4"
        done = engine.toolbox(image("postgres:17"), ["sh", "-c", script], Deadline(10), stdin=MEGABYTE)
        assert done == Completed(4, MEGABYTE, "err\n")

    def test_it_has_no_network_and_no_privilege(self, engine: Engine) -> None:
        script = "ls /sys/class/net; grep CapEff /proc/self/status; id -u; grep NoNewPrivs /proc/self/status"
        done = engine.toolbox(image("postgres:17"), ["sh", "-c", script], Deadline(10))
        assert done.out.split() == ["lo", "CapEff:", "0" * 16, "0", "NoNewPrivs:", "1"]

    @pytest.mark.parametrize(
        "argv, deadline",
        [(["true"], 10), (["false"], 10), (["no-such-command"], 10), (["sleep", "30"], 1.0), (["sleep", "30"], 0.05)],
    )
    def test_nothing_is_left_behind(self, engine: Engine, container: str, argv: list[str], deadline: float) -> None:
        before = toolboxes()
        with contextlib.suppress(DeadlineError, EngineError):
            engine.toolbox(image("postgres:17"), argv, Deadline(deadline), volumes_from=container)
        assert not of(container, before)
        assert docker("volume", "inspect", "-f", "{{.Name}}", volume(container)) == volume(container)

    def test_the_deadline_is_kept(self, engine: Engine) -> None:
        begin = time.monotonic()
        with pytest.raises(DeadlineError):
            engine.toolbox(image("postgres:17"), ["sleep", "30"], Deadline(1))
        assert time.monotonic() - begin < 3

    def test_volumes_are_read_and_never_written(self, engine: Engine, container: str) -> None:
        script = "cat $PGDATA/file; echo x > $PGDATA/other"
        done = engine.toolbox(
            image("postgres:17"),
            ["sh", "-c", script],
            Deadline(10),
            volumes_from=container,
            capabilities=["DAC_READ_SEARCH"],
        )
        assert done.out == "kept\n"
        assert done.code != 0 and "Read-only file system" in done.err

    def test_what_is_running_holds_no_secret_and_no_volume_of_its_own(self, engine: Engine) -> None:
        before = toolboxes()
        secret = "s3cret-%s" % uuid.uuid4().hex
        done: list[Completed] = []
        thread = threading.Thread(
            target=lambda: done.append(
                engine.toolbox(image("postgres:17"), ["sh", "-c", "cat; sleep 1.5"], Deadline(10), stdin=secret)
            )
        )
        thread.start()
        mine = wait_for(lambda: of("cat; sleep 1.5", before)).pop()
        configuration = docker("inspect", mine)
        mounts = [mount["Type"] for mount in inspect(mine)["Mounts"]]
        logs = docker("logs", mine, check=False)
        thread.join()
        assert done[0].out == secret
        assert secret not in configuration + logs
        assert mounts == ["tmpfs"]  # over the volume that the image declares

    def test_an_anonymous_volume_outlives_its_container_and_the_toolbox(self, engine: Engine) -> None:
        name = "engine-test-%s" % uuid.uuid4().hex[:8]
        docker("run", "-d", "--name", name, "--entrypoint", "sleep", image("postgres:17"), "60")
        kept = volume(name)
        before = toolboxes()
        source = docker("inspect", "-f", "{{.Id}}", name)
        thread = threading.Thread(
            target=lambda: engine.toolbox(image("postgres:17"), ["sleep", "1.5"], Deadline(10), volumes_from=source)
        )
        try:
            thread.start()
            wait_for(lambda: of(source, before))
            time.sleep(0.5)
            docker("rm", "-f", name)  # as "docker compose down" does, which keeps the data
            thread.join()
            assert docker("volume", "inspect", "-f", "{{.Name}}", kept) == kept
        finally:
            thread.join()
            docker("rm", "-f", "-v", name, check=False)
            docker("volume", "rm", kept, check=False)

    def test_hanging_up_removes_what_is_still_waited_for(self) -> None:
        """As at the end of a module: threads that outlive their deadline die with the process."""
        opened, before, mark = connect(None, Deadline(5)), toolboxes(), "sleep 20 # %s" % uuid.uuid4().hex

        def work() -> None:
            with contextlib.suppress(TargetError):  # it is told that its container is gone
                opened.toolbox(image("postgres:17"), ["sh", "-c", mark], Deadline(20))

        thread = threading.Thread(target=work)
        thread.start()
        wait_for(lambda: of(mark, before))
        time.sleep(0.3)
        begin = time.monotonic()
        opened.close()
        assert time.monotonic() - begin < 2
        assert not of(mark, before)
        thread.join(5)
        assert not thread.is_alive()

    def test_it_sweeps_what_a_killed_run_has_left(self, engine: Engine) -> None:
        names = {}
        for label, until in (("old", time.time() - 1), ("young", time.time() + 600)):
            names[label] = docker(
                "create",
                "--label",
                "oncall.postgresql=toolbox",
                "--label",
                "oncall.postgresql.until=%d" % until,
                "--entrypoint",
                "true",
                image("api"),
            )
        try:
            engine.toolbox(image("postgres:17"), ["true"], Deadline(10))
            assert names["old"] not in toolboxes()
            assert names["young"] in toolboxes()
        finally:
            docker("rm", "-f", "-v", *names.values(), check=False)


class TestLogsAndFiles:
    def test_logs_of_both_streams_and_only_the_tail(self, engine: Engine) -> None:
        name = docker(
            "run",
            "-d",
            "--entrypoint",
            "sh",
            image("api"),
            "-c",
            "for i in 1 2 3 4 5; do echo line$i; done; sleep 0.2; echo last >&2",
        )
        try:
            wait_for(lambda: inspect(name)["State"]["Status"] == "exited")
            assert engine.logs(name, 3, Deadline(5)) == "line4\nline5\nlast\n"
        finally:
            docker("rm", "-f", "-v", name)

    def test_files_of_a_stopped_container(self, engine: Engine) -> None:
        name = docker(
            "run",
            "-d",
            "--user=0",
            "--entrypoint",
            "sh",
            image("api"),
            "-c",
            "mkdir -m 750 /data; echo 17 > /data/PG_VERSION; chown 33 /data",
        )
        try:
            wait_for(lambda: inspect(name)["State"]["Status"] == "exited")
            directory = engine.file(name, "/data", Deadline(5))
            version = engine.file(name, "/data/PG_VERSION", Deadline(5))
            assert directory is not None and version is not None
            assert (directory.mode & 0o7777, directory.uid, version.text) == (0o750, 33, "17\n")
            assert engine.file(name, "/data/none", Deadline(5)) is None
        finally:
            docker("rm", "-f", "-v", name)


class TestConnect:
    def test_version_is_negotiated(self, engine: Engine) -> None:
        with pytest.raises(EngineError, match="No such container"):
            engine.get("/containers/none-of-that-name/json", Deadline(5))

    def test_no_socket(self) -> None:
        with pytest.raises(TargetError, match=r"no such socket.* Start Docker"):
            connect("unix:///no/such.sock", Deadline(5))

    def test_nothing_listens(self, tmp_path: Path) -> None:
        path = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path)
            with pytest.raises(TargetError, match="Nothing listens at"):
                connect("unix://" + path, Deadline(5))

    def test_silence(self, tmp_path: Path) -> None:
        path = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(path)
            silent.listen()
            begin = time.monotonic()
            with pytest.raises(DeadlineError, match="gave no answer in time"):
                connect("unix://" + path, Deadline(0.5))
            assert time.monotonic() - begin < 1.5

    def test_no_engine(self) -> None:
        with pytest.raises(OptionsError, match="is no engine's address"):
            connect("nonsense", Deadline(5))

    def test_ssh_refused(self) -> None:
        with socket.socket() as bound:  # a port that nobody listens on, held until we are done
            bound.bind(("127.0.0.1", 0))
            with pytest.raises(TargetError, match=r"ssh://localhost.*: .*refused.*Try: ssh"):
                connect("ssh://localhost:%d" % bound.getsockname()[1], Deadline(10))

    def test_permission_denied(self) -> None:
        """As a user who is in no group: in a process of its own (that has read its libraries before)."""
        nobody = pwd.getpwnam("nobody").pw_uid
        drop = "import docker; os.setgroups([]); os.setgid(%d); os.setuid(%d)" % (nobody, nobody)
        if os.geteuid() != 0:
            drop = "import docker"  # the socket's mode keeps us out as well, once it is 0
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(path)
                listening.listen()
                os.chmod(path, 0)
                os.chmod(directory, 0o755)
                out = _connect_elsewhere("unix://" + path, drop)
        assert "Permission denied to talk to the Docker engine" in out
        assert "become: true" in out

    def test_no_sdk(self) -> None:
        out = _connect_elsewhere("unix:///var/run/docker.sock", "sys.modules['docker'] = None")
        assert "OptionsError" in out
        assert "needs the Docker SDK for Python" in out and "pip install docker" in out


def _connect_elsewhere(address: str, prelude: str) -> str:
    code = """
%s
from ansible_collections.oncall.postgresql.plugins.module_utils._deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._runtime._engine import connect
%s
try:
    connect(%r, Deadline(5))
except Exception as error:
    print(type(error).__name__, error)
""" % ("import os, sys", prelude, address)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout
