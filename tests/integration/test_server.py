# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on this host stopped, started, restarted and reloaded; and real reasons not to."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    RefusedError,
    TargetError,
    UnprovenError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.target import open_target
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime import look
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.pg_ctl.runtime import PgCtlRuntime
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.remote import RemoteRuntime
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.drive.remote import RemoteDrive
from ansible_collections.oncall.postgresql.plugins.modules import configuration as configuration_module
from ansible_collections.oncall.postgresql.plugins.modules import server as server_module
from ansible_collections.oncall.postgresql.plugins.modules import settings as settings_module
from ansible_collections.oncall.postgresql.plugins.modules import triage as triage_module
from tests.embedded import Server, free_port
from tests.integration.results import held
from tests.lab.images import image

from .containers import docker
from .test_pg_ctl import gone, wait_until_gone


@pytest.fixture(scope="module", autouse=True)
def heir() -> Iterator[None]:
    """Orphans become children of this process: a killed postmaster that nobody buries still counts as one that lives,
    and the first process of a container may bury nobody."""
    prctl, child_subreaper = ctypes.CDLL(None).prctl, 36
    prctl(child_subreaper, 1, 0, 0, 0)
    yield
    prctl(child_subreaper, 0, 0, 0, 0)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


def options(server: Server, **given: Any) -> dict[str, Any]:
    return {
        "runtime": "pg_ctl",
        "data_directory": str(server.data),
        "login_user": "postgres",
        "start_timeout_seconds": 20,
        "stop_timeout_seconds": 20,
        **given,
    }


def _change(module: Any, given: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """What the module does, its argument spec included."""
    checked = ArgumentSpecValidator(**module.WORK.spec.arguments()).validate(given)
    assert not checked.error_messages
    with held(module.__name__.rpartition(".")[2]) as fitting:
        return fitting(module.WORK.do(checked.validated_parameters, check_mode))


def to(state: str, server: Server, check_mode: bool = False, **given: Any) -> dict[str, Any]:
    return _change(server_module, options(server, state=state, **given), check_mode)


def reload(server: Server, check_mode: bool = False, **given: Any) -> dict[str, Any]:
    known = options(server, **given)
    del known["start_timeout_seconds"], known["stop_timeout_seconds"]
    return _change(configuration_module, known, check_mode)


def ended(server: Server) -> bool:
    return not (server.data / "postmaster.pid").exists()


def until(what: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextlib.contextmanager
def deaf(server: Server) -> Iterator[int]:
    """A session that does not hear that it is to end, as one that hangs in the kernel; woken at the end."""
    client = server.background("SELECT pg_backend_pid();")
    assert client.stdout is not None
    pid = int(client.stdout.readline())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        client.kill()
        client.communicate()


# --- restart ---------------------------------------------------------------------------------------------------------


def test_a_restart_is_proved_and_applies_what_waited(server: Server) -> None:
    server.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    server.conf(max_connections=57)
    server.reload()
    until(lambda: server.sql("SELECT pending_restart FROM pg_settings WHERE name = 'max_connections'") == "t")
    first, started = server.pid, server.sql("SELECT pg_postmaster_start_time()")
    planned = to("restarted", server, check_mode=True)
    assert server.pid == first
    done = to("restarted", server)
    assert (done["changed"], done["diff"]) == (True, planned["diff"])
    assert done["diff"]["before"]["pending_restart"] == ["max_connections"]
    assert done["applied"] == planned["applied"] == ["max_connections"]
    assert (done["clean_shutdown"], done["state"], done["pending_restart"]) == (True, "running", [])
    assert done["downtime_seconds"] > 0
    assert gone(first) and server.pid != first
    assert server.sql("SELECT pg_postmaster_start_time()") != started
    assert server.sql("SHOW max_connections") == "57"
    assert server.sql("SELECT answer FROM kept") == "42"
    assert "received fast shutdown request" in server.log
    assert server.log.count("database system is ready to accept connections") == 2  # to the same file
    assert "checkpoint starting: immediate force wait" in server.log or "checkpoint starting: fast" in server.log


def test_the_arguments_of_the_last_start_are_kept(server: Server) -> None:
    server.stop()
    words = '-c work_mem=7MB -c "application_name=it\'s \\"it\\" \\$HOME"'
    server.run("pg_ctl", "start", "-D", server.data, "-l", server.log_file, "-w", "-o", words)
    name = server.sql("SELECT reset_val FROM pg_settings WHERE name = 'application_name'")
    before = server.sql("SHOW work_mem"), (server.data / "postmaster.opts").read_text().split('"')
    assert to("restarted", server)["clean_shutdown"] is True
    assert server.sql("SHOW work_mem") == before[0] == "7MB"
    assert (server.data / "postmaster.opts").read_text().count("work_mem=7MB") == 1
    assert server.sql("SELECT reset_val FROM pg_settings WHERE name = 'application_name'") == name


def test_nothing_is_touched_in_check_mode(server: Server) -> None:
    def everything() -> Any:
        lasting = "backend_type <> 'autovacuum worker' AND pid <> pg_backend_pid()"  # a worker comes and goes by itself
        sessions = server.sql("SELECT pid FROM pg_stat_activity WHERE %s ORDER BY pid" % lasting)
        control = server.run("pg_controldata", "-D", server.data).stdout
        names = sorted(path.name for path in server.data.iterdir())
        return server.pid, sessions, control, names, server.log

    before = everything()
    for state in ("restarted", "stopped"):
        assert to(state, server, check_mode=True)["changed"] is True
    assert everything() == before
    server.stop()
    before_start = server.run("pg_controldata", "-D", server.data).stdout, server.log
    assert to("started", server, check_mode=True)["changed"] is True
    assert to("restarted", server, check_mode=True)["steps"] == ["start", "wait_ready"]
    assert (server.run("pg_controldata", "-D", server.data).stdout, server.log) == before_start
    assert ended(server)


def test_stopped_and_started_are_idempotent(server: Server) -> None:
    assert to("started", server)["changed"] is False
    stopped = to("stopped", server)
    assert (stopped["changed"], stopped["state"], stopped["clean_shutdown"]) == (True, "stopped", True)
    assert stopped["steps"] == ["checkpoint", "stop"]
    assert ended(server)
    assert to("stopped", server)["changed"] is False
    started = to("started", server)
    assert (started["changed"], started["state"], started["downtime_seconds"]) == (True, "running", None)
    assert started["started_at"]
    assert server.sql("SELECT 1") == "1"
    assert to("stopped", server)["changed"] is True
    assert to("restarted", server)["steps"] == ["start", "wait_ready"]


# --- a stop that outlasts its time -----------------------------------------------------------------------------------


def test_a_held_shutdown_is_told_and_never_ended_by_force(server: Server) -> None:
    postmaster = server.pid
    with deaf(server) as session:
        with pytest.raises(UnprovenError, match=r"held by pid %d \(.*stopped by a signal" % session) as raised:
            to("restarted", server, stop_timeout_seconds=1.5)
        details = raised.value.details
        assert (details["state"], details["changed"]) == ("shutting_down", True)
        assert details["held_by"][0]["pid"] == session
        time.sleep(1)
        assert not gone(session) and not gone(postmaster)
        # again, while it is still held: the same answer, and nobody is hurt
        with pytest.raises(UnprovenError, match="held by pid %d" % session):
            to("restarted", server, stop_timeout_seconds=0.5)
        assert not gone(session) and not gone(postmaster)
    wait_until_gone(postmaster)
    assert "signal 9" not in server.log and "shut down" in server.run("pg_controldata", "-D", server.data).stdout
    assert to("restarted", server)["state"] == "running"


def test_a_second_run_waits_for_the_shutdown_of_the_first(server: Server) -> None:
    first = server.pid
    with deaf(server) as session:
        with pytest.raises(UnprovenError):
            to("restarted", server, stop_timeout_seconds=0.5)
        waker = threading.Timer(1.5, os.kill, (session, signal.SIGCONT))
        waker.start()
        done = to("restarted", server)
        waker.join()
    assert done["steps"] == ["stop", "start", "wait_ready"]
    assert (done["state"], done["clean_shutdown"]) == ("running", True)
    assert server.pid != first and server.sql("SELECT 1") == "1"


def module(server: Server, **given: Any) -> subprocess.Popen[str]:
    """The module's own process, as Ansible starts it on the target."""
    file = server.directory / "arguments.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": options(server, **given)}))
    name = "ansible_collections.oncall.postgresql.plugins.modules.server"
    return subprocess.Popen(
        [sys.executable, "-m", name, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_restart_still_starts_the_server(server: Server, number: signal.Signals) -> None:
    first = server.pid
    with deaf(server) as session:
        process = module(server, state="restarted")
        until(lambda: "received fast shutdown request" in server.log)
        process.send_signal(number)
        time.sleep(0.3)
        process.send_signal(number)
        assert process.poll() is None
        os.kill(session, signal.SIGCONT)
        process.communicate(timeout=30)
    assert process.returncode != 0
    until(lambda: server.log.count("ready to accept connections") == 2)
    assert server.pid != first and server.sql("SELECT 1") == "1"


def test_a_server_killed_while_it_stops_is_started_again_and_told(server: Server) -> None:
    server.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    first = server.pid
    with deaf(server) as session:

        def accident() -> None:
            until(lambda: "received fast shutdown request" in server.log)
            os.kill(first, signal.SIGKILL)
            os.waitpid(first, 0)
            os.kill(session, signal.SIGCONT)

        killer = threading.Thread(target=accident)
        killer.start()
        with pytest.raises(UnprovenError, match="shutdown was not clean") as raised:
            to("restarted", server)
        killer.join()
    assert (raised.value.details["state"], raised.value.details["clean_shutdown"]) == ("running", False)
    assert server.sql("SELECT answer FROM kept") == "42"


# --- a server that does not start ------------------------------------------------------------------------------------


def test_a_server_that_does_not_start_again_says_why(server: Server) -> None:
    """What was probed is changed while the server stops: the log's own sentence, and what to correct."""
    server.sql("ALTER SYSTEM SET work_mem = '5MB'")
    server.sql("ALTER SYSTEM SET listen_addresses = 'localhost'")
    file = server.data / "postgresql.auto.conf"
    with deaf(server) as session:

        def accident() -> None:
            until(lambda: "received fast shutdown request" in server.log)
            file.write_text(file.read_text().replace("localhost", "203.0.113.7"))
            os.kill(session, signal.SIGCONT)

        other = threading.Thread(target=accident)
        other.start()
        with pytest.raises(UnprovenError, match="does not start again: FATAL: could not create any TCP/IP") as raised:
            to("restarted", server)
        other.join()
    details = raised.value.details
    assert (details["state"], details["clean_shutdown"], details["changed"]) == ("stopped", True, True)
    assert any("TCP/IP sockets" in line for line in details["evidence"])
    hint = "It refuses listen_addresses (waited for this restart). Correct listen_addresses in %s line " % file
    assert raised.value.hint.startswith(hint)
    assert "then start: ansible-playbook oncall.postgresql.start --limit " in raised.value.hint
    looking = {"runtime": "pg_ctl", "data_directory": str(server.data), "log_file": str(server.log_file)}
    reset = '-e \'{"oncall_reset_settings": ["listen_addresses"]}\''
    assert raised.value.hint.count("oncall.postgresql.start") == 2 and raised.value.hint.endswith(reset)
    found = _change(triage_module, looking, False)["verdict"]
    assert (found["cause"], found["remedy"]["extra_vars"]) == (
        "invalid_configuration",
        {"oncall_reset_settings": ["listen_addresses"]},
    )
    before = file.read_text(), file.stat()
    foreseen = to("started", server, True, reset_settings=["listen_addresses"])
    assert (file.read_text(), file.stat()) == before and "alter_settings" in foreseen["steps"]
    done = to("started", server, reset_settings=["listen_addresses"])
    assert done["state"] == "running" and done["diff"] == foreseen["diff"]
    assert done["reset_settings"] == [{"name": "listen_addresses", "value": "'203.0.113.7'"}]
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before[1].st_mode, before[1].st_uid, before[1].st_gid)
    assert file.read_text() == before[0].replace("listen_addresses = '203.0.113.7'\n", "")
    assert server.sql("SELECT sourcefile FROM pg_settings WHERE name = 'work_mem'") == str(file)


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("\tlisten_addresses\t= '203.0.113.7'\n", ["'203.0.113.7'"]),
        ("listen_addresses = '203.0.113.7'\nlisten_addresses = '203.0.113.8'\n", ["'203.0.113.7'", "'203.0.113.8'"]),
        ("listen_addresses '203.0.113.7'\n", ["'203.0.113.7'"]),
    ],
    ids=["tabs", "twice", "no equal sign"],
)
def test_a_row_that_a_hand_wrote_is_reset_by_the_command_that_triage_prints(
    server: Server, row: str, values: list[str]
) -> None:
    server.stop()
    file = server.data / "postgresql.auto.conf"
    before = file.read_text()
    file.write_text(before + row)
    with pytest.raises(RuntimeError, match="could not create any TCP/IP sockets"):
        server.start()
    looking = {"runtime": "pg_ctl", "data_directory": str(server.data), "log_file": str(server.log_file)}
    remedy = _change(triage_module, looking, False)["verdict"]["remedy"]
    assert remedy["extra_vars"] == {"oncall_reset_settings": ["listen_addresses"]}
    elsewhere = server.directory / "elsewhere.conf"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    done = to("started", server, reset_settings=["listen_addresses"])
    assert [each["value"] for each in done["reset_settings"]] == values and file.read_text() == before
    assert not file.is_symlink() and elsewhere.read_text() == before + row, "as ALTER SYSTEM does it"


def test_a_server_that_does_not_start_with_new_values_gets_the_former_ones_back(server: Server) -> None:
    server.sql("ALTER SYSTEM SET shared_buffers = '24MB'; ALTER SYSTEM SET log_line_prefix = 'it''s \\ %m '")
    server.reload()
    file = server.data / "postgresql.auto.conf"
    asked = {**options(server), "settings": {"shared_buffers": "500GB", "work_mem": "12MB", "log_line_prefix": "%m "}}
    del asked["start_timeout_seconds"], asked["stop_timeout_seconds"]
    undo = _change(settings_module, asked, False)["undo"]
    with pytest.raises(RefusedError, match="this one is running"):
        to("started", server, settings=undo)
    server.stop()
    with pytest.raises(RuntimeError, match="could not map anonymous shared memory"):
        server.start()
    before = file.read_text(), file.stat()
    foreseen = to("started", server, True, settings=undo)
    assert (file.read_text(), file.stat()) == before
    done = to("started", server, settings=undo)
    assert (done["state"], done["diff"], done["undo"]) == ("running", foreseen["diff"], foreseen["undo"])
    assert done["undo"] == asked["settings"] and done["steps"][0] == "alter_settings"
    assert {name: server.sql("SHOW " + name) for name in asked["settings"]} == {
        "shared_buffers": "24MB",
        "work_mem": "4MB",
        "log_line_prefix": "it's \\ %m ",
    }
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before[1].st_mode, before[1].st_uid, before[1].st_gid)
    server.sql("ALTER SYSTEM SET shared_buffers = '32MB'")  # the server goes on with the file
    assert "shared_buffers = '32MB'" in file.read_text()


def test_values_that_it_does_not_take_either_stay_and_can_be_undone(server: Server) -> None:
    server.sql("ALTER SYSTEM SET work_mem = '8MB'")
    server.stop()
    with pytest.raises(UnprovenError, match=r"does not start: .*shared memory") as raised:
        to("started", server, settings={"shared_buffers": "500GB", "work_mem": "16MB"})
    undo = raised.value.details["undo"]
    assert (
        undo == {"shared_buffers": None, "work_mem": "8MB"} and raised.value.details["cause"] == "invalid_configuration"
    )
    assert to("started", server, settings=undo)["state"] == "running"
    assert server.sql("SHOW work_mem") == "8MB" and server.sql("SHOW shared_buffers") == "16MB"


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (lambda server: server.conf(work_mem="lots"), "rejects its configuration.*work_mem"),
        (lambda server: server.data.chmod(0o777), "0777, must be 0700"),
        (lambda server: (server.data / "global" / "pg_control").write_bytes(b"\0" * 8192), "its data is damaged"),
    ],
    ids=["setting", "mode", "damage"],
)
def test_what_is_wrong_with_a_stopped_server_is_told_and_nothing_done(
    server: Server, fault: Callable[[Server], Any], text: str
) -> None:
    server.stop()
    fault(server)
    log = server.log
    for state in ("started", "restarted"):
        with pytest.raises(RefusedError, match=text):
            to(state, server)
    assert server.log == log and ended(server)


def test_a_killed_server_is_started_and_has_lost_nothing(server: Server) -> None:
    server.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    first = server.pid
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert to("started", server)["state"] == "running"
    assert server.sql("SELECT answer FROM kept") == "42"


def test_a_frozen_server_is_left_alone(server: Server) -> None:
    first = server.pid
    server.signal(signal.SIGSTOP)
    try:
        for state in ("started", "stopped", "restarted"):
            with pytest.raises(RefusedError, match="kill -CONT"):
                to(state, server, deadline_seconds=4)
    finally:
        server.signal(signal.SIGCONT)
    assert server.pid == first


# --- what is examined before -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (lambda server: server.conf(work_mem="lots"), r"postgresql\.conf line \d+: work_mem"),
        (lambda server: server._write_hba(["host all all nowhere/77 md5"]), r"pg_hba\.conf line 2: "),
        (lambda server: server.conf(shared_preload_libraries="plpgsql, nix"), "names nix, but"),
        (lambda server: server.data.chmod(0o777), "would not start again.*0777"),
    ],
    ids=["setting", "pg_hba.conf", "library", "mode"],
)
def test_a_running_server_that_would_not_come_back_is_not_stopped(
    server: Server, fault: Callable[[Server], Any], text: str
) -> None:
    first = server.pid
    fault(server)
    for state in ("restarted", "stopped"):
        for check_mode in (True, False):
            with pytest.raises(RefusedError, match=text):
                to(state, server, check_mode=check_mode)
    assert server.pid == first and "shutdown request" not in server.log
    server.data.chmod(0o700)


def test_a_long_transaction_is_not_lost_unless_it_may_be(server: Server) -> None:
    client = server.background("BEGIN; SELECT 1;")
    assert client.stdout is not None and client.stdout.readline() == "1\n"
    time.sleep(1.1)
    try:
        with pytest.raises(RefusedError, match=r"1 long transaction would be lost.*idle in transaction") as raised:
            to("restarted", server, long_query_seconds=1)
        assert raised.value.details["transactions"][0]["query"] == "SELECT ?;"
        assert to("restarted", server, long_query_seconds=60, check_mode=True)["changed"] is True
        done = to("restarted", server, long_query_seconds=1, interrupt=["long_transactions"])
    finally:
        client.kill()
        client.communicate()
    assert "rolled back" in done["notes"][0]


def test_maintenance_is_not_lost_unless_it_may_be(server: Server) -> None:
    """However young it is."""
    server.sql("CREATE TABLE wide AS SELECT n, repeat('x', 200) FROM generate_series(1, 20000) n; DELETE FROM wide")
    client = server.background("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1;\n\\echo 1\nVACUUM wide;")
    try:
        until(lambda: server.sql("SELECT count(*) FROM pg_stat_progress_vacuum") == "1")
        with pytest.raises(RefusedError, match=r"1 long transaction would be lost"):
            to("restarted", server, long_query_seconds=600)
        assert server.sql("SELECT count(*) FROM pg_stat_progress_vacuum") == "1"
        done = to("restarted", server, long_query_seconds=600, interrupt=["long_transactions"])
    finally:
        client.terminate()
        client.communicate()
    assert "rolled back" in done["notes"][0]


def test_a_backup_by_functions_is_not_lost_either_whatever_its_session_is_called(server: Server) -> None:
    start = "pg_backup_start" if int(server.sql("SHOW server_version_num")) >= 150000 else "pg_start_backup"
    more = "true" if start == "pg_backup_start" else "true, false"
    client = server.background("\\o /dev/null\nSELECT %s('tonight', %s);\n\\o\n\\echo 1\n" % (start, more))
    assert client.stdout is not None and client.stdout.readline() == "1\n"
    try:
        with pytest.raises(RefusedError, match=r"a backup is running: pid"):
            to("restarted", server)
        assert to("restarted", server, interrupt=["backups"])["state"] == "running"
    finally:
        client.terminate()
        client.communicate()


def test_a_running_backup_is_not_lost_unless_it_may_be(server: Server) -> None:
    server.conf(max_wal_senders=3)
    server._write_hba(["local replication postgres trust"])
    text = (server.data / "pg_hba.conf").read_text().splitlines()
    (server.data / "pg_hba.conf").write_text("\n".join(reversed(text)) + "\n")
    server.reload()
    where = ["-h", str(server.directory), "-p", str(server.port), "-U", "postgres"]
    slowly = ["-D", str(server.directory / "copy"), "-r", "32k", "-c", "fast"]
    backup = subprocess.Popen([str(server.bin / "pg_basebackup"), *where, *slowly], stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: server.sql("SELECT count(*) FROM pg_stat_progress_basebackup") == "1")
        with pytest.raises(RefusedError, match=r"a backup is running: pid .*pg_basebackup"):
            to("restarted", server)
        assert to("restarted", server, interrupt=["backups"])["state"] == "running"
    finally:
        backup.kill()
        backup.communicate()


def test_without_sql_or_rights_nobody_restarts(server: Server) -> None:
    server.sql("CREATE ROLE plain LOGIN")
    server.hba("local all plain trust")
    first = server.pid
    with pytest.raises(RefusedError, match=r"may not read pg_file_settings|cannot be checked"):
        to("restarted", server, login_user="plain")
    with pytest.raises(RefusedError, match="cannot be checked"):
        to("restarted", server, login_user="nobody_of_that_name")
    assert server.pid == first


def test_remote_says_that_it_cannot(server: Server) -> None:
    given = {"runtime": "remote", "login_host": str(server.directory), "login_port": server.port, "state": "restarted"}
    with pytest.raises(RefusedError, match="SQL can neither start nor stop"):
        _change(server_module, {**given, "login_user": "postgres"}, False)
    drive = RemoteDrive(RemoteRuntime("db.example.com"))
    for verb in (drive.start, drive.stop, drive.alive):
        with pytest.raises(TargetError, match="over the network only"):
            verb(Deadline(1))


@pytest.mark.parametrize("prefix", ["%m [%p] ", "%m "], ids=["with a pid", "without"])
@pytest.mark.parametrize("how", ["crash", "immediate"])
def test_what_a_client_was_told_is_no_reason(how: str, prefix: str) -> None:
    with Server(settings={"restart_after_crash": "off", "log_line_prefix": prefix}) as server:
        with pytest.raises(Exception, match="nobody_there"):
            server.sql("SELECT 1", user="nobody_there")
        assert "FATAL:  " in server.log
        if how == "crash":  # of one backend; the server does not start again by itself
            with server.background("SELECT 1;") as client:
                find = "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT 1;'"
                os.kill(int(until(lambda: server.sql(find))), signal.SIGABRT)
                until(lambda: ended(server))
                client.kill()
        else:
            server.stop("immediate")
        looking = {"runtime": "pg_ctl", "data_directory": str(server.data), "log_file": str(server.log_file)}
        found = _change(triage_module, looking, False)["verdict"]
        assert found["code"] == "server_down" and "nobody_there" not in found["summary"], found


# --- reload ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[15, 18])
def loaded(request: pytest.FixtureRequest) -> Iterator[Server]:
    """What its files say is what it has loaded, and not within the same second."""
    with Server(request.param) as started:
        time.sleep(1.1)
        before = started.sql("SELECT pg_conf_load_time()")
        started.reload()
        until(lambda: started.sql("SELECT pg_conf_load_time()") != before)
        yield started


def test_a_reload_is_proved(loaded: Server) -> None:
    assert reload(loaded)["changed"] is False
    loaded.conf(work_mem="64MB", max_connections=57)
    before = loaded.sql("SELECT pg_conf_load_time()")
    planned = reload(loaded, check_mode=True)
    assert loaded.sql("SELECT pg_conf_load_time()") == before and loaded.sql("SHOW work_mem") == "4MB"
    done = reload(loaded)
    assert done["changed"] is planned["changed"] is True and done["diff"] == planned["diff"]
    assert done["changed_settings"] == [{"name": "work_mem", "before": "4096kB", "after": "64MB"}]
    assert done["pending_restart"] == planned["pending_restart"] == ["max_connections"]
    assert done["changed_files"] == [str(loaded.data / "postgresql.conf")]
    assert loaded.sql("SHOW work_mem") == "64MB" and loaded.sql("SELECT pg_conf_load_time()") != before
    assert reload(loaded)["changed"] is False
    assert reload(loaded, force=True)["changed"] is True


def test_a_changed_pg_hba_is_loaded(loaded: Server) -> None:
    loaded._write_hba(["local all all reject"])
    done = reload(loaded)
    assert (done["changed"], done["changed_files"]) == (True, [str(loaded.data / "pg_hba.conf")])
    assert reload(loaded)["changed"] is False


@pytest.mark.parametrize("force", [False, True])
def test_a_reload_of_files_with_an_error_is_refused(loaded: Server, force: bool) -> None:
    before = loaded.sql("SELECT pg_conf_load_time()")
    loaded._write_hba(["host all all 10.0.0.0/8 mad5"])
    with pytest.raises(RefusedError, match=r'pg_hba\.conf line 2: invalid authentication method "mad5"'):
        reload(loaded, force=force)
    loaded._write_hba([])
    loaded.conf(work_mem="lots")
    with pytest.raises(RefusedError, match=r"postgresql\.conf line \d+: work_mem: setting could not be applied"):
        reload(loaded, force=force)
    assert loaded.sql("SELECT pg_conf_load_time()") == before


def test_a_reload_takes_a_superuser(loaded: Server) -> None:
    loaded.sql("CREATE ROLE plain LOGIN")
    loaded.hba("local all plain trust")
    with pytest.raises(RefusedError, match="may not run pg_reload_conf"):
        reload(loaded, login_user="plain", force=True)


def test_a_reload_needs_nothing_but_sql(loaded: Server) -> None:
    given = {"runtime": "remote", "login_host": str(loaded.directory), "login_port": loaded.port, "force": True}
    done = _change(configuration_module, {**given, "login_user": "postgres"}, False)
    assert done["changed"] is True


def test_a_server_that_does_not_load_is_told(loaded: Server) -> None:
    loaded.conf(work_mem="64MB")
    os.kill(loaded.pid, signal.SIGSTOP)  # sessions that are open go on; psql needs a new one
    try:
        with pytest.raises(Exception, match=r"no answer|not moved|could not connect|before its deadline"):
            reload(loaded, deadline_seconds=2, timeout_seconds=1)
    finally:
        os.kill(loaded.pid, signal.SIGCONT)


def test_a_server_whose_commits_wait_for_a_standby_is_not_restarted(server: Server) -> None:
    server.sql("CREATE TABLE t (n int)")
    server.sql("ALTER SYSTEM SET synchronous_standby_names = 'nowhere'")
    server.reload()
    until(lambda: server.sql("SHOW synchronous_standby_names") == "nowhere")
    client = server.background("INSERT INTO t VALUES (1);")
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    until(lambda: server.sql(waits) == "1")
    with pytest.raises(RefusedError, match="1 commit waiting for a synchronous standby"):
        to("restarted", server)
    assert server.sql(waits) == "1"
    client.kill()


# --- rule 14: never two servers on one data directory ----------------------------------------------------------------


@contextlib.contextmanager
def second(server: Server, *apart: str) -> Iterator[int]:
    """Another postmaster on the same directory, kept ``apart`` so that neither lock nor shared memory stops it."""
    owner = str(server.data.stat().st_uid)
    identity = ["setpriv", "--reuid", owner, "--regid", owner, "--clear-groups"]
    place = ["-c", "port=%d" % free_port(), "-c", "unix_socket_directories="]
    argv = ["unshare", "--ipc", *apart, *identity, str(server.bin / "postgres"), "-D", str(server.data), *place]
    process = subprocess.Popen(argv, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = pathlib.Path("/proc/%d/task/%d/children" % (process.pid, process.pid))
    pid = int(until(lambda: children.read_text().split())[0]) if "--fork" in apart else process.pid
    try:
        until(lambda: "ready" in lock_file(server))
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        process.wait(30)


def lock_file(server: Server) -> str:
    try:
        return (server.data / "postmaster.pid").read_text()
    except FileNotFoundError:
        return ""


IN_A_CONTAINER = ("--pid", "--fork")


def test_no_start_while_a_container_has_the_directory(server: Server) -> None:
    server.sql("ALTER SYSTEM SET work_mem = '8MB'")
    server.stop()
    altered = (server.data / "postgresql.auto.conf").read_text()
    with second(server, *IN_A_CONTAINER) as pid:
        for check_mode, reset in ((True, []), (False, []), (False, ["work_mem"])):
            with pytest.raises(
                RefusedError, match=r"do not start it.*runs PostgreSQL on this data directory"
            ) as raised:
                to("started", server, check_mode=check_mode, reset_settings=reset)
            assert (raised.value.details["code"], raised.value.details["cause"]) == ("server_down", "directory_in_use")
            assert "pid %d" % pid in raised.value.details["evidence"][0]
        assert (server.data / "postgresql.auto.conf").read_text() == altered
        assert lock_file(server).startswith("1\n")  # what PostgreSQL itself would have taken for stale
    assert "database system is ready" not in server.log.rpartition("shut down")[2]
    assert to("started", server)["state"] == "running"


def test_no_start_while_a_real_container_has_the_directory(server: Server) -> None:
    server.stop()
    server.directory.chmod(0o755)
    owner = server.data.stat().st_uid
    words = ["run", "-d", "--user", "%d:%d" % (owner, owner), "-v", "%s:/data" % server.data]
    program = docker(
        "run", "--rm", "--entrypoint", "sh", image("postgres:18"), "-c", "ls /usr/lib/postgresql/*/bin/postgres"
    )
    settings = ["-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"]
    name = docker(*words, "--entrypoint", program, image("postgres:18"), "-D", "/data", *settings)
    try:
        until(lambda: "ready" in lock_file(server))
        with pytest.raises(RefusedError, match="container %s is using its data directory" % name[:12]):
            to("started", server)
    finally:
        docker("stop", "-t", "30", name)
        docker("rm", "-v", name)


OUT_OF_SIGHT = ["unshare", "--pid", "--fork", "--mount-proc", "--ipc"]


def from_a_container(server: Server, name: str, **given: Any) -> dict[str, Any]:
    """A module where the host's files are, and neither its processes nor its shared memory."""
    known = {"runtime": "pg_ctl", "data_directory": str(server.data), "login_user": "postgres", **given}
    argv = [*OUT_OF_SIGHT, sys.executable, "-m", "ansible_collections.oncall.postgresql.plugins.modules." + name]
    asked = json.dumps({"ANSIBLE_MODULE_ARGS": known})
    done = subprocess.run(argv, input=asked, capture_output=True, text=True, check=False, timeout=60)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_server_whose_process_cannot_be_seen_is_known_by_its_socket(server: Server) -> None:
    first = server.pid
    verdict = from_a_container(server, "triage")["verdict"]
    assert (verdict["code"], verdict["cause"], verdict["severity"]) == ("server_down", "directory_in_use", "critical")
    assert "it answers at %s, and its process cannot be seen" % server.socket in verdict["evidence"][0]
    for check_mode in (True, False):
        result = from_a_container(server, "server", state="started", _ansible_check_mode=check_mode)
        assert result["failed"] and result["refused"] and result["cause"] == "directory_in_use", result
    assert server.pid == first and server.sql("SELECT 1") == "1"


@pytest.mark.parametrize("who", ["nobody", "another server", "a pooler"])
def test_a_socket_that_is_no_longer_its_own_is_no_reason(server: Server, who: str) -> None:
    """After a crash, with its lock files where they were."""
    place, lock = pathlib.Path(server.socket), pathlib.Path(server.socket + ".lock")
    kept = lock.read_text(), (server.data / "postmaster.pid").read_text()
    pid = server.pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    until(lambda: PgCtlRuntime(str(server.data)).server(Deadline(10))["processes"] == [])
    with contextlib.ExitStack() as stack:
        if who == "another server":
            place.unlink()
            lock.unlink()
            settings = {"unix_socket_directories": server.directory, "port": server.port}
            other = stack.enter_context(Server(settings=settings, listen=""))
            assert other.socket != server.socket and lock.read_text() != kept[0]
        elif who == "a pooler":  # has no lock file of its own
            place.unlink()
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(place))
            listener.listen()
        for found in (stray_triage(server), from_a_container(server, "triage") if who == "another server" else None):
            if found is not None:
                assert found["verdict"]["cause"] == "killed", found["verdict"]
                assert found["facts"]["server"]["directory_used_by"] == []
    assert (server.data / "postmaster.pid").read_text() == kept[1]


def test_what_is_run_beside_a_server_never_works_in_its_directory(server: Server) -> None:
    """An image's working directory may be the data directory: a look at the second moment would see two servers."""
    server.stop()
    seen, programs = pathlib.Path("/tmp/%s-seen" % server.directory.name), server.directory / "bin"
    programs.mkdir()
    for each in server.bin.iterdir():
        (programs / each.name).symlink_to(each)
    (programs / "postgres").unlink()
    (programs / "postgres").write_text('#!/bin/sh\npwd >>%s\nexec %s "$@"\n' % (seen, server.bin / "postgres"))
    (programs / "postgres").chmod(0o755)
    seen.touch()
    seen.chmod(0o666)
    try:
        text = look.script(str(server.data), str(programs), True)
        out = subprocess.run(["sh", "-c", text], cwd=server.data, capture_output=True, text=True, check=True).stdout
        found = look.parse(out)
        assert found["configuration"] == {"valid": True, "message": None} and found["settings"]["port"]
        assert set(seen.read_text().split()) == {"/"}
    finally:
        seen.unlink()


def stray_triage(server: Server) -> dict[str, Any]:
    return _change(triage_module, {"runtime": "pg_ctl", "data_directory": str(server.data)}, False)


def test_it_is_asked_again_in_the_moment_of_the_start(server: Server) -> None:
    server.stop()
    given = options(server, state="started")
    given = ArgumentSpecValidator(**server_module.WORK.spec.arguments()).validate(given).validated_parameters
    target, procedure = open_target(given, "here"), server_module.WORK.procedure
    plan = procedure.plan(procedure.read(target, given), given)
    assert plan.steps == ("start", "wait_ready")
    with second(server, *IN_A_CONTAINER), pytest.raises(RefusedError, match=r"Start refused: .* runs PostgreSQL"):
        procedure.apply(target, plan)
    assert to("started", server)["state"] == "running"


def test_two_servers_of_this_host_are_named_and_none_is_restarted(server: Server) -> None:
    first = server.pid
    (server.data / "postmaster.pid").unlink()
    with second(server) as other:
        facts = PgCtlRuntime(str(server.data)).server(Deadline(10))
        # the lock file is the newer one's
        assert facts["postmaster_pid"] == other
        assert [(user["container"], user["pid"], user["seen"]) for user in facts["directory_used_by"]] == [
            (None, first, True)
        ]
        for state in ("restarted", "started"):
            with pytest.raises(RefusedError, match=r"Two servers are running on one data directory.*pid %d" % first):
                to(state, server)
        assert not gone(first) and not gone(other)
    os.kill(first, signal.SIGINT)
    wait_until_gone(first)


def test_a_lock_file_that_a_container_left_behind(server: Server) -> None:
    """Its server may still run where nobody can see it; PostgreSQL itself takes pid 1 for somebody else's."""
    server.stop()
    with second(server, *IN_A_CONTAINER) as pid:
        kept = lock_file(server)
        os.kill(pid, signal.SIGQUIT)
        wait_until_gone(pid)
    (server.data / "postmaster.pid").write_text(kept)
    with pytest.raises(RefusedError, match=r"postmaster.pid names pid 1: a server in a container wrote it"):
        to("started", server)
    (server.data / "postmaster.pid").unlink()
