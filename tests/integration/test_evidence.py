# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept before anything is changed, of servers on this host: up, without a slot, down, over the network only."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.evidence import redact
from ansible_collections.oncall.postgresql.plugins.modules.evidence_info import WORK
from ansible_collections.oncall.postgresql.plugins.modules.triage import WORK as TRIAGE
from tests.embedded import Server
from tests.integration.results import held
from tests.integration.servers import until

PASSWORD = "secret-of-the-Evidence"
SETTINGS = {"max_connections": 8, "log_statement": "all", "max_prepared_transactions": 1}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(16, settings=SETTINGS) as found:
        found.hba("local all all trust", "host all all 127.0.0.1/32 trust")
        found.sql("CREATE TABLE items (id int, name text)")
        yield found


def run(server: Server, **options: Any) -> dict[str, Any]:
    asked = {"runtime": "pg_ctl", "data_directory": str(server.data), "bin_directory": str(server.bin), **options}
    if asked["runtime"] == "pg_ctl":
        asked["log_file"] = str(server.log_file)
    shop = {"service": "shop", "login": {"host": server.host, "user": "shop", "password": PASSWORD}}
    checked = ArgumentSpecValidator(**WORK.spec.arguments()).validate({"clients": [shop], **asked})
    assert not checked.error_messages, checked.error_messages
    with held("evidence_info") as fitting:
        result: dict[str, Any] = fitting(WORK.do(checked.validated_parameters, False))
    assert PASSWORD not in json.dumps(result)
    return result


def connect(server: Server) -> Any:
    return psycopg2.connect(host=server.host, port=server.port, user="postgres", dbname="postgres")


def test_of_a_server_that_runs(server: Server) -> None:
    with contextlib.closing(connect(server)) as holder, contextlib.closing(connect(server)) as waiter:
        root = holder.info.backend_pid
        holder.cursor().execute("LOCK TABLE items; SELECT '%s'" % PASSWORD)
        waiter.autocommit = True
        pid, cursor = waiter.info.backend_pid, waiter.cursor()
        cursor.execute("SET lock_timeout = '1ms'")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            cursor.execute("SELECT * FROM items WHERE name = '%s'" % PASSWORD)
        found = run(server, login_user="postgres")
    evidence = found["evidence"]
    mine = {each["pid"]: each for each in evidence["sessions"]}
    assert mine[pid]["query"] == "SELECT * FROM items WHERE name = ?" and mine[pid]["state"] == "idle"
    assert {"pid": root, "mode": "AccessExclusiveLock", "relation": "public.items"}.items() <= next(
        each for each in evidence["locks"] if each["relation"] == "public.items"
    ).items()
    assert {"name": "max_connections", "value": "8"}.items() <= next(
        each for each in evidence["settings"] if each["name"] == "max_connections"
    ).items()
    (log,) = evidence["logs"]
    assert log["run"] == "file" and "SELECT * FROM items WHERE name = ?" in log["text"]
    assert found["not_covered"] == ["log of shop: it is no container that can be seen from here"]


def test_what_a_login_without_rights_does_not_see_is_said(server: Server) -> None:
    server.sql("CREATE ROLE weak LOGIN")
    found = run(server, login_user="weak")
    said = ["sessions: of other roles only", "settings: without those that", "log of shop: it is no container"]
    assert [each[: len(one)] for each, one in zip(found["not_covered"], said, strict=True)] == said


def test_a_command_that_archives_keeps_its_password() -> None:
    command = "A_KEY=%s no-such-program -p %s %%p" % (PASSWORD, PASSWORD)
    others = {"ssl_passphrase_command": "echo %s" % PASSWORD, "restore_command": "gpg --passphrase %s" % PASSWORD}
    with Server(16, settings={"archive_mode": "on", "archive_command": command, **others}) as server:
        server.sql("CREATE TABLE t (); SELECT pg_switch_wal()")
        until(lambda: "archive command was" in server.log)
        found = run(server, login_user="postgres")  # holds it to that
        assert {"name": "archive_command", "value": "A_KEY=******** no-such-program -p ******** %p"}.items() <= next(
            each for each in found["evidence"]["settings"] if each["name"] == "archive_command"
        ).items()
        assert "archive command failed with exit code 127" in found["evidence"]["logs"][0]["text"]
        asked = {"runtime": "pg_ctl", "data_directory": str(server.data), "bin_directory": str(server.bin)}
        checked = ArgumentSpecValidator(**TRIAGE.spec.arguments()).validate({**asked, "log_file": str(server.log_file)})
        seen = json.dumps(TRIAGE.do(checked.validated_parameters, False))
        assert "archive command failed" in seen and PASSWORD not in seen


def test_without_a_slot_the_rest_is_there(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _unused in range(8):
            stack.enter_context(contextlib.closing(connect(server)))
        found = run(server, login_user="postgres")
    assert found["evidence"]["sessions"] is None and "database system is ready" in found["evidence"]["logs"][0]["text"]
    assert "sessions, locks, settings: " in found["not_covered"][0] and "too many clients" in found["not_covered"][0]


def test_over_the_network_only(server: Server) -> None:
    named = {"login_host": server.host, "login_port": server.port, "login_user": "postgres"}
    found = run(server, runtime="remote", data_directory=None, bin_directory=None, **named)
    assert len(found["evidence"]["sessions"]) >= 5 and found["evidence"]["logs"] == []
    assert found["not_covered"][0] == "log: runtime=remote sees the server over the network only"


def test_of_a_server_that_is_down(server: Server) -> None:
    server.stop("fast")
    found = run(server, login_user="postgres")
    assert found["evidence"]["locks"] is None and "database system is shut down" in found["evidence"]["logs"][0]["text"]
    assert found["target"]["version"] is None and found["not_covered"][0].startswith("sessions, locks, settings: ")


SQL = "2026-11-29 03:20:11.123 UTC [42] shop@shop "


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("LOG:  statement: SELECT 1 WHERE t = 'x'\n\tOR u = 4711", "LOG:  statement: SELECT ? WHERE t = ?\n\tOR u = ?"),
        ("LOG:  Anweisung: INSERT INTO t VALUES ($q$x$q$)", "LOG:  Anweisung: INSERT INTO t VALUES (?)"),
        ("LOG:  checkpoint complete: wrote 3 buffers (0.0%)", "LOG:  checkpoint complete: wrote 3 buffers (0.0%)"),
        ("DETAIL:  parameters: $1 = 'x', $2 = '4711'", "DETAIL:  parameters: $1 = ?, $2 = ?"),
        ('ERROR:  duplicate key value violates unique constraint "t"', None),
        ("DETAIL:  The failed archive command was: scp -p x pg_wal/00A0", "DETAIL:  ********"),
        ('LOG:  command "echo x" failed', 'LOG:  command "********" failed'),
        (
            "WARNING:  archive_cleanup_command \"a 'x' -p x\": child process exited with exit code 1",
            'WARNING:  archive_cleanup_command "********": child process exited with exit code 1',
        ),
        ("DETAIL:  Key (token)=(x) already exists.", "DETAIL:  ********"),
        ("STATEMENT:  SELECT 'it''s x'", "STATEMENT:  SELECT ?"),
        (
            'ERROR:  invalid input syntax for type integer: "x"',
            'ERROR:  invalid input syntax for type integer: "********"',
        ),
    ],
)
def test_a_line_of_the_server(line: str, shown: str | None) -> None:
    before = SQL + ("LOG:  duration: 1 ms" if "parameters" in line else "ERROR:  duplicate key") + "\n"
    assert redact.log(before + SQL + line, ()).split("\n", 1)[1] == SQL + (line if shown is None else shown)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("GET /pay?token=abc&page=2", "GET /pay?token=********&page=2"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ********"),
        ("can't connect to port 5432", "can't connect to port 5432"),
        ("KeyError: 'abc'", "KeyError: '********'"),
        ("the key is hunter2-7.", "the key is ********."),
        ("2026-11-29T03:20:11.123456789Z took 3 s", "2026-11-29T03:20:11.123456789Z took 3 s"),
    ],
)
def test_a_line_of_a_client(line: str, shown: str) -> None:
    assert redact.log(line, ["hunter2-7"]) == shown


def test_a_secret_that_the_engine_has_cut_in_two() -> None:
    stamp = "2026-11-29T03:20:11.123456789Z "
    assert redact.log("%sa hun%ster2-7 b\n" % (stamp, stamp), ["hunter2-7"]) == stamp + "a ******** b"


def test_what_the_engine_says_of_a_container() -> None:
    found: dict[str, Any] = {
        "Args": ["--api-token", "abc", "-c", "app.key=def", "-c", "work_mem=4MB", "PGPASSWORD=ghi"],
        "Config": {"Env": ["A=jkl", "PGDATA=/data"], "Labels": {"com.docker.compose.project": "shop", "x": "mno"}},
        "HostConfig": {"LogConfig": {"Type": "splunk", "Config": {"splunk-token": "pqr", "max-size": "1m"}}},
        "State": {"Health": {"Log": [{"Output": "SELECT 'stu'"}]}},
    }
    shown = redact.inspected(found, ())
    assert shown["Args"] == [
        "--api-token",
        "********",
        "-c",
        "app.key=********",
        "-c",
        "work_mem=4MB",
        "PGPASSWORD=********",
    ]
    assert shown["Config"]["Env"] == ["A=********", "PGDATA=/data"]
    assert shown["Config"]["Labels"] == {"com.docker.compose.project": "shop", "x": "********"}
    assert shown["HostConfig"]["LogConfig"]["Config"] == {"splunk-token": "********", "max-size": "1m"}
    assert shown["State"]["Health"]["Log"][0]["Output"] == "SELECT ?"
    environment = {
        "API_TOKEN": "a-token",
        "DB": "amqp://u:a-pass@h",
        "SECRET_FILE": "/run/x",
        "DATABASE_URL": "postgres://u:p%40x@h/d",
    }
    assert set(redact.secrets_of(environment)) - {""} == {"a-token", "a-pass", "p%40x", "p@x"}
