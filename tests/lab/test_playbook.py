# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook as its users run it, on a Compose stack: fleets, SSH, ad-hoc calls, and input that is wrong."""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .faults import free_port
from .stack import ADMIN_PASSWORD, SECRETS, Stack, ansible, docker, playbook, run, wait_for, write_inventory

TRIAGE = "oncall.postgresql.triage"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("lab-play-%d" % os.getpid()) as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def broken() -> Iterator[Stack]:
    with Stack("lab-down-%d" % os.getpid()) as made:
        made.up()
        made.stop()
        yield made


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real sshd on a high port of the loopback, with keys of its own; its ``ssh`` comes first in ``PATH``."""
    sshd = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    assert sshd, "sshd is missing; run scripts/install-docker.sh"
    place = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)])
    port = free_port()
    Path("/run/sshd").mkdir(exist_ok=True)
    (place / "sshd_config").write_text(
        "Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\n"
        "PermitRootLogin prohibit-password\nUsePAM no\n" % (port, place / "host", place / "user.pub")
    )
    (place / "config").write_text(
        "Host *\n  IdentityFile %s\n  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile %s\n"
        % (place / "user", place / "known_hosts")
    )
    wrapper = place / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text('#!/bin/sh\nexec %s -F %s "$@"\n' % (shutil.which("ssh"), place / "config"))
    wrapper.chmod(0o755)
    daemon = subprocess.Popen([sshd, "-D", "-e", "-f", str(place / "sshd_config")], stderr=subprocess.DEVNULL)
    user = getpass.getuser()
    login = [str(wrapper), "-p", str(port), "%s@127.0.0.1" % user, "true"]
    try:
        wait_for(lambda: run(login, check=False).returncode == 0, 10, 0.2)
        yield {"port": str(port), "user": user, "path": "%s:%s" % (wrapper.parent, os.environ["PATH"])}
    finally:
        daemon.terminate()
        daemon.wait()


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
            "oncall_target": stack.target(),
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": free_port(),
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


def over(ssh: dict[str, str]) -> dict[str, Any]:
    """A host that is reached by SSH, where triage runs as a module."""
    place = {"ansible_host": "127.0.0.1", "ansible_port": int(ssh["port"]), "ansible_user": ssh["user"]}
    return {"ansible_connection": "ssh", **place}


def test_over_ssh(stack: Stack, ssh: dict[str, str], tmp_path: Path) -> None:
    far = {"oncall_target": stack.target(), **over(ssh)}
    code, output, found = asked(tmp_path, {"far": far}, PATH=ssh["path"])
    assert code == 0, output
    assert found["far"]["verdict"]["code"] == "healthy", found["far"]["verdict"]
    assert found["far"]["facts"]["clients"][0]["attempt"]["succeeded"]


def test_engine_over_ssh(stack: Stack, ssh: dict[str, str], tmp_path: Path) -> None:
    """Nothing runs on the inventory host, whose connection would fail: the engine is asked from here."""
    engine = "ssh://%s@127.0.0.1:%s" % (ssh["user"], ssh["port"])
    host = {
        "oncall_target": stack.target(docker_host=engine),
        "ansible_connection": "ssh",
        "ansible_host": "192.0.2.1",
    }
    code, output, found = asked(tmp_path, {"engine": host}, PATH=ssh["path"])
    assert code == 0, output
    assert found["engine"]["verdict"]["code"] == "healthy", found["engine"]["verdict"]
    docker("stop", "-t", "5", stack.name("api"))
    try:
        _code, _output, found = asked(tmp_path, {"engine": host}, PATH=ssh["path"])
        assert "client_down" in [finding["code"] for finding in found["engine"]["findings"]]
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
        ({"login_password": "x"}, r"login_password.*login_host"),
        ({"runtime": "remote", "project": None}, r"login_host"),
        ({"deadline_seconds": 0}, r"deadline_seconds is 0"),
        ({"no_such_option": 1}, r"no_such_option"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_input(stack: Stack, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    target = {name: value for name, value in stack.target(**options).items() if value is not None}
    _one_line(tmp_path, {"oncall_target": target}, said)


def _one_line(work: Path, host: dict[str, Any], said: str, **environment: Any) -> None:
    """The task fails, quickly, with one line that matches ``said``."""
    begun = time.monotonic()
    code, output, found = asked(work, {"db": host}, **environment)
    assert code == 2, output
    message = found["db"]["error"]["message"]
    assert "\n" not in message.strip()
    assert re.search(said, message), message
    assert "Traceback" not in output
    assert time.monotonic() - begun < 30


def test_missing_psycopg2(stack: Stack, ssh: dict[str, str], tmp_path: Path) -> None:
    target = stack.target(login_host="127.0.0.1", login_user="postgres", login_password=ADMIN_PASSWORD)
    host = {"oncall_target": target, **over(ssh), "ansible_python_interpreter": hiding(tmp_path, "psycopg2")}
    _one_line(tmp_path, host, "(?i)psycopg2.*install", PATH=ssh["path"])


def test_missing_docker_sdk(stack: Stack, ssh: dict[str, str], tmp_path: Path) -> None:
    host = {"oncall_target": stack.target(), **over(ssh), "ansible_python_interpreter": hiding(tmp_path, "docker")}
    _one_line(tmp_path, host, "Docker SDK for Python.*pip install docker", PATH=ssh["path"])


def test_no_permission(stack: Stack, tmp_path: Path) -> None:
    """An ordinary user, who may not talk to the engine. Uses the system's Python, which that user can reach."""
    site = stack.work / "site"
    for package in ("docker", "requests", "urllib3", "idna", "certifi", "charset_normalizer"):
        found = importlib.util.find_spec(package)
        assert found and found.origin, "%s is missing; run make dev" % package
        shutil.copytree(Path(found.origin).parent, site / package)
    python = stack.work / "python"
    python.write_text('#!/bin/sh\nPYTHONPATH=%s exec /usr/bin/python3 "$@"\n' % site)
    python.chmod(0o755)
    user = {"ansible_become": True, "ansible_become_user": "nobody", "ansible_become_flags": "-s /bin/sh"}
    user["ansible_become_method"] = "ansible.builtin.su"
    host = {"oncall_target": stack.target(), "ansible_python_interpreter": str(python), **user}
    _one_line(tmp_path, host, "Permission denied.*become: true")
