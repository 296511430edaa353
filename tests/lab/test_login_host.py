# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safety rule 12 on a Compose stack: ``login_host`` leads to its server, or to a copy that was started with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.embedded import free_port

from .driving import LIGHT, Engine, everything, module
from .stack import ADMIN_PASSWORD, Stack, docker, wait_for

DATA = "/var/lib/postgresql/data"
VERBS: list[tuple[str, dict[str, Any]]] = [
    ("sessions", {"state": "absent", "session_states": ["idle"], "max_percent": 100}),
    ("pool_reset", {"restart_clients": "always"}),
    ("cancel_queries", {"query_seconds": 0}),
    ("configuration", {"force": True}),
    ("credentials", {"role": "app", "password": "new-Secret-4713"}),
    ("graceful_restart", {}),
    ("server", {"state": "restarted"}),
    ("server", {"state": "stopped"}),
]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("which") as made:
        made.environment["LAB_POSTGRES_PORT"] = str(free_port())
        made.up({"services": LIGHT})
        yield made


@pytest.fixture(scope="module")
def copy(stack: Stack) -> str:
    """The same system identifier, data directory and port; started within seconds of the original."""
    stack.stop()
    place = stack.work / "copy"
    shutil.copytree(stack.data(), place, symlinks=True)
    docker("run", "--rm", "-v", "%s:%s" % (place, DATA), "--entrypoint", "chown", image(stack), "-R", "postgres", DATA)
    stack.start_server()
    stack.wait_ready()
    name = stack.beside("-v", "%s:%s" % (place, DATA), "--network", stack.network(), image(stack))
    wait_for(
        lambda: "accepting" in docker("exec", name, "pg_isready", "-h", "127.0.0.1", "-U", "postgres", check=False)
    )
    stack.wait_api()
    return name


def image(stack: Stack) -> str:
    return stack.environment["LAB_POSTGRES_IMAGE"]


def at(host: str, port: int = 5432) -> dict[str, Any]:
    return {"login_host": host, "login_port": port, "login_user": "postgres", "login_password": ADMIN_PASSWORD}


def at_its_own(stack: Stack) -> dict[str, Any]:
    """By the port that is published: a container may have another address after each start."""
    return at("127.0.0.1", int(stack.environment["LAB_POSTGRES_PORT"]))


def test_a_copy_that_answers_there_is_named_and_nothing_is_done(stack: Stack, copy: str) -> None:
    there = at(stack.address(copy))
    found = stack.triage(**there)
    finding = next(each for each in found["findings"] if each["code"] == "another_server")
    assert found["facts"]["snapshot"] is None and stack.address(copy) in finding["summary"], finding
    answers, expected = (found["facts"]["another_server"][each] for each in ("answers", "expected"))
    assert answers["system_identifier"] == expected["system_identifier"]
    assert answers["started_at"] != expected["started_at"]
    before, other = everything(stack), docker("logs", copy)
    for name, given in VERBS:
        result = module(stack, name, **{**there, **given})
        assert result["failed"] and result["refused"] and not result.get("changed"), result
        assert "another server answers at login_host %s" % stack.address(copy) in result["msg"].lower(), result
    assert everything(stack) == before and docker("logs", copy) == other
    with Engine(stack.work, tcp=True) as engine:
        result = module(stack, "sessions", docker_host=engine.docker_host, **{**there, **VERBS[0][1]})
        assert result["refused"] and "another server answers" in result["msg"].lower(), result


def test_its_own_server_is_taken_also_after_a_restart(stack: Stack, copy: str) -> None:
    there = at_its_own(stack)
    found = stack.triage(**there)
    assert found["verdict"]["code"] == "healthy", found["verdict"]
    assert found["facts"]["snapshot"] is not None and found["facts"]["another_server"] is None
    done = module(stack, "graceful_restart", **there)
    assert not done["failed"] and done["changed"], done["msg"]
    assert not module(stack, "configuration", force=True, **there)["failed"]
    with Engine(stack.work, tcp=True) as engine:
        assert stack.triage(docker_host=engine.docker_host, **there)["verdict"]["code"] == "healthy"


def test_a_server_that_is_down_is_not_started_while_another_one_answers(stack: Stack, copy: str) -> None:
    """It may be the standby that was promoted in its place."""
    own, there = at_its_own(stack), at(stack.address(copy))
    stack.stop()
    found = stack.triage(**there)
    assert (found["verdict"]["code"], found["verdict"]["cause"]) == ("server_down", "stopped")
    assert "another_server" in [each["code"] for each in found["findings"]]
    result = module(stack, "server", state="started", **there)
    assert result["refused"] and "Start refused: another server answers" in result["msg"], result
    assert not stack.state()["Running"]
    result = module(stack, "server", state="started", **own)
    assert not result["failed"] and result["state"] == "running", result
    stack.wait_api()
