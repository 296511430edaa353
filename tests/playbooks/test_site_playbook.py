# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our playbooks inside somebody else's: imported twice, under another strategy, only listed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded import Server
from tests.sshd import refusing_ssh

from .test_real_servers import Controller, remote

DOWN = {"runtime": "remote", "login_host": "127.0.0.1", "login_port": 1, "connect_timeout_seconds": 1}


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with Server() as server:
        server.sql("CREATE ROLE admin LOGIN SUPERUSER PASSWORD 'secret-of-the-playbooks'")
        yield server


@pytest.fixture
def controller(tmp_path: Path, db: Server) -> Controller:
    """The same server by two names, and one that is down."""
    targets = {"one": remote(db, login_user="admin"), "two": remote(db, login_user="admin", login_host="localhost")}
    return Controller(tmp_path, {**targets, "down": DOWN}, refusing_ssh())


def site(controller: Controller, *imports: tuple[str, str]) -> tuple[int, str]:
    plays = [
        {"import_playbook": "oncall.postgresql.%s" % verb, "vars": {"oncall_hosts": hosts}} for verb, hosts in imports
    ]
    (controller.directory / "site.yml").write_text(json.dumps(plays))
    return controller.run("ansible-playbook", "site.yml")


def acted(out: str) -> list[list[str]]:
    """The hosts of each task that carried a procedure out."""
    tasks = re.findall(r"TASK \[Carry out \w+\] \*+\n(.*?)\n\n", out, re.S)
    return [sorted(re.findall(r"^\w+: \[(\w+)\]", task, re.M)) for task in tasks]


@pytest.mark.parametrize("verb", ["pool_reset", "reload"])
def test_a_second_import_does_not_act_on_the_hosts_of_the_first(controller: Controller, verb: str) -> None:
    code, out = site(controller, (verb, "one"), (verb, "two"), ("respond", "one"))
    assert code == 0, out
    assert acted(out) == [["one"], ["two"]]


def test_a_failure_in_the_first_import_does_not_stop_the_second(controller: Controller) -> None:
    code, out = site(controller, ("pool_reset", "one:down"), ("pool_reset", "two"))
    assert code == 2 and "not touched, since it failed on down" not in out.partition("── two ──")[2], out
    assert "Done:   pool_reset: nothing had to be changed" in out.partition("── two ──")[2], out


def test_another_strategy_in_the_configuration(tmp_path: Path) -> None:
    controller = Controller(tmp_path, {"a": DOWN}, environment={"ANSIBLE_STRATEGY": "free"})
    code, out = controller.run("ansible-playbook", "oncall.postgresql.triage")
    assert code == 0 and "── a ──" in out, out


@pytest.mark.parametrize("verb", ["triage", "pool_reset", "reload", "respond"])
@pytest.mark.parametrize("option", ["--syntax-check", "--list-hosts", "--list-tasks"])
def test_what_only_reads_the_playbook(tmp_path: Path, verb: str, option: str) -> None:
    code, out = Controller(tmp_path, {"db": DOWN}).run("ansible-playbook", "oncall.postgresql.%s" % verb, option)
    assert code == 0 and "ERROR" not in out, out


def test_a_syntax_check_needs_no_inventory(tmp_path: Path) -> None:
    controller = Controller(tmp_path, {})
    code, out = controller.run("ansible-playbook", "oncall.postgresql.pool_reset", "--syntax-check")
    assert code == 0 and "ERROR" not in out, out


def test_what_the_playbooks_share_is_none(tmp_path: Path) -> None:
    code, out = Controller(tmp_path, {"db": DOWN}).run("ansible-playbook", "oncall.postgresql.shared.frame")
    assert code == 2 and "Run one of them: oncall.postgresql.triage, " in out and "is undefined" not in out, out
