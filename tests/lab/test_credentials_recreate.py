# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container that is made anew for a new password is the same one again, or it is not made anew."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import TargetError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import ClientOption
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.runtime import ComposeRuntime
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.recreation.recreate import Recreation

from .driving import LIGHT, module
from .env_project import Project, state
from .images import image
from .looks import containers
from .stack import PASSWORD, Stack, docker, run, wait_for

NETWORK = "10.214.%d" % (100 + os.getpid() % 100)  # one for each process of the tests: side by side they would overlap
SUBNET = NETWORK + ".0/24"
MARK = "ONCALL_LAB_PROJECT"
ADDRESS = NETWORK + ".9"
# It takes a second to end, which is when it is most likely to be forgotten.
_PROGRAM = LIGHT["api"]["command"][2].replace("os._exit(0)", "(__import__('time').sleep(1), os._exit(0))")
MORE: dict[str, Any] = {
    "services": {
        "api": {
            "command": [*LIGHT["api"]["command"][:2], _PROGRAM],
            "mem_limit": "${MEMORY:-64m}",
            "ports": ["127.0.0.1:${PORT:-0}:8000", "9000"],
            "links": ["postgres:store"],
            "networks": {"default": {"ipv4_address": ADDRESS, "aliases": ["front"]}},
            "ulimits": {"nofile": {"soft": 2000, "hard": 4000}},
            "labels": {"team": "shop"},
            "restart": "unless-stopped",
        }
    },
    "networks": {"default": {"ipam": {"config": [{"subnet": SUBNET}]}}},
}
HARDWARE = "02:aa:bb:cc:dd:01"
DEAF = "trap '' TERM; while :; do sleep 1; done"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def project() -> Iterator[Project]:
    made = Project(more=MORE)
    made.shell = {"MEMORY": "512m", "PORT": str(free_port())}
    with made:
        made.up()
        yield made


def options(project: Project, **more: Any) -> dict[str, Any]:
    return {"role": "app", "env_file": str(project.env), "env_keys": ["LAB_PASSWORD"], "grace_seconds": 10, **more}


def reset(project: Project, check: bool = False, **more: Any) -> dict[str, Any]:
    return module(project, "credentials", check, **options(project, **more))


def shape(project: Project) -> dict[str, Any]:
    """What somebody would miss."""
    seen = project.inspect(project.name("api"))
    places = seen["NetworkSettings"]["Networks"]
    return {
        "host": {name: seen["HostConfig"][name] for name in ("Memory", "PortBindings", "Ulimits", "RestartPolicy")},
        "team": seen["Config"]["Labels"].get("team"),
        "places": {
            name: (place["IPAMConfig"], place["Links"], sorted({*place["Aliases"]} - {seen["Id"][:12]}))
            for name, place in places.items()
        },
    }


def by_chance(project: Project) -> str:
    """The port that the engine chose for 9000; it may choose one for each of IPv4 and IPv6."""
    bindings = project.inspect(project.name("api"))["NetworkSettings"]["Ports"]["9000/tcp"]
    return " and ".join(sorted({str(each["HostPort"]) for each in bindings}))


def test_a_container_that_would_become_another_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was brought up with variables of somebody's shell, which nobody has here."""
    before, running, was = state(project), containers(project), shape(project)
    for check in (True, False):
        result = reset(project, check)
        assert result["failed"] and "mem_limit: 512 MiB, would be 64 MiB" in result["msg"], result["msg"]
        ports = "127.0.0.1:%s:8000/tcp and :any:9000/tcp, would be 127.0.0.1:any:8000/tcp and :any:9000/tcp"
        assert ports % project.shell["PORT"] in result["msg"], result["msg"]
        assert (state(project), containers(project)) == (before, running)
    for name, value in project.shell.items():
        monkeypatch.setenv(name, value)
    name, port = project.name("api"), by_chance(project)
    foreseen = reset(project, check=True)
    says = "%s: port 9000/tcp is published at %s, which the engine chose: it will choose another" % (name, port)
    assert foreseen["warnings_found"] == [says] and by_chance(project) == port
    result = reset(project)
    assert not result["failed"] and result["recreated"] == ["api"], result
    says = "%s: port 9000/tcp is published at %s now, was %s" % (name, by_chance(project), port)
    assert by_chance(project) != port and [each.endswith(says) for each in result["warnings_found"]] == [True], result
    assert shape(project) == was and project.api_password() != PASSWORD
    assert was["places"][project.network()][0] == {"IPv4Address": ADDRESS}
    wait_for(project.healthy)
    # A .env that somebody has edited already differs by the password alone.
    project.env.write_text(project.env.read_text().replace(project.api_password(), "edited-Secret-4715"))
    result = reset(project, password="edited-Secret-4715")
    assert not result["failed"] and result["recreated"] == ["api"], result.get("msg")
    assert shape(project) == was and project.api_password() == "edited-Secret-4715"


def test_a_fixed_hardware_address_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some switches and licences know a client by it."""
    api = {"command": LIGHT["api"]["command"], "mac_address": "${MAC:-02:aa:bb:cc:dd:02}"}
    project = Project(more={"services": {"api": api}})
    project.shell = {"MAC": HARDWARE}
    with project:
        project.up()
        before, running = state(project), containers(project)
        assert hardware(project) == HARDWARE
        result = reset(project)
        says = "mac_address: %s, would be 02:aa:bb:cc:dd:02" % HARDWARE
        assert result["failed"] and says in result["msg"], result["msg"]
        assert (state(project), containers(project)) == (before, running)
        monkeypatch.setenv("MAC", HARDWARE)
        result = reset(project)
        assert not result["failed"] and result["recreated"] == ["api"] and not result["warnings_found"], result
        assert hardware(project) == HARDWARE
        network = json.loads(docker("network", "inspect", project.network()))[0]
        run(["ip", "link", "set", "br-" + network["Id"][:12], "down"])
        result = module(project, "network", recreate=True)
        assert not result["failed"] and [step["kind"] for step in result["steps"]] == ["recreate"], result
        assert hardware(project) == HARDWARE


def hardware(project: Project) -> str:
    return str(project.inspect(project.name("api"))["NetworkSettings"]["Networks"][project.network()]["MacAddress"])


@pytest.mark.parametrize("change", ["limits", "network", "alias"])
def test_what_was_changed_by_hand_since_would_be_lost(
    project: Project, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    for name, value in project.shell.items():
        monkeypatch.setenv(name, value)
    name, other = project.name("api"), project.project + "_other"
    docker("network", "create", "--label", "com.docker.compose.project=" + project.project, other)
    says = "networks: %s and %s, would be %s" % (project.network(), other, project.network())
    if change == "limits":
        docker("update", "--memory", "256m", "--memory-swap", "512m", name)
        says = "mem_limit: 256 MiB, would be 512 MiB"
    elif change == "network":
        docker("network", "connect", other, name)
        says = " and ".join(sorted([other, project.network()])) + ", would be %s" % project.network()
    else:
        docker("network", "disconnect", project.network(), name)
        docker("network", "connect", "--alias", "api", "--alias", "byhand", "--ip", ADDRESS, project.network(), name)
        says = "network aliases, addresses or links"
    before, running = state(project), containers(project)
    result = reset(project)
    assert result["failed"] and says in result["msg"], result["msg"]
    assert (state(project), containers(project)) == (before, running)


def started(project: Project, **more: Any) -> subprocess.Popen[str]:
    asked = {**project.target(), **options(project, **more)}
    argv = [sys.executable, "-m", "ansible_collections.oncall.postgresql.plugins.modules.credentials"]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, **project.shell, MARK: project.project},
    )
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": asked}))
    process.stdin.close()
    return process


def settled(project: Project) -> bool:
    """Nothing of a run goes on any more: all that it starts inherits its environment."""
    mark = ("%s=%s" % (MARK, project.project)).encode()
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in file.read_bytes().split(b"\0"):
                return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_leaves_no_client_down(project: Project, number: signal.Signals) -> None:
    """To the whole group, as a terminal does, at moments until the new container runs."""
    for moment in range(4):
        wait_for(project.healthy)
        process = started(project)
        text, end = project.env.read_bytes(), time.monotonic() + 20
        while time.monotonic() < end and process.poll() is None and project.env.read_bytes() == text:
            time.sleep(0.02)
        time.sleep(0.1 + 0.7 * moment)
        if process.poll() is None:
            os.killpg(process.pid, number)
        process.wait(120)
        # An engine still lists the container that Compose has just removed.
        wait_for(lambda: settled(project) and len(project.names("api")) == 1, 120, 0.2)
        assert project.inspect(project.name("api"))["State"]["Status"] == "running", (moment, project.names("api"))
        assert len(project.names("api")) == 1
        wait_for(project.healthy, 30)
        assert project.env.read_text().count(project.api_password()) == 1, moment


def read_aloud(project: Project) -> dict[str, dict[str, Any]]:
    return {one["code"]: one for one in module(project, "triage")["findings"] if one["code"].endswith("_unfinished")}


def killed(project: Project, seconds: float, all_of_it: bool) -> str:
    """A reset that is killed so long after Compose began to recreate, with Compose and whoever started it, or its
    process alone. What the module said, if it still could."""
    process = started(project)
    children = Path("/proc/%d/task/%d/children" % (process.pid, process.pid))
    worker = int(wait_for(lambda: children.read_text().split(), every=0.01)[0])
    wait_for(lambda: recreating(project), every=0.005)
    time.sleep(seconds)
    for each in [worker, *([process.pid, *recreating(project)] if all_of_it else [])]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    assert process.stdout
    said = process.stdout.read()
    process.wait(120)
    wait_for(lambda: settled(project), 120, 0.2)
    return said


def recreating(project: Project) -> list[int]:
    """The Compose processes of a run."""
    mark, found = ("%s=%s" % (MARK, project.project)).encode(), []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in file.read_bytes().split(b"\0") and b"--force-recreate" in (file.parent / "cmdline").read_bytes():
                found.append(int(file.parent.name))
    return found


def test_killed_in_the_middle_it_is_named_and_the_next_run_finishes_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in project.shell.items():
        monkeypatch.setenv(name, value)
    seed = random.randrange(10**6)
    for seconds in (0.0, random.Random(seed).uniform(0.2, 0.5)):
        before = project.verifier()
        killed(project, seconds, True)
        assert project.verifier() != before, seed
        found, names = read_aloud(project), project.names("api")
        if not any(project.inspect(name)["State"]["Running"] for name in names):
            says = found["restart_unfinished"]
            assert says["severity"] == "critical" and "credentials_reset of " in says["summary"], (seed, found)
            assert any(line.endswith(": docker start %s" % names[-1]) for line in says["evidence"]), (seed, found)
        else:
            assert "restart_unfinished" not in found, (seed, found)
        says = found["reset_unfinished"]
        assert "run it again with the same variables" in says["summary"] and str(project.env) in str(says), (seed, says)
        result = reset(project)
        assert not result["failed"] and result["recreated"] == ["api"], (seed, names, result)
        wait_for(project.healthy)
        assert read_aloud(project) == {} and len(project.names("api")) == 1, seed
        assert project.env.read_text().count(project.api_password()) == 1, seed
    said = json.loads(killed(project, 0.0, False))
    assert said["failed"] and "The password reset was killed (SIGKILL) before it was finished" in said["msg"], said
    assert "Run it again" in said["msg"] and project.inspect(project.name("api"))["State"]["Running"], said
    assert set(read_aloud(project)) == {"reset_unfinished"}


def test_a_deaf_client_is_not_killed(project: Project) -> None:
    """It takes no notice of SIGTERM: waited for, named, and left as it is."""
    file = project.directory / "compose.override.yml"
    file.write_text(
        json.dumps(
            {
                "services": {"api": {**MORE["services"]["api"], "command": ["sh", "-c", DEAF]}},
                "networks": MORE["networks"],
            }
        )
    )
    project.compose("up", "-d", "--timeout", "1", "api")
    before = project.inspect(project.name("api"))
    verifier, text = project.verifier(), project.env.read_bytes()
    process = started(project, grace_seconds=3, timeout_seconds=5)
    assert process.stdout
    result = json.loads(process.stdout.read())
    process.wait(60)
    assert result["failed"] and "did not stop within 3 s of its stop signal" in result["msg"], result["msg"]
    name = project.name("api")
    assert "%s got its stop signal and WILL STOP LATER. When it has: docker start %s" % (name, name) in result["msg"], (
        result["msg"]
    )
    now = project.inspect(name)
    assert (now["Id"], now["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert now["State"]["Status"] == "running"
    assert (project.verifier(), project.env.read_bytes()) == (verifier, text)


def test_one_that_cannot_be_started_keeps_nobody_else_down() -> None:
    with Stack("recreate-two") as stack:
        source = stack.work / "mounted"
        source.mkdir()
        volume = {"type": "bind", "source": str(source), "target": "/mounted"}
        web = {"image": image("api"), "volumes": [volume], "depends_on": ["api"], **LIGHT["api"]}
        stack.start({"services": {"web": web, **LIGHT}})
        declared = [ClientOption(service) for service in ("api", "web")]
        view = ComposeRuntime(stack.project, clients=declared).view(Deadline(10))
        recreation = Recreation(view, stack.project, ["api", "web"], None)
        docker("stop", "-t", "10", stack.name("api"), stack.name("web"))
        source.rmdir()
        with pytest.raises(TargetError) as raised:
            recreation.bring_back(["api", "web"], 3)
        name = stack.name("web")
        assert raised.value.msg == "%s is STILL STOPPED: docker start %s" % (name, name)
        assert stack.inspect(stack.name("api"))["State"]["Running"]
