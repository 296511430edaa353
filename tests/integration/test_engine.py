# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's layer on a real engine: nothing lost, nothing left behind, nothing waited for beyond its deadline."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Set
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    DeadlineError,
    OptionsError,
    TargetError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._core.side_by_side import side_by_side
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.place import in_namespace
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import Completed
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.api import EngineError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.engine import Engine, connect
from tests.embedded import Certificates
from tests.integration.containers import TOOLBOX, docker, inspect, over_tcp, wait_for
from tests.lab.images import image
from tests.sshd import Sshd

MEGABYTE = "0123456789abcdef" * 65536


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as listening:
        yield listening


@pytest.fixture(params=["socket", "tcp", "ssh"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    address = None
    with contextlib.ExitStack() as stack:
        if request.param == "tcp":
            address = stack.enter_context(over_tcp())
        elif request.param == "ssh":
            sshd = request.getfixturevalue("sshd")
            address = sshd.engine()
            monkeypatch.setenv("PATH", sshd.environment["PATH"])
        opened = connect(address, Deadline(5))
        stack.callback(opened.close)
        yield opened


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


def runs(containers: Set[str]) -> bool:
    return any(inspect(one)["State"]["Running"] for one in containers)


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
        assert 0.6 < time.monotonic() - begin < 15

    def test_deadline_holds_for_a_command_that_goes_on_talking(self, engine: Engine, container: str) -> None:
        begin = time.monotonic()
        with pytest.raises(DeadlineError):
            engine.run(container, ["sh", "-c", "while sleep 0.1; do echo x; done"], Deadline(0.7))
        assert time.monotonic() - begin < 15

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
        assert time.monotonic() - begin < 20

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
                engine.toolbox(image("postgres:17"), ["sh", "-c", "cat; sleep 4"], Deadline(20), stdin=secret)
            )
        )
        thread.start()
        mine = wait_for(lambda: of("cat; sleep 4", before)).pop()
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
            target=lambda: engine.toolbox(image("postgres:17"), ["sleep", "4"], Deadline(20), volumes_from=source)
        )
        try:
            thread.start()
            wait_for(lambda: runs(of(source, before)))
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
        wait_for(lambda: runs(of(mark, before)))
        begin = time.monotonic()
        opened.close()
        assert time.monotonic() - begin < 15
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
            with pytest.raises(DeadlineError, match="did not answer in time"):
                connect("unix://" + path, Deadline(0.5))
            assert time.monotonic() - begin < 15

    def test_no_engine(self) -> None:
        with pytest.raises(OptionsError, match="is not an engine's address"):
            connect("nonsense", Deadline(5))

    def test_ssh_refused(self) -> None:
        with socket.socket() as bound:  # a port that nobody listens on, held until we are done
            bound.bind(("127.0.0.1", 0))
            with pytest.raises(TargetError, match=r"ssh://localhost.*: .*refused.*Try: ssh"):
                connect("ssh://localhost:%d" % bound.getsockname()[1], Deadline(10))

    def test_permission_denied(self) -> None:
        """As a user who is in no group: in a process of its own."""
        code = """
import os, sys
from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.engine import connect
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    connect(sys.argv[1], Deadline(5))
except Exception as error:
    print(type(error).__name__, error)
"""
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(path)
                listening.listen()
                os.chmod(path, 0)
                os.chmod(directory, 0o755)
                words = [sys.executable, "-c", code, "unix://" + path]
                out = subprocess.run(words, capture_output=True, text=True, check=True, cwd="/").stdout
        assert "Permission denied to talk to the container engine" in out
        assert "become: true" in out

    def test_an_answer_that_trickles(self) -> None:
        """Each byte comes in time, the answer never."""
        with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", pause=0.1) as address:
            begin = time.monotonic()
            with pytest.raises(DeadlineError, match="did not answer in time"):
                connect(address, Deadline(0.7))
            assert time.monotonic() - begin < 1.5

    @pytest.mark.parametrize(
        "answer, said",
        [
            (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "is not a container engine"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "is not a container engine"),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", "is not a container engine.*gone"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", "IncompleteRead"),
            (b"", "closed connection without response"),
        ],
        ids=["ssh", "text", "object", "404", "cut", "nothing"],
    )
    def test_what_is_no_engine(self, answer: bytes, said: str) -> None:
        with answering(answer) as address, pytest.raises(TargetError, match=said) as raised:
            connect(address, Deadline(5))
        assert "\n" not in str(raised.value) and address in str(raised.value)

    def test_a_connection_that_the_engine_has_closed_is_not_used_again(self) -> None:
        """By a relay that hangs up behind each answer, as an engine that was restarted has."""
        with over_tcp() as address:
            opened = connect(address, Deadline(5))
            for _time in range(3):
                assert opened._idle is not None
                (kept,) = opened._idle
                kept.line.socket.shutdown(socket.SHUT_RDWR)
                assert opened.get("/version", Deadline(5))["Version"]
            opened.close()


@contextlib.contextmanager
def answering(answer: bytes, pause: float = 0) -> Iterator[str]:
    """Somebody at a TCP port who is no engine. With ``pause``, a byte at a time."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _address = listener.accept()
                with peer:
                    peer.recv(65536)
                    for place in range(len(answer) if pause else 0):
                        peer.sendall(answer[place : place + 1])
                        time.sleep(pause)
                    if not pause:
                        peer.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield "tcp://127.0.0.1:%d" % listener.getsockname()[1]
    finally:
        listener.close()


# --- TLS -------------------------------------------------------------------------------------------------------------


class Tls(NamedTuple):
    """An engine of its own that listens with TLS and asks for certificates, with one container that runs.

    In a network namespace of its own: an engine takes the host's bridge for its own, and would remove the other's.
    """

    address: str
    certificates: Path  # as DOCKER_CERT_PATH
    container: str
    image: str


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    place = tmp_path_factory.mktemp("tls")
    certificates = Certificates(place)
    for source, name in (("ca.crt", "ca.pem"), ("server.crt", "cert.pem"), ("server.key", "key.pem")):
        shutil.copy(place / source, place / name)
    state = Path(tempfile.mkdtemp(prefix="oncall-tls-", dir="/tmp"))  # short: it holds sockets
    words = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec dockerd "$@"', "sh", "--tlsverify"]
    words += ["--host", "tcp://127.0.0.1:2376", "--bridge", "none", "--iptables=false"]
    words += ["--tlscacert", str(certificates.authority), "--tlscert", str(certificates.certificate)]
    words += ["--tlskey", str(certificates.key), "--data-root", str(state / "data"), "--exec-root", str(state / "exec")]
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    with open(state / "log", "w") as log:
        daemon = subprocess.Popen(
            [*words, "--pidfile", str(state / "pid")], stdout=log, stderr=log, env={**os.environ, "PATH": path}
        )

    def dial() -> socket.socket:
        found: socket.socket = in_namespace(
            daemon.pid, lambda: socket.create_connection(("127.0.0.1", 2376)), Deadline(5)
        )
        return found

    client = {**os.environ, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(place)}

    def its(*words: str, check: bool = True) -> str:
        done = subprocess.run(["docker", *words], env=client, capture_output=True, text=True, check=False, timeout=60)
        assert not check or done.returncode == 0, done.stderr + (state / "log").read_text()[-2000:]
        return done.stdout.strip()

    container, relay = "", contextlib.ExitStack()
    try:
        client["DOCKER_HOST"] = relay.enter_context(over_tcp(dial))
        wait_for(lambda: its("version", "--format", "{{.Server.Version}}", check=False), 30)
        name = image("api")
        saved = subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE)
        subprocess.run(["docker", "load", "-q"], stdin=saved.stdout, env=client, check=True, capture_output=True)
        assert saved.wait() == 0
        container = its("run", "-d", "--network", "none", "--entrypoint", "sleep", name, "9999")
        yield Tls(client["DOCKER_HOST"], place, container, name)
    finally:
        if container:
            its("rm", "-f", "-v", container, check=False)
        daemon.terminate()
        daemon.wait(60)
        relay.close()
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture()
def trusted(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> Tls:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tls.certificates))
    return tls


class TestTls:
    def test_a_megabyte_goes_in_and_comes_back(self, trusted: Tls) -> None:
        opened = connect(trusted.address, Deadline(5))
        assert opened.run(trusted.container, ["cat"], Deadline(20), stdin=MEGABYTE) == Completed(0, MEGABYTE, "")
        script = "cat; echo err >&2; exit 3"
        assert opened.run(trusted.container, ["sh", "-c", script], Deadline(10), "in") == Completed(3, "in", "err\n")
        assert opened.toolbox(trusted.image, ["cat"], Deadline(20), stdin=MEGABYTE) == Completed(0, MEGABYTE, "")
        with pytest.raises(DeadlineError):
            opened.run(trusted.container, ["sleep", "20"], Deadline(0.7))
        opened.close()

    def test_many_at_once(self, trusted: Tls) -> None:
        opened = connect(trusted.address, Deadline(5))
        steps = {str(n): partial(opened.run, trusted.container, ["echo", str(n)], Deadline(20)) for n in range(8)}
        done = side_by_side(steps, Deadline(20))
        assert {name: each.out for name, each in done.values.items()} == {str(n): "%d\n" % n for n in range(8)}
        opened.close()

    def test_another_authority(self, tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Certificates(tmp_path)
        shutil.copy(tmp_path / "ca.crt", tmp_path / "ca.pem")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
        with pytest.raises(TargetError, match=r"certificate verify failed.*DOCKER_CERT_PATH"):
            connect(tls.address, Deadline(5))

    def test_no_certificate_of_ours(self, tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shutil.copy(tls.certificates / "ca.pem", tmp_path / "ca.pem")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
        with pytest.raises(TargetError, match=r"certificate.*DOCKER_CERT_PATH"):
            connect(tls.address, Deadline(5))

    def test_encrypted_only(self, tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As ``docker --tls``: whoever answers is believed."""
        for name in ("cert.pem", "key.pem"):
            shutil.copy(tls.certificates / name, tmp_path / name)
        monkeypatch.setenv("DOCKER_TLS", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
        connect(tls.address, Deadline(5)).close()

    def test_in_the_clear(self, tls: Tls) -> None:
        with pytest.raises(TargetError, match="HTTP request to an HTTPS server"):
            connect(tls.address, Deadline(5))

    def test_certificates_that_are_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "ca.pem").write_text("nothing")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
        with pytest.raises(OptionsError, match=r"cannot be used.*ca\.pem, cert\.pem and key\.pem"):
            connect("tcp://127.0.0.1:1", Deadline(5))
