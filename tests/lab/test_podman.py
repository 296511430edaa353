# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman instead of Docker: a Compose project brought up by Compose on Podman's socket, triaged, reset, restarted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .driving import LIGHT, module
from .remedy import rows
from .stack import Stack, docker, playbook, run, wait_for, write_inventory
from .writer import Writer

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "install-podman.sh"
# A store, networks and a socket of our own. runc, since crun refuses hosts that mount both versions of cgroups; limits
# that are the same twice, since Podman 4 confuses the two; short names as Docker means them.
CONFIGURATION = """
[containers]
default_ulimits = ["nofile=%(files)d:%(files)d", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
compat_api_enforce_docker_hub = false
[network]
network_backend = "netavark"
network_config_dir = "%(place)s/networks"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "%(place)s/root"
runroot = "%(place)s/run"
"""

# Podman 4 splits the words of a health check at their blanks.
CHECK = ["CMD", "/usr/bin/python3", "-c", "__import__('urllib.request').request.urlopen('http://127.0.0.1:8000/docs')"]
# 20 s from the request to end until the end; SIGUSR1 is a crash.
CRASH = "\nsignal.signal(signal.SIGUSR1, lambda *_: os._exit(1))"
DRAINING = [
    word.replace("lambda *_: os._exit(0))", "lambda *_: threading.Timer(20, os._exit, (0,)).start())" + CRASH)
    for word in LIGHT["api"]["command"]
]


@pytest.fixture(scope="module")
def podman() -> Iterator[str]:
    """The address of an engine that is Podman's, with the lab's images."""
    run([str(SCRIPT)], timeout=600)
    place = Path(tempfile.mkdtemp(prefix="oncall-podman-", dir="/var/tmp"))
    files = int(run(["sh", "-c", "ulimit -Hn"]).stdout.strip().replace("unlimited", "1048576"))
    for name, text in (("containers.conf", CONFIGURATION), ("storage.conf", STORAGE)):
        (place / name).write_text(text % {"place": place, "files": min(files, 1048576)})
    own = {"CONTAINERS_CONF": str(place / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(place / "storage.conf")}
    environment = {**os.environ, **own}
    socket = place / "podman.sock"
    with open(place / "log", "w") as log:
        service = subprocess.Popen(
            ["podman", "system", "service", "--time=0", "unix://%s" % socket], env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(socket.exists)
        for name in set(Stack("podman-images").environment.values()):
            if ":" in name:
                saved = subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE)
                loaded = subprocess.run(
                    ["podman", "load", "-q"],
                    stdin=saved.stdout,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert saved.wait() == 0 and loaded.returncode == 0, loaded.stderr
        yield "unix://%s" % socket
    finally:
        run(["podman", "rm", "-fa"], check=False, env=environment)
        service.send_signal(signal.SIGTERM)
        service.wait(30)
        run(["podman", "system", "reset", "--force"], check=False, env=environment)
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def brought_up(podman: str, name: str, override: dict[str, Any]) -> Iterator[Stack]:
    """Brought up, looked at and taken down by the docker command, on Podman's socket."""
    with pytest.MonkeyPatch.context() as patch, Stack("%s-%d" % (name, os.getpid())) as made:
        for image in ("LAB_POSTGRES_IMAGE", "LAB_API_IMAGE"):
            made.environment[image] = "localhost/" + made.environment[image]
        made.environment["LAB_RESTART"] = "always"
        made.options["docker_host"] = podman
        patch.setenv("DOCKER_HOST", podman)
        api = {"restart": "always", "healthcheck": {"test": CHECK}, **override.get("api", {})}
        made.up(override={"services": {**override, "api": api}})
        try:
            yield made
        finally:
            made.down()


@pytest.fixture(scope="module")
def stack(podman: str) -> Iterator[Stack]:
    with brought_up(podman, "lab-podman", {}) as made:
        yield made


def killed(podman: str) -> list[str]:
    """Podman writes a warning when it sends SIGKILL once a stop takes too long."""
    lines = Path(podman[len("unix://") :]).with_name("log").read_text().splitlines()
    return [line for line in lines if "SIGKILL" in line]


def test_the_log_tells_of_a_kill(podman: str) -> None:
    """So that the tests below can fail."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", podman)
        name, before = "lab-podman-deaf-%d" % os.getpid(), killed(podman)
        image = "localhost/" + Stack("podman-images").environment["LAB_API_IMAGE"]
        docker(
            "run", "-d", "--name", name, "--entrypoint", "sh", image, "-c", "trap '' TERM; while :; do sleep 1; done"
        )
        docker("stop", "-t", "1", name)
        assert len(killed(podman)) == len(before) + 1 and name in killed(podman)[-1], killed(podman)
        docker("rm", "-f", name)


@contextlib.contextmanager
def nobody_killed(podman: str) -> Iterator[None]:
    before = killed(podman)
    yield
    assert killed(podman) == before


@contextlib.contextmanager
def held_up(stack: Stack, seconds: float) -> Iterator[None]:
    """The server's checkpointer does nothing for so long: no shutdown can be finished."""
    processes = stack.triage()["facts"]["server"]["processes"]
    (pid,) = (each["pid"] for each in processes if "checkpointer" in each["title"])
    os.kill(pid, signal.SIGSTOP)
    later = threading.Timer(seconds, os.kill, (pid, signal.SIGCONT))
    later.start()
    try:
        yield
    finally:
        later.join()


def carried_out(stack: Stack, verb: str, *words: str) -> str:
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
    reports = stack.work / "reports"
    words = ("-i", str(inventory), "-e", "oncall_report_dir=%s" % reports, *words)
    done = playbook("oncall.postgresql." + verb, *words, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_triage_pool_reset_and_restart(podman: str, stack: Stack) -> None:
    expected = rows(stack)
    found = stack.triage()
    assert found["verdict"]["code"] == "healthy", found["verdict"]
    assert found["facts"]["errors"] == {}
    server = found["facts"]["server"]
    assert server["postmaster_pid"] == stack.pid()
    assert any("checkpointer" in process["title"] for process in server["processes"])
    assert found["facts"]["clients"][0]["attempt"]["outcome"] == "ok"

    stack.call("leak", connections=30)
    assert stack.triage()["verdict"]["cause"] == "idle_connections"
    carried_out(stack, "pool_reset", "-e", "oncall_idle_minutes=0.001")
    assert stack.triage()["verdict"]["code"] == "healthy"
    stack.call("release")

    started = stack.state()["StartedAt"]
    with nobody_killed(podman), Writer(stack) as writing:
        carried_out(stack, "graceful_restart")
        writing.reconcile()
    assert stack.state()["StartedAt"] != started
    assert stack.inspect(stack.name(stack.client))["State"]["Status"] == "running"
    found = stack.triage()
    assert found["verdict"]["code"] == "healthy", found["verdict"]
    assert rows(stack) == expected

    started, client = stack.state()["StartedAt"], stack.inspect(stack.name(stack.client))["State"]["StartedAt"]
    stack.sql("ALTER SYSTEM SET shared_buffers = '500GB'")
    refused = module(stack, "graceful_restart")
    assert refused["failed"] and "could not map anonymous shared memory" in refused["msg"], refused
    assert stack.state()["StartedAt"] == started
    assert stack.inspect(stack.name(stack.client))["State"]["StartedAt"] == client
    stack.sql("ALTER SYSTEM RESET shared_buffers")

    begun = time.monotonic()
    with nobody_killed(podman), held_up(stack, 15):
        stopped = module(stack, "server", state="stopped", stop_timeout_seconds=60)
    assert not stopped["failed"] and stopped["clean_shutdown"] is True, stopped
    assert time.monotonic() - begun > 12 and stack.state()["ExitCode"] == 0
    found = stack.triage()
    assert (found["verdict"]["code"], found["verdict"]["cause"]) == ("server_down", "stopped")
    assert found["facts"]["server"]["control"]["state"] == "shut down"  # by a toolbox


def test_a_client_that_drains_and_a_shell_in_front(podman: str) -> None:
    """The restart policy stays quiet until the next start, and nothing is killed however long it takes."""
    front = {
        "restart": "unless-stopped",
        "stop_signal": "SIGTERM",
        "entrypoint": ["/bin/sh", "-c", "docker-entrypoint.sh postgres; exit $$?"],
    }
    slowly = brought_up(podman, "lab-podman-slow", {"postgres": front, "api": {"command": DRAINING}})
    with slowly as slow, nobody_killed(podman):
        client = slow.name(slow.client)
        stopped = module(slow, "clients", state="stopped", grace_seconds=3)
        assert stopped["failed"] and "did not end within 3 s" in stopped["msg"], stopped
        assert slow.inspect(client)["State"]["Status"] == "stopping"
        ended = wait_for(lambda: (state := slow.inspect(client)["State"])["Status"] == "exited" and state, 40)
        assert ended["ExitCode"] == 0
        time.sleep(2)
        assert slow.inspect(client)["State"]["FinishedAt"] == ended["FinishedAt"]

        assert not module(slow, "clients", state="started")["failed"]
        started = slow.inspect(client)["State"]["StartedAt"]
        docker("kill", "--signal", "USR1", client)  # its policy works again
        wait_for(lambda: slow.inspect(client)["State"]["StartedAt"] != started, 40)
        slow.wait_api()

        first = slow.state()["StartedAt"]
        slow.session("SELECT 1;")  # a smart shutdown would wait for it
        carried_out(slow, "graceful_restart", "-e", "oncall_grace_seconds=60", "-e", "oncall_stop_timeout_seconds=30")
        assert slow.state()["StartedAt"] != first
        with held_up(slow, 15):
            stopped = module(slow, "server", state="stopped", stop_timeout_seconds=60)
        assert stopped["clean_shutdown"] is True, stopped
        time.sleep(2)
        assert slow.state()["Status"] == "exited" and slow.state()["ExitCode"] != 137
        assert module(slow, "server", state="started")["changed"]
