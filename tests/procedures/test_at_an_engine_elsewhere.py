# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedures at an engine elsewhere: the inventory host refuses SSH."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import faults
from tests.lab.driving import Engine
from tests.lab.stack import PASSWORD as APP_PASSWORD
from tests.lab.stack import Stack
from tests.playbooks.carrying_out import carry_out
from tests.playbooks.test_keywords import asserted, holds
from tests.playbooks.test_real_servers import Controller
from tests.sshd import Sshd, refusing_ssh

from .stacks import at, started


@pytest.fixture(params=["ssh", "tcp"])
def afar(request: pytest.FixtureRequest, tmp_path: Path, sshd: Sshd, stack: Stack) -> Iterator[Controller]:
    def controller(engine: str) -> Controller:
        target = stack.target(idle_minutes=0.001, docker_host=engine)
        return Controller(tmp_path, {"db": target}, refusing_ssh(), sshd.environment)

    if request.param == "ssh":
        yield controller(sshd.engine())
    else:
        with Engine(stack.work, tcp=True) as engine:
            yield controller(engine.docker_host)


def test_at_an_engine_elsewhere(afar: Controller, stack: Stack, released: None) -> None:
    faults.unloaded_hba(stack)
    carry_out(afar, "reload", "authentication_failed / no_hba_entry")
    stack.stop()
    carry_out(afar, "start", "server_down / stopped")
    assert stack.state()["Status"] == "running"
    stack.wait_api()
    stack.call("leak", connections=27)
    carry_out(afar, "pool_reset", "pool_exhausted / idle_connections")
    assert int(stack.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")) < 5
    before = started(stack), started(stack, "api")
    carry_out(afar, "graceful_restart", "healthy / None")
    assert started(stack) > before[0] and started(stack, "api") > before[1]


def test_an_env_file_and_an_engine_elsewhere(tmp_path: Path, stack: Stack) -> None:
    """The Compose files are beside the engine, and the file would be the controller's."""
    settings = tmp_path / ".env"
    settings.write_text("LAB_PASSWORD=%s\n" % APP_PASSWORD)
    verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'"
    before = stack.sql(verifier), started(stack, "api")
    given = {"oncall_role": "app", "oncall_env_file": str(settings), "oncall_env_keys": ["LAB_PASSWORD"]}
    with Engine(stack.work, tcp=True) as engine:
        controller = at(stack, tmp_path, refusing_ssh(), docker_host=engine.docker_host)
        code, out = controller.run("ansible-playbook", "oncall.postgresql.credentials_reset", "-e", json.dumps(given))
    assert code == 2, out
    said = "env_file is refused with docker_host=%s: api cannot be recreated from here" % engine.docker_host
    assert said in " ".join(out.split()), out
    assert (stack.sql(verifier), started(stack, "api")) == before
    assert settings.read_text() == "LAB_PASSWORD=%s\n" % APP_PASSWORD


def test_environment_on_the_way_to_an_engine(tmp_path: Path, sshd: Sshd, stack: Stack) -> None:
    """PATH has the command ssh in it that finds the keys."""
    ask = {"oncall.postgresql.server_info": None}
    holds(
        at(stack, tmp_path, refusing_ssh(), docker_host=sshd.engine()),
        {**ask, "register": "without", "ignore_errors": True},
        {**ask, "register": "given", "environment": sshd.environment},
        asserted("without is failed", "given.answer == 'yes'"),
    )
