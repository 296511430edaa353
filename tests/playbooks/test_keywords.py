# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keywords of a task, on a host behind a real sshd and on one whose SSH port is closed."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import Server
from tests.sshd import Sshd, refusing_ssh

from .carrying_out import OTHER
from .test_real_servers import PASSWORD, Controller, beside, login


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        started.sql("CREATE ROLE shop LOGIN PASSWORD '%s'; CREATE DATABASE shop OWNER shop" % PASSWORD)
        yield started


def holds(controller: Controller, *tasks: dict[str, Any]) -> None:
    """A play of ``tasks``, for the group; what they assert is so."""
    defaults = {"group/oncall.postgresql.target": "{{ oncall_target }}"}
    play = {"hosts": "postgresql", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}
    (controller.directory / "play.json").write_text(json.dumps([play]))
    code, out = controller.run("ansible-playbook", "play.json")
    assert code == 0, out
    assert PASSWORD not in out and OTHER not in out


def asserted(*that: str) -> dict[str, Any]:
    return {"ansible.builtin.assert": {"that": list(that)}}


def by_network(server: Server, **options: Any) -> dict[str, Any]:
    """Reached from the controller, as a role whose password is to be found somewhere else."""
    return {"runtime": "remote", "login_host": server.host, "login_port": server.port, "login_user": "shop", **options}


def test_delegate_to(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    """Where it is told to run, as any module, and not where the target would be reached from otherwise."""
    controller = Controller(tmp_path, {"db": beside(server)}, refusing_ssh())
    inventory = json.loads((tmp_path / "inventory.json").read_text())
    inventory["others"] = {"hosts": {"bastion": sshd.over_ssh(become=True), "lost": refusing_ssh()}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    away = {"oncall.postgresql.server_info": by_network(server, data_directory=None, bin_directory=None, log_file=None)}
    holds(
        controller,
        {"oncall.postgresql.triage": None, "delegate_to": "bastion", "register": "there"},
        {**away, "delegate_to": "lost", "ignore_unreachable": True, "register": "nowhere"},
        asserted("there.verdict.code == 'healthy'", "there.target.host == 'db'", "nowhere is unreachable"),
    )


@pytest.mark.parametrize("where", ["worker", "host"])
def test_environment(tmp_path: Path, sshd: Sshd, server: Server, where: str) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:shop:%s\n" % PASSWORD)
    passwords.chmod(0o600)
    more = {} if where == "worker" else {"runtime": "pg_ctl", "data_directory": str(server.data)}
    host = refusing_ssh() if where == "worker" else sshd.over_ssh()
    ask = {"oncall.postgresql.connections_info": None}
    holds(
        Controller(tmp_path, {"db": by_network(server, login_db="shop", **more)}, host),
        {**ask, "register": "without", "ignore_errors": True},
        {**ask, "register": "given", "environment": {"PGPASSFILE": str(passwords)}},
        {**ask, "register": "after", "ignore_errors": True},
        asserted(
            "given.answer == 'yes'", *("%s.answer | default('') != 'yes'" % name for name in ("without", "after"))
        ),
    )


def test_async(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    ask = {"oncall.postgresql.triage": None, "async": 60}
    status = {"ansible.builtin.async_status": {"jid": "{{ begun.ansible_job_id }}"}, "register": "done"}
    away = by_network(server, data_directory=None, bin_directory=None, log_file=None)
    line = (
        "async is not possible here: this target is reached from the controller, inside Ansible's worker. Leave async "
        "out, or add delegate_to: localhost, which runs it as a module."
    )
    holds(
        Controller(tmp_path, {"db": beside(server)}, sshd.over_ssh()),
        {**ask, "poll": 1, "register": "waited"},
        {**ask, "poll": 0, "register": "begun"},
        {**status, "until": "done is finished", "retries": 60, "delay": 1},
        {**ask, "oncall.postgresql.triage": away, "poll": 1, "register": "refused", "ignore_errors": True},
        asserted("waited.verdict.code == 'healthy'", "done.verdict.code == 'healthy'"),
        asserted("refused is failed", "refused.msg == %s" % json.dumps(line)),
    )


def test_vars(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    """Of a task: over the host's own, for a target on the host and for one that is reached from here."""
    elsewhere = {**by_network(server), "login_user": "oncall", "login_password": PASSWORD, "login_db": "{{ name }}"}
    ask = {"oncall.postgresql.server_info": None}
    holds(
        Controller(tmp_path, {"db": {"runtime": "pg_ctl", "data_directory": "/nowhere"}}, sshd.over_ssh()),
        {**ask, "register": "wrong", "ignore_errors": True},
        {**ask, "register": "there", "vars": {"oncall_target": beside(server)}},
        {**ask, "register": "here", "vars": {"oncall_target": elsewhere, "name": "shop"}},
        asserted("wrong is failed", "'/nowhere' in wrong.msg", "there.answer == 'yes'", "here.answer == 'yes'"),
    )


def test_whose_file_it_is(tmp_path: Path, sshd: Sshd, server: Server) -> None:
    """A file of the controller where the target is reached from there, else one of the host."""
    server.sql("CREATE ROLE admin SUPERUSER LOGIN PASSWORD '%s'" % OTHER)
    client = {"service": "shop", "login": login(server)}
    away = by_network(server, login_user="admin", login_password=OTHER, clients=[client])
    secret = tmp_path / "secret"
    reset = {"role": "shop", "password": PASSWORD, "password_file": str(secret)}
    lost = {**reset, "env_file": "/nowhere/.env", "env_keys": ["PW"]}
    for target, host, place in (
        (away, refusing_ssh(), "the controller"),
        (beside(server), sshd.over_ssh(become=True), "the host %s" % platform.node()),
    ):
        holds(
            Controller(tmp_path, {"db": target}, host),
            {"oncall.postgresql.credentials": reset, "register": "done"},
            {"oncall.postgresql.credentials": lost, "register": "lost", "ignore_errors": True},
            asserted("done.files == ['%s']" % secret, "done.files_on == '%s'" % place),
            asserted("lost.msg == 'On %s: /nowhere/.env does not exist. Correct the path.'" % place),
        )
        assert secret.read_text() == PASSWORD + "\n"
        secret.unlink()
