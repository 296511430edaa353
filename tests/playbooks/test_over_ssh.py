# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets on a host behind a real sshd: where the modules run there, as whom; and where they do not need it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.embedded import Server
from tests.lab.driving import Engine
from tests.lab.stack import Stack, wait_for
from tests.sshd import Sshd, refusing_ssh

from .carrying_out import carry_out
from .test_real_servers import PASSWORD, Controller, beside, login, remote

AS = ("root", "become", "owner", "become_owner")


@pytest.fixture(scope="module")
def owner(sshd: Sshd) -> str:
    """The server's own OS user, who has no rights but on its files."""
    return sshd.account()


@pytest.fixture(scope="module")
def server(owner: str) -> Iterator[Server]:
    with Server(os_user=owner) as started:
        started.sql(
            "CREATE ROLE shop LOGIN PASSWORD '%s'; CREATE ROLE oncall LOGIN PASSWORD '%s'" % (PASSWORD, PASSWORD)
        )
        started.sql("GRANT pg_monitor TO oncall; CREATE DATABASE shop OWNER shop")
        yield started


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("over-ssh") as made:
        made.up()
        yield made


def hosts(sshd: Sshd, owner: str) -> dict[str, dict[str, Any]]:
    """How a host is reached, by who does the work there."""
    return {
        "root": sshd.over_ssh(),
        "become": sshd.over_ssh(become=True),
        "owner": sshd.over_ssh(user=owner),
        # Pipelining: without, Ansible hands files from one ordinary user to another by access control lists.
        "become_owner": sshd.over_ssh({"ansible_become_user": owner, "ansible_pipelining": True}, become=True),
    }


def healthy(controller: Controller) -> dict[str, Any]:
    """The facts of the host "db", which is well."""
    code, out = controller.triage()
    assert code == 0, out
    result = controller.result("db")
    assert result["verdict"]["code"] == "healthy", result
    facts: dict[str, Any] = result["facts"]
    return facts


@pytest.mark.parametrize("who", AS)
def test_pg_ctl(tmp_path: Path, sshd: Sshd, owner: str, server: Server, who: str) -> None:
    facts = healthy(Controller(tmp_path, {"db": beside(server)}, hosts(sshd, owner)[who]))
    assert facts["clients"][0]["attempt"]["succeeded"]


@pytest.mark.parametrize("who", ["root", "become", "docker_group"])
def test_compose(tmp_path: Path, sshd: Sshd, stack: Stack, who: str) -> None:
    if who == "docker_group":
        host = sshd.over_ssh(user=sshd.account("docker"))
    else:
        host = sshd.over_ssh(become=who == "become")
    facts = healthy(Controller(tmp_path, {"db": stack.target()}, host))
    assert facts["clients"][0]["attempt"]["succeeded"]


def test_pool_reset(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    """The one procedure that runs here on each Ansible; tests/procedures has the others, for one."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'"
    named = {"dbname" if key == "database" else key: value for key, value in login(server).items()}
    server.sql("ALTER ROLE shop CONNECTION LIMIT 3")
    with contextlib.ExitStack() as until:
        for _unused in range(3):
            until.enter_context(contextlib.closing(psycopg2.connect(**named)))
        wait_for(lambda: server.sql(count + " AND now() - state_change > '0.1 s'") == "3")
        host = Controller(tmp_path, {"db": beside(server, idle_minutes=0.001)}, sshd.over_ssh(become=True))
        carry_out(host, "pool_reset", "pool_exhausted / role_limit")
        assert server.sql(count) == "0"
    server.sql("ALTER ROLE shop CONNECTION LIMIT -1")


def test_remote_needs_no_ssh(tmp_path: Path, server: Server) -> None:
    healthy(Controller(tmp_path, {"db": remote(server)}, refusing_ssh()))


def test_an_engine_elsewhere_needs_no_ssh_to_the_host(tmp_path: Path, sshd: Sshd, stack: Stack) -> None:
    target = stack.target(docker_host=sshd.engine())
    healthy(Controller(tmp_path, {"db": target}, refusing_ssh(), sshd.environment))
    with Engine(stack.work, tcp=True) as engine:
        healthy(Controller(tmp_path, {"db": stack.target(docker_host=engine.docker_host)}, refusing_ssh()))


def test_what_runs_on_the_host_finds_a_closed_port_unreachable(tmp_path: Path, server: Server) -> None:
    code, out = Controller(tmp_path, {"db": beside(server)}, refusing_ssh()).triage()
    assert code == 4 and "Connection refused" in out, out


def test_a_host_whose_python_is_not_whole(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    """As of Debian's python3-minimal: what it lacks is said."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['difflib'] = None\n")
    interpreter = tmp_path / "python"
    interpreter.write_text('#!/bin/sh\nPYTHONPATH=%s exec %s "$@"\n' % (tmp_path, sys.executable))
    interpreter.chmod(0o755)
    host = sshd.over_ssh({"ansible_python_interpreter": str(interpreter)})
    code, out = Controller(tmp_path, {"db": beside(server)}, host).triage()
    assert code == 2 and "NOT CHECKED" in out, out
    assert "import of difflib halted" in out, out
