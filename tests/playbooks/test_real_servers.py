# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook, the ad-hoc calls and the question modules as a user runs them, on real servers without Docker.

Runs with whatever Ansible stands beside the Python that runs it: ``make test`` takes the oldest and the newest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.embedded import Server
from tests.integration.results import unlike

PASSWORD = "secret-of-the-playbooks"
QUESTIONS = ("server_info", "readiness_info", "network_info", "connections_info", "login_info", "activity_info")


@pytest.fixture(scope="module")
def up() -> Iterator[Server]:
    with Server() as server:
        server.sql(
            "CREATE ROLE shop LOGIN PASSWORD '%s'; CREATE ROLE oncall LOGIN PASSWORD '%s'" % (PASSWORD, PASSWORD)
        )
        server.sql("GRANT pg_monitor TO oncall; CREATE DATABASE shop OWNER shop")
        yield server


@pytest.fixture(scope="module")
def down() -> Iterator[Server]:
    with Server(16) as server:
        server.stop("fast")
        yield server


def beside(server: Server, **more: Any) -> dict[str, Any]:
    return {**server.target({"service": "shop", "login": login(server)}), **more}


def remote(server: Server, **more: Any) -> dict[str, Any]:
    named = {"login_host": server.host, "login_port": server.port, "login_user": "oncall", "login_password": PASSWORD}
    return {"runtime": "remote", **named, "clients": [{"service": "shop", "login": login(server)}], **more}


def login(server: Server, **more: Any) -> dict[str, Any]:
    return {"host": server.host, "port": server.port, "user": "shop", "password": PASSWORD, "database": "shop", **more}


class Controller:
    """Runs Ansible's commands in a directory of their own, on an inventory of targets.

    ``host``: the variables of how its hosts are reached, such as ``sshd.over_ssh(become=True)`` or ``refusing_ssh()``
    of tests/sshd.py; without, the hosts are this one. ``environment``: more of it for the commands.
    """

    def __init__(
        self,
        directory: Path,
        targets: dict[str, dict[str, Any]],
        host: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory, self.reports = directory, directory / "reports"
        self._environment = environment or {}
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {name: {"oncall_target": options} for name, options in targets.items()}
        group = {"postgresql": {"vars": dict(host or local), "hosts": hosts}}
        (directory / "inventory.json").write_text(json.dumps(group))

    def run(self, program: str, *arguments: str) -> tuple[int, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        inventory = () if "-i" in arguments else ("-i", "inventory.json")  # a printed command has its own
        home = str(self.directory / "home")  # the reports of procedures go there, too
        done = subprocess.run(
            [str(Path(sys.executable).with_name(program)), *inventory, *arguments],
            cwd=self.directory,
            env={**own, "LC_ALL": "C.UTF-8", "HOME": home, "ANSIBLE_HOME": home, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout

    def triage(self, *arguments: str) -> tuple[int, str]:
        return self.run("ansible-playbook", "oncall.postgresql.triage", "-e", "oncall_report_dir=reports", *arguments)

    def result(self, host: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.reports / ("%s.json" % host)).read_text())
        return document


def connect(server: Server) -> Any:
    return psycopg2.connect(
        host=server.host, port=server.port, user="shop", password=PASSWORD, dbname="shop", application_name="shop"
    )


def verdict(controller: Controller) -> dict[str, Any]:
    code, out = controller.triage()
    assert code == 0, out
    found: dict[str, Any] = controller.result("db")["verdict"]
    return found


@pytest.mark.parametrize("check", [(), ("--check",)], ids=["run", "check"])
def test_a_fleet(tmp_path: Path, up: Server, down: Server, check: tuple[str, ...]) -> None:
    shop = {"service": "shop", "login": login(up, password="not this one")}
    targets = {"up": beside(up), "afar": remote(up), "down": beside(down), "locked": beside(up, clients=[shop])}
    controller = Controller(tmp_path, targets)
    code, out = controller.triage("-f", "2", *check)
    assert code == 0, out
    verdicts = {host: controller.result(host)["verdict"] for host in targets}
    for host in targets:
        assert unlike("triage", {**controller.result(host), "facts_json": None}) == []
    assert {host: (verdict["code"], verdict["cause"]) for host, verdict in verdicts.items()} == {
        "up": ("healthy", None),
        "afar": ("healthy", None),
        "down": ("server_down", "stopped"),
        "locked": ("authentication_failed", "wrong_password"),
    }, out
    assert verdicts["locked"]["remedy"]["extra_vars"]["oncall_role"] == "shop"
    assert "4 servers: 2 critical, 2 healthy" in out
    assert out.count("changed=0") == 4
    written = out + "".join(file.read_text() for file in controller.reports.iterdir())
    assert PASSWORD not in written and "not this one" not in written


@pytest.mark.parametrize("least, expected", [("critical", 2), ("emergency", 0)])
def test_a_scheduler_hears_of_it(tmp_path: Path, down: Server, least: str, expected: int) -> None:
    code, out = Controller(tmp_path, {"down": beside(down)}).triage("-e", "oncall_fail_on=%s" % least)
    assert code == expected, out


def test_ad_hoc(tmp_path: Path, up: Server) -> None:
    options = {**remote(up), "clients": []}
    code, out = Controller(tmp_path, {"afar": {}}).run(
        "ansible", "postgresql", "-m", "oncall.postgresql.triage", "-a", json.dumps(options)
    )
    assert code == 0, out
    result = json.loads(out.partition("=>")[2])
    assert result["verdict"]["code"] == "healthy"
    assert not result["changed"]
    assert PASSWORD not in out


DEFAULTS = {"group/oncall.postgresql.target": "{{ oncall_target }}"}


@pytest.mark.parametrize("kind, defaults", [(beside, {}), (remote, {}), (remote, DEFAULTS)])
def test_every_question_on_its_own(tmp_path: Path, up: Server, kind: Any, defaults: dict[str, str]) -> None:
    """In a play of one's own the inventory says which server is meant, unless the play or the task does."""
    tasks = [{"oncall.postgresql.%s" % name: None, "register": name} for name in QUESTIONS]
    wanted = "{{ {%s} }}" % ", ".join("'%s': %s" % (name, name) for name in QUESTIONS)
    copy = {"ansible.builtin.copy": {"content": wanted, "dest": str(tmp_path / "answers.json"), "mode": "0600"}}
    play = {"hosts": "postgresql", "gather_facts": False, "module_defaults": defaults, "tasks": [*tasks, copy]}
    (tmp_path / "questions.json").write_text(json.dumps([play]))
    code, out = Controller(tmp_path, {"db": kind(up)}).run("ansible-playbook", "questions.json")
    assert code == 0, out
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert {name: answers[name]["changed"] for name in QUESTIONS} == dict.fromkeys(QUESTIONS, False)
    assert {name: answers[name]["answer"] for name in QUESTIONS} == dict.fromkeys(QUESTIONS, "yes"), answers
    for name in QUESTIONS:
        assert unlike(name, answers[name]) == []


@pytest.mark.parametrize(
    "options, said",
    [
        ({"runtime": "pg_ctl"}, "data_directory"),
        ({"runtime": "pg_ctl", "data_directory": "/nowhere"}, "Set data_directory to"),
        ({"runtime": "remote"}, "login_host"),
        (
            {"runtime": "remote", "login_host": "127.0.0.1", "project": "shop"},
            "project has no meaning with runtime=remote",
        ),
        ({"runtime": "pg_ctl", "data_directory": "/tmp", "deadline_seconds": 0}, "deadline_seconds is 0"),
    ],
)
def test_bad_options_get_one_line(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    code, out = Controller(tmp_path, {"db": options}).triage()
    assert code == 2, out
    error = json.loads((tmp_path / "reports" / "db.json").read_text())["error"]["message"]
    assert said in error
    assert "\n" not in error.strip()
    assert "Traceback" not in out
