# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients stopped and started for real: those that behave, those that do not, and an engine that goes away."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .driving import LIGHT, Engine, everything, module, states
from .images import image
from .looks import toolboxes
from .stack import Stack, docker, wait_for

PYTHON = ["/usr/bin/python3", "-c"]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(9999)"
SLOW = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(3), sys.exit())); time.sleep(9999)"
)
LOADING = "import time; time.sleep(3); " + SLOW.replace("time.sleep(3), ", "")
# Runs the first time; every later start of the same container ends with 3.
BRITTLE = (
    "import os, signal, sys, time; os.path.exists('/tmp/x') and sys.exit(3); open('/tmp/x', 'w').close(); "
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit()); time.sleep(9999)"
)


def service(program: str) -> dict[str, Any]:
    return {"image": image("api"), "command": [*PYTHON, program], "stop_grace_period": "1s"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("lab-clients") as made:
        others = {"stubborn": service(STUBBORN), "slow": service(SLOW), "brittle": service(BRITTLE)}
        others["loading"] = service(LOADING)
        others["brittle"]["restart"] = "no"
        made.up({"services": {**others, **LIGHT}}, scale=2)
        wait_for(lambda: docker("exec", made.name("brittle"), "ls", "/tmp/x", check=False))
        yield made


@pytest.fixture(autouse=True)
def as_it_was(stack: Stack) -> Iterator[None]:
    yield
    docker("start", *stack.names("api"), *stack.names("slow"))
    wait_for(lambda: stack.inspect(stack.name("slow"))["State"]["Running"])
    stack.wait_api()


def api(stack: Stack) -> dict[str, Any]:
    client: dict[str, Any] = stack.target()["clients"][0]
    return client


def started_at(stack: Stack, name: str) -> str:
    return str(stack.inspect(name)["State"]["StartedAt"])


def test_restart_leaves_a_replica_that_did_not_run_alone(stack: Stack) -> None:
    one, two = stack.names("api")
    docker("stop", "-t", "20", two)
    before = started_at(stack, one), stack.inspect(two)["State"]
    result = module(stack, "clients", state="restarted")
    assert result["changed"] and states(result) == {one: "running", two: "exited"}
    assert (result["stopped"], result["started"]) == ([one], [one])
    assert started_at(stack, one) != before[0] and stack.inspect(two)["State"] == before[1]
    (row,) = (row for row in result["containers"] if row["name"] == one)
    assert row["health"] == "healthy" and row["health_page"]["ok"] and row["sessions"] >= 1 and row["error"] is None
    assert 0 < row["stop_seconds"] < 30 and 0 < row["seconds"] < 60


def test_check_mode_changes_nothing_and_predicts_all(stack: Stack) -> None:
    for state in ("stopped", "started", "restarted"):
        before = everything(stack)
        planned = module(stack, "clients", check=True, state=state)
        assert everything(stack) == before
        done = module(stack, "clients", state=state)
        for key in ("changed", "stopped", "started", "diff"):
            assert planned[key] == done[key], (state, key)
        assert planned["changed"] and states(planned) == states(done)
        if state != "restarted":
            again = module(stack, "clients", state=state)
            assert (
                not again["changed"]
                and again["diff"]["before"] == again["diff"]["after"]
                and states(again) == states(done)
            )


def test_only_what_was_stopped_is_started(stack: Stack) -> None:
    one, two = stack.names("api")
    docker("stop", "-t", "20", two)
    stopped = module(stack, "clients", state="stopped")
    assert stopped["stopped"] == [one]
    started = module(stack, "clients", state="started", containers=stopped["stopped"])
    assert started["started"] == [one] and not stack.inspect(two)["State"]["Running"]
    assert not module(stack, "clients", state="started", containers=[])["changed"]


def test_a_client_that_ignores_its_signal_is_never_killed(stack: Stack) -> None:
    stubborn, clients = stack.name("stubborn"), [{"service": "stubborn"}, api(stack)]
    before = started_at(stack, stubborn), stack.inspect(stubborn)["State"]["Pid"]
    apis = {name: started_at(stack, name) for name in stack.names("api")}
    result = module(stack, "clients", clients=clients, state="restarted", grace_seconds=1, health_timeout_seconds=2)
    assert result["failed"] and "%s: did not end within 1 s" % stubborn in result["msg"]
    assert result["msg"].endswith(
        "%s got its stop signal and WILL STOP LATER. When it has: docker start %s" % (stubborn, stubborn)
    )
    assert "was not killed" in result["msg"] and "left running, because of " + stubborn in result["msg"]
    # nobody else was taken down for it
    assert {name: started_at(stack, name) for name in apis} == apis and not result["changed"]
    # and the other way round: who was stopped before it comes back
    result = module(
        stack, "clients", clients=clients[::-1], state="restarted", grace_seconds=5, health_timeout_seconds=15
    )
    assert result["failed"] and sorted(result["started"]) == sorted(apis) and result["changed"]
    assert all(stack.inspect(name)["State"]["Running"] and started_at(stack, name) != apis[name] for name in apis)
    assert {row["name"]: row["error"] for row in result["containers"]}[stack.names("api")[0]] is None
    state = stack.inspect(stubborn)["State"]
    assert (state["StartedAt"], state["Pid"], state["Running"]) == (*before, True)


def test_one_that_ends_late_comes_back(stack: Stack) -> None:
    """It had not ended when its time was up, and has by the time that the others are back."""
    slow = stack.name("slow")
    before = started_at(stack, slow)
    clients = [api(stack), {"service": "slow"}]
    result = module(stack, "clients", clients=clients, state="stopped", services=["slow"], grace_seconds=1)
    assert result["failed"] and result["stopped"] == [] and "did not end within 1 s" in result["msg"]
    wait_for(lambda: not stack.inspect(slow)["State"]["Running"])
    assert stack.inspect(slow)["State"]["ExitCode"] == 0 and started_at(stack, slow) == before
    result = module(stack, "clients", clients=clients, state="started")
    assert result["started"] == [slow] and stack.inspect(slow)["State"]["Running"]
    before = started_at(stack, slow)
    result = module(stack, "clients", clients=clients, state="restarted", services=["slow"], grace_seconds=1)
    assert result["failed"] is False and result["started"] == [slow], result["msg"]
    assert stack.inspect(slow)["State"]["Running"] and started_at(stack, slow) != before


def test_one_that_is_still_loading_does_not_miss_its_signal(stack: Stack) -> None:
    """As process 1 it has no handler yet, and what is sent meanwhile is lost."""
    loading = stack.name("loading")
    docker("restart", "-t", "0", loading)
    clients = [{"service": "loading"}]
    result = module(stack, "clients", clients=clients, state="stopped", grace_seconds=25)
    assert result["stopped"] == [loading] and 2 < result["containers"][0]["stop_seconds"] < 25, result


def test_a_client_that_ends_again_keeps_nobody_else_down(stack: Stack) -> None:
    brittle = stack.name("brittle")
    clients = [api(stack), {"service": "brittle", "application_name": "brittle"}]
    result = module(stack, "clients", clients=clients, state="restarted")
    assert result["failed"] and "%s: it ended again with exit code 3" % brittle in result["msg"]
    assert sorted(result["started"]) == sorted([*stack.names("api"), brittle])
    rows = {row["name"]: row for row in result["containers"]}
    assert rows[brittle]["after"] == "exited" and rows[brittle]["seconds"] < 10
    assert all(rows[name]["health"] == "healthy" and rows[name]["error"] is None for name in stack.names("api"))


def test_health_that_never_comes_back(stack: Stack) -> None:
    stack.sql("ALTER ROLE app NOLOGIN")
    try:
        clients = [api(stack), {"service": "slow"}]
        result = module(stack, "clients", clients=clients, state="restarted", health_timeout_seconds=12)
    finally:
        stack.sql("ALTER ROLE app LOGIN")
    assert result["failed"] and "not back within 12 s: http://localhost:8000/api/v1/db/health: " in result["msg"]
    rows = {row["service"]: row for row in result["containers"]}
    assert rows["api"]["health_page"]["ok"] is False and rows["slow"]["error"] is None
    assert rows["slow"]["after"] == rows["api"]["after"] == "running"
    assert result["changed"] and len(result["started"]) == 3


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_one_that_connects_when_it_has_work_to_do(stack: Stack, password: str) -> None:
    """It proves by a login from its place that it could. Sessions under another name are not its own."""
    client = dict(api(stack), application_name="apx")
    if password == "wrong":
        client["login"] = {"password": "a-wrong-one"}
    result = module(stack, "clients", clients=[client], state="restarted", health_timeout_seconds=20)
    assert result["changed"] and {row["sessions"] for row in result["containers"]} == {0}, result
    assert ("no new session of apx" in result.get("msg", "")) == (password == "wrong"), result


def test_a_service_without_a_container(stack: Stack) -> None:
    docker("rm", "-f", *stack.names("brittle"))
    result = module(stack, "clients", clients=[{"service": "brittle"}], state="started")
    assert result["failed"] and "docker compose up -d brittle" in result["msg"]
    assert not module(stack, "clients", clients=[{"service": "brittle"}], state="stopped")["changed"]


def test_the_server_is_no_client(stack: Stack) -> None:
    before = everything(stack)
    result = module(stack, "clients", clients=[{"service": "postgres"}], state="stopped")
    assert result["failed"] and "the server itself" in result["msg"] and everything(stack) == before


def test_a_paused_client_is_left_to_whoever_paused_it(stack: Stack) -> None:
    name = stack.names("api")[0]
    docker("pause", name)
    try:
        result = module(stack, "clients", state="restarted")
        assert result["failed"] and "docker unpause " + name in result["msg"]
        assert stack.inspect(name)["State"]["Paused"]
    finally:
        docker("unpause", name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_half_way(stack: Stack, number: signal.Signals) -> None:
    """One has ended, the next is ending: both are started again."""
    slow, apis = stack.name("slow"), stack.names("api")
    before = {name: started_at(stack, name) for name in [slow, *apis]}
    options = {**stack.target(), "clients": [api(stack), {"service": "slow"}], "state": "restarted"}
    argv = [sys.executable, "-m", "ansible_collections.oncall.postgresql.plugins.modules.clients"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
    process.stdin.close()
    process.stdin = None
    wait_for(lambda: not any(stack.inspect(name)["State"]["Running"] for name in apis), every=0.02)
    time.sleep(0.5)
    process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and "Interrupted (%s)" % number.name in said, said
    assert all(stack.inspect(name)["State"]["Running"] for name in before)
    assert all(started_at(stack, name) != before[name] for name in before)


def test_engine_that_goes_away_half_way(stack: Stack) -> None:
    """What was stopped by then is told, and started by running it again."""
    one, two = stack.names("api")
    with Engine(stack.work, "/start", 0) as engine:
        options: dict[str, Any] = {"docker_host": engine.docker_host, "deadline_seconds": 3}
        result = module(stack, "clients", state="restarted", health_timeout_seconds=5, **options)
    assert result["failed"] and sorted(result["stopped"]) == [one, two] and result["started"] == []
    assert one in result["msg"] and engine.docker_host in result["msg"]
    assert not stack.inspect(one)["State"]["Running"]
    result = module(stack, "clients", state="started")
    assert sorted(result["started"]) == [one, two] and states(result) == {one: "running", two: "running"}


def test_where_the_namespace_cannot_be_entered_a_toolbox_asks(stack: Stack) -> None:
    with Engine(stack.work, tcp=True) as engine:
        result = module(stack, "clients", state="restarted", docker_host=engine.docker_host)
    assert not result["failed"], result["msg"]
    assert all(row["health_page"]["status"] == 200 and row["health_page"]["ok"] for row in result["containers"])
    assert not toolboxes(stack.project)


def test_a_runtime_without_containers(stack: Stack) -> None:
    address = stack.address(stack.names("api")[0])
    target: dict[str, Any] = {
        "runtime": "remote",
        "project": None,
        "login_host": stack.address(stack.name()),
        "login_user": "app",
        "login_password": "app-Secret-4712",
        "login_db": "shop",
        "clients": [dict(api(stack), health_url="http://%s:8000/api/v1/db/health" % address)],
    }
    result = module(stack, "clients", state="restarted", **target)
    assert result["failed"] and "module sessions" in result["msg"] and "runtime=remote" in result["msg"]
    result = module(stack, "clients", state="started", **target)
    assert not result["changed"] and result["containers"][0]["health_page"]["ok"]
    assert result["containers"][0]["sessions"] >= 1
    target["clients"][0]["health_url"] = "http://%s:8000/nothing" % address
    result = module(stack, "clients", state="started", health_timeout_seconds=1, **target)
    assert result["failed"] and "status 404" in result["msg"]
