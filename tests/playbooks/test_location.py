# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A managed server, of which there is nothing but the port: checked and fixed from the controller.

Its inventory host refuses SSH. Each test runs what the verdict prints, exactly as it prints it.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.embedded import Server
from tests.integration.servers import until
from tests.sshd import refusing_ssh

from .test_real_servers import PASSWORD, Controller, connect, login, remote, verdict

GID = "it's {{ 1 + 1 }}"


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with Server(settings={"max_connections": 20, "max_prepared_transactions": 5}) as server:
        server.sql("CREATE ROLE shop LOGIN PASSWORD '%s'; CREATE DATABASE shop OWNER shop" % PASSWORD)
        server.sql("CREATE ROLE admin LOGIN SUPERUSER PASSWORD '%s'" % PASSWORD)
        server.sql("CREATE TABLE items (id int); GRANT ALL ON items TO shop", database="shop")
        yield server


@pytest.fixture
def controller(tmp_path: Path, db: Server) -> Iterator[Controller]:
    yield Controller(tmp_path, {"db": _target(db)}, refusing_ssh())
    db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'")


def _target(db: Server, **more: Any) -> dict[str, Any]:
    client = {"service": "shop", "application_name": "shop", "login": login(db)}
    return remote(db, login_user="admin", clients=[client], blocked_seconds=1, **more)


def run(controller: Controller, *words: str) -> str:
    code, out = controller.run(*words, "-e", "oncall_report_dir=reports")
    assert code == 0 and PASSWORD not in out, out
    assert controller.result("db")["verdict"]["code"] == "healthy", out
    return out


def carry_out(controller: Controller, found: dict[str, Any], *more: str) -> str:
    return run(controller, *shlex.split(found["remedy"]["command"]), *more)


def test_reload(controller: Controller, db: Server) -> None:
    db.conf(work_mem="5MB")
    out = run(controller, "ansible-playbook", "oncall.postgresql.reload")
    assert "Done: reload" in " ".join(out.split())
    assert db.sql("SHOW work_mem") == "5MB"
    again = run(controller, "ansible-playbook", "oncall.postgresql.reload")
    assert "reload: nothing had to be changed" in " ".join(again.split())


@pytest.mark.parametrize("how", ["as printed", "respond"])
def test_pool_reset(controller: Controller, db: Server, how: str) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(connect(db))) for _unused in range(17)]
        found = verdict(controller)
        assert (found["code"], found["cause"]) == ("pool_exhausted", "idle_connections")
        idle = ("-e", "oncall_idle_minutes=0.001")
        if how == "respond":
            run(
                controller,
                "ansible-playbook",
                "oncall.postgresql.respond",
                "-e",
                "oncall_auto_remedies=pool_reset",
                *idle,
            )
        else:
            carry_out(controller, found, *idle)
        assert int(db.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'")) == 0
        with pytest.raises(psycopg2.Error):
            clients[0].cursor().execute("SELECT 1")


def test_the_target_s_own_threshold_is_that_of_pool_reset(tmp_path: Path, db: Server) -> None:
    controller = Controller(tmp_path, {"db": _target(db, idle_minutes=0.001)}, refusing_ssh())
    with contextlib.closing(connect(db)):
        until(lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop' AND state = 'idle'") == "1")
        run(controller, "ansible-playbook", "oncall.postgresql.pool_reset")
        assert db.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'") == "0"


def test_cancel_queries(controller: Controller, db: Server) -> None:
    with contextlib.closing(connect(db)) as root:
        root.cursor().execute("LOCK TABLE items")
        with _waiting(db):
            found = verdict(controller)
            assert found["cause"] == "blocked_by_lock"
            assert found["remedy"]["extra_vars"] == {"oncall_pids": [root.get_backend_pid()]}
            carry_out(controller, found)


def test_rollback_prepared(controller: Controller, db: Server) -> None:
    db.sql("BEGIN; LOCK TABLE items; PREPARE TRANSACTION '%s'" % GID.replace("'", "''"), database="shop")
    with _waiting(db):
        found = verdict(controller)
        assert found["remedy"]["extra_vars"] == {"oncall_gid": GID}
        carry_out(controller, found)
    assert db.sql("SELECT count(*) FROM pg_prepared_xacts") == "0"


def test_credentials_reset(controller: Controller, db: Server) -> None:
    db.sql("ALTER ROLE shop PASSWORD 'changed on one side only'")
    found = verdict(controller)
    assert found["cause"] == "wrong_password"
    carry_out(controller, found)
    connect(db).close()


@pytest.mark.parametrize("verb", ["graceful_restart", "start", "network_repair"])
def test_what_needs_the_host_is_refused_and_reported(controller: Controller, db: Server, verb: str) -> None:
    before = db.sql("SELECT pg_postmaster_start_time()")
    code, out = controller.run("ansible-playbook", "oncall.postgresql.%s" % verb)
    out = " ".join(out.split())
    if verb == "start":
        assert code == 0 and "nothing had to be changed" in out, out  # it runs
    else:
        assert code == 2 and re.search(r"nothing: \w+ refused: ", out), out
    assert "UNREACHABLE" not in out
    assert db.sql("SELECT pg_postmaster_start_time()") == before


def test_a_host_that_cannot_be_reached_gets_a_report_too(tmp_path: Path, db: Server) -> None:
    target = {"runtime": "pg_ctl", "data_directory": str(db.data), "bin_directory": str(db.bin)}
    controller = Controller(tmp_path, {"db": target, "afar": _target(db)}, refusing_ssh())
    code, out = controller.run("ansible-playbook", "oncall.postgresql.reload", "-e", "oncall_report_dir=reports")
    assert code in (4, 6), out
    assert json.loads((controller.reports / "db.json").read_text())["error"]["kind"] == "unreachable"
    assert controller.result("afar")["verdict"]["code"] == "healthy"


@contextlib.contextmanager
def _waiting(db: Server) -> Iterator[None]:
    """A session that has been waiting for the table for a second."""
    process = db.background("SELECT * FROM items;", database="shop")
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND waitstart < now() - interval '1.1 s'"
    try:
        until(_equals(db, waits, "1"))
        yield
    finally:
        process.kill()
        process.communicate()


def _equals(db: Server, query: str, value: str) -> Callable[[], bool]:
    return lambda: db.sql(query) == value


def test_a_printed_command_needs_nothing_else(tmp_path: Path, db: Server) -> None:
    """It names the inventory, the hosts' group and the files of variables that triage was given."""
    controller = Controller(tmp_path, {"db": _target(db, idle_minutes=0.001)}, refusing_ssh())
    (controller.directory / "vault pass").write_text("not-a-secret")
    (controller.directory / "more.yml").write_text("oncall_report_mode: '0640'")
    inventory = json.loads((controller.directory / "inventory.json").read_text())
    (controller.directory / "all.yml").write_text(json.dumps({"databases": inventory["postgresql"]}))
    given = ("-i", "all.yml", "-e", "oncall_hosts=databases", "--vault-password-file", "vault pass", "-e", "@more.yml")
    record = ("-e", json.dumps({"oncall_incident_dir": "on call"}))
    with contextlib.ExitStack() as stack:
        for _unused in range(17):
            stack.enter_context(contextlib.closing(connect(db)))
        code, out = controller.triage(*given, *record)
        assert code == 0, out
        command = controller.result("db")["verdict"]["remedy"]["command"]
        assert "  Fix:  %s\n" % command in out, out
        code, out = controller.run(*shlex.split(command))
        assert code == 0 and "Done:   pool_reset" in out, out
    assert db.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'") == "0"
    (page,) = (controller.directory / "on call").glob("*.md")  # of the same incident
    assert "pool\\_reset | done" in page.read_text()
