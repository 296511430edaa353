# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""respond.yml on real servers without Docker: it does what it is allowed to, once, and says the rest."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import Server

from .test_real_servers import Controller, beside


@pytest.fixture(scope="module")
def full() -> Iterator[Server]:
    """The role of its client has three connections, and they are all taken, idle."""
    with Server(16) as server:
        server.hba("local all all trust", "host all all 127.0.0.1/32 trust")
        server.sql("CREATE ROLE shop LOGIN CONNECTION LIMIT 3; CREATE ROLE other LOGIN")
        yield server


@pytest.fixture
def idle(full: Server) -> Iterator[Server]:
    processes = [full.background("SELECT 1", user=user) for user in ("shop", "shop", "shop", "other")]
    _until(lambda: full.sql("SELECT count(*) FROM pg_stat_activity WHERE usename IN ('shop', 'other')") == "4")
    yield full
    for process in processes:
        process.kill()
        process.wait()
    _until(lambda: full.sql("SELECT count(*) FROM pg_stat_activity WHERE usename IN ('shop', 'other')") == "0")


def respond(controller: Controller, *arguments: str, allow: str = "") -> tuple[int, str]:
    words = ["-e", "oncall_report_dir=reports", *arguments]
    if allow:
        words += ["-e", "oncall_auto_remedies=%s" % allow]
    return controller.run("ansible-playbook", "oncall.postgresql.respond", *words)


def codes(controller: Controller, *hosts: str) -> list[str]:
    return [controller.result(host)["verdict"]["code"] for host in hosts]


@pytest.mark.parametrize("words", [(), ("--check",), ("-e", "oncall_plan=true")], ids=["default", "check", "plan"])
def test_it_changes_nothing_by_default_or_as_a_plan(tmp_path: Path, words: tuple[str, ...]) -> None:
    with Server(16) as server:
        server.stop("fast")
        controller = Controller(tmp_path, {"db": beside(server)})
        code, out = respond(controller, *words, allow="start" if words else "")
        assert code == 0, out
        assert not (server.data / "postmaster.pid").exists()
        assert codes(controller, "db") == ["server_down"]
    said = "nothing: this is the plan of start" if words else "nothing: start is only recommended"
    assert said in " ".join(out.split()), out
    assert "Fix:  ansible-playbook oncall.postgresql.start -i inventory.json --limit db" in out


def test_what_is_allowed_is_mended_and_the_rest_is_left(tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(16)) for name in ("one", "two", "damaged", "well")}
        for name in ("one", "two", "damaged"):
            servers[name].stop("fast")
        control = servers["damaged"].data / "global" / "pg_control"
        control.write_bytes(b"\xff" * control.stat().st_size)
        before = _tree(servers["damaged"].data)
        controller = Controller(tmp_path, {name: beside(server, clients=[]) for name, server in servers.items()})
        code, out = respond(controller, "-e", "oncall_fail_on=critical", allow="oncall.postgresql.start")
        assert code == 2, out  # the damaged one
        assert codes(controller, "one", "two", "damaged", "well") == ["healthy", "healthy", "server_down", "healthy"]
        assert _tree(servers["damaged"].data) == before
        for name in ("one", "two"):
            assert servers[name].sql("SELECT 1") == "1"
    words = " ".join(out.split())
    assert words.count("Before: ✗ server_down / stopped") == 2
    assert "nothing: data corruption is suspected, so nothing may be touched. Tell the emergency contacts now." in words
    assert "was server_down / stopped" in words


def test_one_by_one_where_clients_may_be_cut_off(tmp_path: Path, idle: Server) -> None:
    with Server(16) as other:
        other.hba("local all all trust", "host all all 127.0.0.1/32 trust")
        other.sql("CREATE ROLE shop LOGIN CONNECTION LIMIT 3")
        waiting = [other.background("SELECT 1", user="shop") for _unused in range(3)]
        _until(lambda: other.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'") == "3")
        controller = Controller(tmp_path, {"a": _shop(idle), "b": _shop(other)})
        code, out = respond(controller, "-e", "oncall_idle_minutes=0.001", allow="pool_reset")
        for process in waiting:
            process.kill()
            process.wait()
    assert code == 0, out
    assert idle.sql("SELECT string_agg(usename, ',') FROM pg_stat_activity WHERE usename <> 'postgres'") == "other", out
    assert codes(controller, "a", "b") == ["healthy", "healthy"]
    assert len(re.findall(r"^PLAY \[\(2/4\)", out, re.M)) == 2, out


def test_what_stays_wrong_is_told_and_not_tried_again(tmp_path: Path, idle: Server) -> None:
    """More sessions than the operator's cap: the procedure refuses, and that is that."""
    controller = Controller(tmp_path, {"a": _shop(idle)})
    limits = ["-e", "oncall_idle_minutes=0.001", "-e", "oncall_max_sessions=1"]
    code, out = respond(controller, "-e", "oncall_fail_on=critical", *limits, allow="pool_reset")
    words = " ".join(out.split())
    assert code == 2, out
    assert "Done: nothing: pool_reset refused: " in words and "would end 3 sessions" in words, words
    assert "Still wrong; nothing else is tried. Tell the DBA now." in words
    assert len(re.findall(r"^TASK .*Carry out pool_reset", out, re.M)) == 1
    assert idle.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'") == "3"


def test_a_refusal_is_not_worked_around_and_names_are_no_templates(tmp_path: Path) -> None:
    gid = "{{ 7*7 }} {% if {# '49"
    with Server(16) as server:
        server.conf(max_prepared_transactions=5)
        server.stop("fast")
        server.start()
        server.sql("CREATE TABLE items (id int); INSERT INTO items VALUES (1); GRANT ALL ON items TO PUBLIC")
        quoted = gid.replace("'", "''")
        server.sql("BEGIN; UPDATE items SET id = 2; PREPARE TRANSACTION '%s'" % quoted)
        waiting = server.background("UPDATE items SET id = 3;")
        try:
            _until(lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1")
            time.sleep(1)
            controller = Controller(tmp_path, {"a": beside(server, blocked_seconds=0.5, clients=[])})
            _unused, out = respond(controller, "-e", "oncall_min_age_seconds=3600", allow="rollback_prepared")
            assert "nothing: rollback_prepared refused: " in " ".join(out.split()), out
            assert server.sql("SELECT gid FROM pg_prepared_xacts") == gid
            _unused, out = respond(controller, allow="rollback_prepared")
            assert codes(controller, "a") == ["healthy"], out
            assert server.sql("SELECT count(*) FROM pg_prepared_xacts") == "0"
        finally:
            waiting.kill()
            waiting.wait()


def test_a_wrong_list_is_refused_before_anything(tmp_path: Path, full: Server) -> None:
    code, out = respond(Controller(tmp_path, {"db": beside(full)}), allow="restart_everything")
    assert code == 2
    assert "oncall_auto_remedies contains 'restart_everything'. Give any of: " in out
    assert "PLAY [(4/4)" not in out


def _shop(server: Server) -> dict[str, Any]:
    login = {"host": server.host, "port": server.port, "user": "shop", "password": "x", "database": "postgres"}
    return beside(server, clients=[{"service": "shop", "login": login}])


def _until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


def _tree(directory: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mode, path.stat().st_mtime_ns) for path in directory.rglob("*")}
