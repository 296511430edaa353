# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A graceful restart cut off at random moments, in every way there is: each client runs in the end, or is named."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.note import path

from .driving import LIGHT, Engine, module
from .images import image
from .stack import Stack, docker, wait_for

MODULES = "ansible_collections.oncall.postgresql.plugins.modules."
# Takes a moment to end, as a program does that finishes its work first.
DRAINS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(%s), sys.exit()))
time.sleep(9999)
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("kills-%d" % os.getpid()) as made:
        worker = {"image": image("api"), "command": ["/usr/bin/python3", "-c", DRAINS % 0.5]}
        late = {"image": image("api"), "command": ["/usr/bin/python3", "-c", DRAINS % 3]}
        made.up({"services": {"worker": worker, "late": late, **LIGHT}})
        docker("stop", "-t", "10", made.name("late"))
        made.options["clients"] = [made.target()["clients"][0], {"service": "worker"}]
        yield made
        # What a killed worker has left: the next toolbox on this engine removes it once its time is over.
        using = ["--filter", "label=oncall.postgresql=toolbox", "--filter", "volume=%s_data" % made.project]
        for toolbox in docker("ps", "-aq", *using).split():
            docker("rm", "-f", toolbox)


@pytest.fixture(autouse=True)
def healthy_before(stack: Stack) -> Iterator[None]:
    yield
    docker("start", stack.name(), stack.name("api"), stack.name("worker"))
    stack.wait_ready()
    stack.wait_api()
    note(stack).unlink(missing_ok=True)


def note(stack: Stack) -> Path:
    """Where the restart writes down whom it stops."""
    return Path(path(None, stack.project))


def noted(stack: Stack) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return [one["name"] for one in json.loads(note(stack).read_text())["clients"]]
    return []


def read_aloud(stack: Stack) -> dict[str, Any] | None:
    """The next triage's finding."""
    findings = module(stack, "triage")["findings"]
    return next((one for one in findings if one["code"] == "restart_unfinished"), None)


def states(stack: Stack) -> dict[str, str]:
    return {name: stack.inspect(stack.name(name))["State"]["Status"] for name in ("api", "worker")}


class Restart:
    """The module in a process group of its own, as Ansible starts it on a host."""

    def __init__(self, stack: Stack, name: str = "graceful_restart", **options: Any) -> None:
        self.stack = stack
        asked = json.dumps({"ANSIBLE_MODULE_ARGS": {**stack.target(), **options}})
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULES + name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdin
        self.process.stdin.write(asked)
        self.process.stdin.close()
        self.process.stdin = None

    def worker(self) -> int:
        """The process that does it."""
        children = Path("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid))
        return int(wait_for(lambda: children.read_text().split(), every=0.01)[0])

    def begun(self) -> None:
        """Somebody is being stopped."""
        wait_for(lambda: any(_asked(self.stack)), every=0.01)

    def result(self) -> dict[str, Any]:
        said = self.process.communicate(timeout=120)[0]
        found: dict[str, Any] = json.loads(said)
        return found

    def over(self, worker: int) -> None:
        self.process.communicate(timeout=120)
        wait_for(lambda: not Path("/proc/%d" % worker).exists(), 120)


def _asked(stack: Stack) -> list[bool]:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return [one["asked"] for one in json.loads(note(stack).read_text())["clients"]]
    return []


def test_clients_are_away_while_the_server_restarts(stack: Stack) -> None:
    planned = module(stack, "graceful_restart", check=True)
    done = module(stack, "graceful_restart")
    assert done["changed"] and not done["failed"] and done["clean_shutdown"] and done["state"] == "running", done
    assert [row["service"] for row in done["clients"]] == ["api", "worker"]
    assert all(row["asked"] and row["stopped"] and row["started"] and not row["error"] for row in done["clients"])
    assert done["clients"][0]["health_page"]["ok"] and done["clients"][0]["sessions"] >= 1
    assert planned["diff"] == done["diff"] and planned["steps"] == done["steps"]
    assert done["diff"]["after"]["clients"] == {row["name"]: "restarted" for row in done["clients"]}
    assert not note(stack).exists()
    assert read_aloud(stack) is None


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("number", SIGNALS * 2, ids=lambda number: number.name)
def test_cut_off_at_a_random_moment(stack: Stack, number: signal.Signals) -> None:
    """To the whole group, twice, as a terminal does; SIGKILL, too: whoever does it is not in that group."""
    seed = random.randrange(10**6)
    moment = random.Random(seed).uniform(0, 3.0)
    restart = Restart(stack)
    restart.begun()
    worker = restart.worker()
    time.sleep(moment)
    with contextlib.suppress(ProcessLookupError):
        for _unused in range(2):
            os.killpg(restart.process.pid, number)
            time.sleep(0.05)
    if number == signal.SIGKILL:
        restart.over(worker)
    else:
        result = restart.result()
        assert not result.get("failed") or "Interrupted (%s)" % number.name in result["msg"], (seed, result)
        assert result["state"] in ("running", "stopped") and len(result["clients"]) == 2, (seed, result)
    assert states(stack) == {"api": "running", "worker": "running"}, "seed %d" % seed
    assert stack.state()["Running"] and noted(stack) == [], "seed %d" % seed


@pytest.mark.parametrize("moment", [0.0, 0.3, 0.7, 1.2])
def test_a_restart_of_the_clients_survives_its_controller(stack: Stack, moment: float) -> None:
    restart = Restart(stack, "clients", state="restarted")
    restart.begun()
    worker = restart.worker()
    time.sleep(moment)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(restart.process.pid, signal.SIGKILL)
    restart.over(worker)
    assert states(stack) == {"api": "running", "worker": "running"} and noted(stack) == []


@pytest.mark.parametrize("whom", ["main process", "its group", "module's group", "both groups"])
def test_a_pool_reset_killed_at_a_random_moment(stack: Stack, whom: str) -> None:
    """Also before it stops anybody: every client runs in the end, or the next triage names it."""
    seed = random.randrange(10**6)
    restart = Restart(stack, "pool_reset", restart_clients="always")
    worker = restart.worker()
    time.sleep(random.Random(seed).uniform(0, 3.5))
    with contextlib.suppress(ProcessLookupError):
        if whom == "main process":
            os.kill(restart.process.pid, signal.SIGKILL)
        if whom in ("its group", "both groups"):
            os.killpg(restart.process.pid, signal.SIGKILL)
        if whom in ("module's group", "both groups"):
            os.killpg(worker, signal.SIGKILL)
    said = restart.process.communicate(timeout=120)[0]
    restart.over(worker)
    down = {name for name, state in states(stack).items() if state != "running"}
    found = read_aloud(stack) if down else None
    assert not down or whom == "both groups", (seed, said)
    assert not down or (found and found["summary"].count("pool_reset of ")), (seed, said)
    assert all("docker start %s" % stack.name(name) in str(found) for name in down), (seed, found)
    if whom == "module's group" and said and json.loads(said).get("failed"):
        assert "The pool reset was killed (SIGKILL) before it was finished" in json.loads(said)["msg"], (seed, said)


def test_an_interrupted_pool_reset_puts_the_clients_back(stack: Stack) -> None:
    restart = Restart(stack, "pool_reset", restart_clients="always")
    restart.begun()
    os.killpg(restart.process.pid, signal.SIGINT)
    result = restart.result()
    assert result["failed"] and "Interrupted (SIGINT)" in result["msg"] and len(result["clients"]) == 2, result
    assert states(stack) == {"api": "running", "worker": "running"} and noted(stack) == []


def test_clients_left_by_a_killed_restart_are_named_and_started_by_the_next(stack: Stack) -> None:
    """Worker and controller are killed; and only the worker, when the controller puts all back."""
    restart = Restart(stack, "clients", state="restarted")
    restart.begun()
    wait_for(lambda: states(stack)["api"] == "exited", every=0.01)
    worker, api = restart.worker(), stack.name("api")
    os.killpg(restart.process.pid, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    restart.over(worker)
    found = read_aloud(stack)
    assert found and found["severity"] == "critical" and "clients state=restarted of " in found["summary"], found
    assert any(line.endswith(": docker start %s" % api) for line in found["evidence"]), found
    restart = Restart(stack, "clients", state="restarted")
    restart.begun()
    os.kill(restart.worker(), signal.SIGKILL)
    result = restart.result()
    assert result["failed"] and "The restart was killed (SIGKILL) before it was finished" in result["msg"], result
    assert states(stack) == {"api": "running", "worker": "running"} and noted(stack) == [], result["msg"]
    assert read_aloud(stack) is None


@pytest.mark.parametrize("moment", [0.2, 1.5])
def test_when_the_worker_is_killed_whoever_started_it_puts_all_back(stack: Stack, moment: float) -> None:
    restart = Restart(stack)
    restart.begun()
    time.sleep(moment)
    os.kill(restart.worker(), signal.SIGKILL)
    result = restart.result()
    assert result["failed"] and "killed (SIGKILL)" in result["msg"], result
    assert states(stack) == {"api": "running", "worker": "running"} and noted(stack) == [], result["msg"]
    assert stack.state()["Running"], result["msg"]


def test_when_both_are_killed_the_next_run_starts_the_clients(stack: Stack) -> None:
    restart = Restart(stack)
    restart.begun()
    wait_for(lambda: states(stack)["api"] == "exited", every=0.01)
    worker = restart.worker()
    os.killpg(restart.process.pid, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    restart.over(worker)
    api = stack.name("api")
    assert api in noted(stack) and states(stack)["api"] == "exited"
    assert note(stack).stat().st_mode & 0o777 == 0o600 and note(stack).parent.stat().st_mode & 0o777 == 0o700
    docker("start", stack.name())
    stack.wait_ready()
    found = module(stack, "triage")
    verdict, (finding,) = found["verdict"], [one for one in found["findings"] if one["code"] == "restart_unfinished"]
    start = ": docker start %s" % api
    assert finding["severity"] == "critical" and api in finding["summary"].partition("STILL STOPPED: ")[0], finding
    assert "graceful_restart of " in finding["evidence"][0] and str(note(stack)) in finding["evidence"][0], finding
    assert (verdict["code"], verdict["cause"]) == ("client_down", "stopped"), verdict
    assert any(line.endswith(start) for line in finding["evidence"]), finding
    assert any(line.endswith(start) for line in verdict["evidence"]), verdict
    result = module(stack, "graceful_restart")
    assert read_aloud(stack) is None
    assert not result["failed"] and {row["name"]: row["started"] for row in result["clients"]}[api], result
    assert states(stack) == {"api": "running", "worker": "running"} and noted(stack) == []


def test_a_stale_note_does_not_start_whom_somebody_has_stopped_since(stack: Stack) -> None:
    restart = Restart(stack)
    restart.begun()
    wait_for(lambda: states(stack)["api"] == "exited", every=0.01)
    worker = restart.worker()
    os.killpg(restart.process.pid, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    restart.over(worker)
    docker("start", stack.name(), stack.name("api"), stack.name("worker"))
    stack.wait_ready()
    docker("stop", "-t", "10", stack.name("api"))  # on purpose
    assert noted(stack) and read_aloud(stack) is None
    result = module(stack, "graceful_restart")
    assert not result["failed"] and states(stack) == {"api": "exited", "worker": "running"}, result


def test_a_client_that_ends_late_is_started_and_one_that_does_not_is_named(stack: Stack) -> None:
    late = stack.name("late")
    docker("start", late)
    clients = [{"service": "late"}]
    server = stack.state()["StartedAt"]
    result = module(stack, "graceful_restart", clients=clients, grace_seconds=1, health_timeout_seconds=20)
    assert result["failed"] and "Restart aborted: the server was not restarted" in result["msg"]
    assert result["clients"][0]["started"] and stack.inspect(late)["State"]["Running"] and noted(stack) == []
    result = module(stack, "graceful_restart", clients=clients, grace_seconds=1, health_timeout_seconds=1)
    assert result["msg"].endswith(
        "%s got its stop signal and WILL STOP LATER. When it has: docker start %s" % (late, late)
    )
    assert noted(stack) == [late] and stack.state()["StartedAt"] == server
    wait_for(lambda: not stack.inspect(late)["State"]["Running"])
    result = module(stack, "graceful_restart", clients=clients)
    assert not result["failed"] and stack.inspect(late)["State"]["Running"] and noted(stack) == [], result
    docker("stop", "-t", "10", late)


def test_an_engine_that_is_gone_at_the_end_leaves_them_named(stack: Stack) -> None:
    api = stack.name("api")
    with Engine(stack.work, "/containers/%s/start" % stack.inspect(api)["Id"], 0) as engine:
        result = module(
            stack,
            "graceful_restart",
            docker_host=engine.docker_host,
            clients=[stack.target()["clients"][0]],
            health_timeout_seconds=3,
            deadline_seconds=3,
        )
    assert result["failed"] and result["msg"].endswith("%s is STILL STOPPED: docker start %s" % (api, api)), result[
        "msg"
    ]


@pytest.mark.parametrize("whole", [True, False], ids=["the engine", "the one request"])
def test_an_engine_that_is_silent_for_25_s_at_the_end_is_asked_again(stack: Stack, whole: bool) -> None:
    api = stack.name("api")
    start = "/containers/%s/start" % stack.inspect(api)["Id"]
    with Engine(stack.work, start, 0, silent_seconds=25, whole=whole) as engine:
        result = module(
            stack,
            "graceful_restart",
            docker_host=engine.docker_host,
            clients=[stack.target()["clients"][0]],
            health_timeout_seconds=8,
        )
    assert stack.inspect(api)["State"]["Running"] and not result["failed"], result


def test_an_engine_that_stays_silent_leaves_them_named(stack: Stack) -> None:
    api = stack.name("api")
    start, begin = "/containers/%s/start" % stack.inspect(api)["Id"], time.monotonic()
    with Engine(stack.work, start, 0, silent_seconds=600) as engine:
        options: dict[str, Any] = {"docker_host": engine.docker_host, "clients": [stack.target()["clients"][0]]}
        result = module(stack, "graceful_restart", health_timeout_seconds=3, deadline_seconds=4, **options)
        left = json.loads(Path(path(engine.docker_host, stack.project)).read_text())["clients"]
    assert result["failed"] and result["msg"].endswith("%s is STILL STOPPED: docker start %s" % (api, api)), result
    assert "did not answer in time" in result["msg"] and time.monotonic() - begin < 90
    assert [one["name"] for one in left] == [api]
