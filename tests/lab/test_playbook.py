# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook as its users run it, on a Compose stack: fleets, SSH, ad-hoc calls, and input that is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sshd import Sshd, refusing_ssh

from .stack import ADMIN_PASSWORD, SECRETS, Stack, ansible, docker, playbook, write_inventory

TRIAGE = "oncall.postgresql.triage"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("lab-play") as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def broken() -> Iterator[Stack]:
    with Stack("lab-down") as made:
        made.up()
        made.stop()
        yield made


def reports(directory: Path) -> dict[str, Any]:
    return {file.stem: json.loads(file.read_text()) for file in directory.glob("*.json")}


def asked(work: Path, hosts: dict[str, Any], *words: str, **environment: Any) -> tuple[int, str, dict[str, Any]]:
    """Exit code, output and reports of the playbook on these hosts."""
    inventory = write_inventory(work, hosts)
    place = work / "reports"
    done = playbook(TRIAGE, "-i", str(inventory), "-e", "oncall_report_dir=%s" % place, *words, **environment)
    return done.returncode, done.stdout + done.stderr, reports(place)


@pytest.mark.parametrize("words", [(), ("--check",), ("-f", "1")], ids=["plain", "check", "one_fork"])
def test_fleet(stack: Stack, broken: Stack, tmp_path: Path, words: tuple[str, ...]) -> None:
    hosts = {
        "well": {"oncall_target": stack.target()},
        "ill": {"oncall_target": broken.target()},
        "away": {
            **refusing_ssh(),
            "oncall_target": stack.target(),
        },
    }
    code, output, found = asked(tmp_path, hosts, *words)
    assert code == 4, output  # what Ansible itself gives for an unreachable host
    assert found["well"]["verdict"]["code"] == "healthy"
    assert (found["ill"]["verdict"]["code"], found["ill"]["verdict"]["cause"]) == ("server_down", "stopped")
    assert "unreachable=1" in output
    assert "changed=1" not in output
    page = (tmp_path / "reports" / "index.html").read_text()
    assert all(name in page for name in hosts)
    assert broken.state()["Status"] == "exited", "triage has started the server"


def test_limit(stack: Stack, broken: Stack, tmp_path: Path) -> None:
    hosts = {"well": {"oncall_target": stack.target()}, "ill": {"oncall_target": broken.target()}}
    code, output, found = asked(tmp_path, hosts, "--limit", "ill")
    assert code == 0, output
    assert list(found) == ["ill"]


@pytest.mark.parametrize("least, expected", [("critical", 2), ("emergency", 0)])
def test_fail_on(broken: Stack, tmp_path: Path, least: str, expected: int) -> None:
    hosts = {"ill": {"oncall_target": broken.target()}}
    code, output, _found = asked(tmp_path, hosts, "-e", "oncall_fail_on=" + least)
    assert code == expected, output


def test_ad_hoc(stack: Stack, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, {"well": {}})
    arguments = json.dumps(stack.target())
    done = ansible("ansible", "postgresql", "-i", str(inventory), "-m", TRIAGE, "-a", arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.partition("=>")[2])
    assert result["verdict"]["code"] == "healthy"
    assert result["changed"] is False


def test_engine_over_ssh(stack: Stack, sshd: Sshd, tmp_path: Path) -> None:
    """Nothing runs on the inventory host, whose connection would fail: the engine is asked from here."""
    host = refusing_ssh({"oncall_target": stack.target(docker_host=sshd.engine())})
    code, output, found = asked(tmp_path, {"engine": host}, **sshd.environment)
    assert code == 0, output
    assert found["engine"]["verdict"]["code"] == "healthy", found["engine"]["verdict"]
    docker("stop", "-t", "5", stack.name("api"))
    try:
        _code, _output, found = asked(tmp_path, {"engine": host}, **sshd.environment)
        assert found["engine"]["verdict"]["code"] == "client_down"
    finally:
        docker("start", stack.name("api"))
        stack.wait_api()


def test_no_secret_is_told(stack: Stack, tmp_path: Path) -> None:
    """At -vvv, in the reports, in the server's log; a wrong password that is an option, too."""
    wrong = "mistyped-Secret-4713"
    client = {"service": "api", "login": {"password": wrong}}
    reached = {"login_host": stack.address(stack.name()), "login_user": "postgres", "login_password": ADMIN_PASSWORD}
    hosts = {
        "here": {"oncall_target": stack.target(clients=[client])},
        "wire": {"oncall_target": {**reached, "runtime": "remote", "clients": [client]}},
    }
    code, output, found = asked(tmp_path, hosts, "-vvv")
    assert code == 0, output
    assert found["here"]["verdict"]["cause"] == "wrong_password"
    log = subprocess.run(["docker", "logs", stack.name()], capture_output=True, text=True, check=True)
    written = "".join(file.read_text() for file in (tmp_path / "reports").iterdir())
    for secret in (*SECRETS, wrong):
        assert secret not in output
        assert secret not in written
        assert secret not in log.stdout + log.stderr


def hiding(directory: Path, *packages: str) -> str:
    """This Python, as on a host where some packages are not installed."""
    for package in packages:
        (directory / (package + ".py")).write_text("raise ImportError('No module named %s')\n" % package)
    script = directory / "python"
    script.write_text('#!/bin/sh\nPYTHONPATH=%s exec %s "$@"\n' % (directory, sys.executable))
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"project": "no-such-project"}, r"knows no Compose project no-such-project.*Correct project"),
        ({"service": "database"}, r"has no service database.*postgres"),
        ({"docker_host": "unix:///nowhere/docker.sock"}, r"/nowhere/docker.sock.*no such socket.*set docker_host"),
        ({"runtime": "pg_ctl"}, r"data_directory"),
        ({"runtime": "remote", "project": None}, r"login_host"),
        ({"deadline_seconds": 0}, r"deadline_seconds is 0"),
        ({"no_such_option": 1}, r"no_such_option"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_input(stack: Stack, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    target = {name: value for name, value in stack.target(**options).items() if value is not None}
    _one_line(tmp_path, {"oncall_target": target}, said)


def _one_line(work: Path, host: dict[str, Any], said: str) -> None:
    """The task fails, with one line that matches ``said``."""
    code, output, found = asked(work, {"db": host})
    assert code == 2, output
    message = found["db"]["error"]["message"]
    assert "\n" not in message.strip()
    assert re.search(said, message), message
    assert "Traceback" not in output


def test_missing_psycopg2(stack: Stack, sshd: Sshd, tmp_path: Path) -> None:
    target = stack.target(login_host="127.0.0.1", login_user="postgres", login_password=ADMIN_PASSWORD)
    host = sshd.over_ssh({"oncall_target": target, "ansible_python_interpreter": hiding(tmp_path, "psycopg2")})
    _one_line(tmp_path, host, "(?i)psycopg2.*install")


def test_the_standard_library_is_enough(stack: Stack, sshd: Sshd, tmp_path: Path) -> None:
    python = hiding(tmp_path, "docker", "requests", "urllib3", "psycopg2")
    host = sshd.over_ssh({"oncall_target": stack.target(), "ansible_python_interpreter": python})
    code, output, found = asked(tmp_path, {"db": host})
    assert code == 0, output
    assert found["db"]["verdict"]["code"] == "healthy", found["db"]


def test_no_permission(stack: Stack, sshd: Sshd, tmp_path: Path) -> None:
    """An ordinary user, who may not talk to the engine."""
    host = sshd.over_ssh({"oncall_target": stack.target()}, user=sshd.account())
    _one_line(tmp_path, host, "Permission denied.*become: true")
