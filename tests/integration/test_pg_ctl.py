# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers of the wheel's PostgreSQL 18 with real faults, seen by the pg_ctl and remote runtimes on this host.

The facts asserted are those that decide. The look script is also run by every shell that it may meet.
"""

from __future__ import annotations

import os
import pathlib
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import DeadlineError, TargetError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime import look as _look
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import ClientOption
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.pg_ctl.runtime import PgCtlRuntime
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.remote import RemoteRuntime
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import ServerFacts
from tests.embedded import Server, free_port


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def stopped() -> Iterator[Server]:
    """Was started and shut down once."""
    with Server() as started:
        started.stop()
        yield started


def runtime(server: Server, **options: Any) -> PgCtlRuntime:
    return PgCtlRuntime(str(server.data), log_file=str(server.log_file), **options)


def seen(server: Server, **options: Any) -> ServerFacts:
    found = runtime(server, **options)
    facts = found.server(Deadline(10))
    assert found.errors == {}
    return facts


def start_in_vain(server: Server) -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        server.start()


def causes(facts: ServerFacts) -> set[str | None]:
    return {entry["cause"] for entry in facts["log"]}


def gone(pid: int) -> bool:
    """Dead, or a zombie that nobody has reaped yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + 10
    while not gone(pid):
        assert time.monotonic() < end, f"pid {pid} does not end"
        time.sleep(0.02)


# --- running ---------------------------------------------------------------------------------------------------------


def test_a_healthy_server(server: Server) -> None:
    client = server.background("SELECT 1;")
    try:
        assert client.stdout is not None
        assert client.stdout.readline() == "1\n"
        found = runtime(server, login={"user": "postgres"})
        facts = found.server(Deadline(10))
        answers = found.wire(Deadline(10))
    finally:
        client.kill()
        client.wait()
    assert found.errors == {}
    assert (facts["state"], facts["postmaster_state"], facts["postmaster_pid"]) == ("running", "S", server.pid)
    assert facts["uptime_seconds"] is not None and 0 <= facts["uptime_seconds"] < 60
    assert any(process["title"].startswith("postgres: postgres postgres [local]") for process in facts["processes"])
    directory, lock, control = facts["data_directory"], facts["lock_file"], facts["control"]
    assert directory is not None and lock is not None and control is not None
    owner = os.stat(server.data).st_uid
    assert (directory["mode"], directory["owner_uid"], directory["expected_uid"]) == ("0700", owner, owner)
    assert (directory["version"], directory["entries"]) == ("18", len(os.listdir(server.data)))
    disk = os.statvfs(server.data)
    assert [each["role"] for each in facts["disks"]] == ["data"]
    assert facts["disks"][0]["total_bytes"] == disk.f_blocks * disk.f_frsize
    assert 0 < facts["disks"][0]["free_bytes"] <= facts["disks"][0]["total_bytes"]
    assert (lock["pid"], lock["pid_alive"], lock["port"], lock["status"]) == (server.pid, True, server.port, "ready")
    assert (control["crc_ok"], control["state"], control["checkpoint_readable"]) == (True, "in production", None)
    assert facts["configuration"] is None
    assert {"address": "127.0.0.1", "port": server.port, "ours": True} in (facts["listening"] or [])
    assert facts["log"] == [] and facts["log_lines_read"] > 0
    assert [(each["kind"], each["address"], each["outcome"]) for each in answers] == [
        ("socket", server.socket, "accepting"),
        ("loopback", f"127.0.0.1:{server.port}", "accepting"),
    ]


def test_descriptor_limits(stopped: Server) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    start: list[Any] = [stopped.bin / "pg_ctl", "start", "-w", "-D", stopped.data, "-l", stopped.log_file]
    stopped.run("/bin/sh", "-c", 'ulimit -S -n 200 && exec "$@"', "-", *start)
    facts = seen(stopped)
    assert (facts["nofile_soft"], facts["nofile_hard"]) == (200, hard)


def test_a_frozen_server(server: Server) -> None:
    server.signal(signal.SIGSTOP)
    found = runtime(server)
    facts = found.server(Deadline(5))
    answers = found.wire(Deadline(1))
    assert (facts["state"], facts["postmaster_state"]) == ("running", "T")
    assert {answer["outcome"] for answer in answers} == {"silent"}


def test_a_collected_log() -> None:
    with Server(settings={"logging_collector": "on", "log_directory": "my log", "log_filename": "it.log"}) as server:
        with pytest.raises(RuntimeError):
            server.sql("SELECT * FROM nosuch")
        facts = seen(server)
        assert facts["log_source"] is not None
        assert str(server.data / "my log" / "it.log") in facts["log_source"]
        assert [(entry["severity"], entry["cause"]) for entry in facts["log"]] == [("ERROR", None)]
        assert 'relation "nosuch" does not exist' in facts["log"][0]["text"]
        without = PgCtlRuntime(str(server.data)).server(Deadline(10))
        assert [entry["text"] for entry in without["log"]] == [entry["text"] for entry in facts["log"]]


def test_without_a_lock_file_the_process_is_still_found(server: Server) -> None:
    lock = server.data / "postmaster.pid"
    pid, text = server.pid, lock.read_text()
    lock.unlink()
    facts = seen(server)
    lock.write_text(text)
    os.chown(lock, os.stat(server.data).st_uid, os.stat(server.data).st_gid)
    assert (facts["state"], facts["postmaster_pid"], facts["lock_file"]) == ("running", pid, None)


# --- down ------------------------------------------------------------------------------------------------------------


def test_stopped_cleanly(stopped: Server) -> None:
    found = runtime(stopped)
    facts = found.server(Deadline(10))
    assert (facts["state"], facts["lock_file"], facts["processes"]) == ("exited", None, [])
    assert facts["finished_at"] is not None
    control = facts["control"]
    assert control is not None
    assert (control["state"], control["crc_ok"], control["checkpoint_readable"]) == ("shut down", True, True)
    assert facts["configuration"] == {"valid": True, "message": None}
    assert found.wire(Deadline(10)) == []


def test_killed(server: Server) -> None:
    pid = server.pid
    children = [each["pid"] for each in seen(server)["processes"] if each["pid"] != pid]
    server.signal(signal.SIGKILL)
    for each in [pid, *children]:
        wait_until_gone(each)
    facts = seen(server)
    lock, control = facts["lock_file"], facts["control"]
    assert lock is not None and control is not None
    assert (facts["state"], facts["postmaster_pid"], facts["exit_code"]) == ("exited", None, None)
    assert (lock["pid"], lock["pid_alive"], control["state"]) == (pid, False, "in production")
    assert (control["checkpoint_readable"], facts["configuration"]) == (True, {"valid": True, "message": None})
    assert facts["out_of_memory"] is not True


def test_a_bad_setting(stopped: Server) -> None:
    stopped.conf(no_such_setting=1)
    start_in_vain(stopped)
    facts = seen(stopped)
    assert facts["configuration"] is not None
    assert facts["configuration"]["valid"] is False
    assert "no_such_setting" in (facts["configuration"]["message"] or "")
    assert causes(facts) == {"invalid_configuration"}


def test_its_own_arguments_are_part_of_the_configuration(stopped: Server) -> None:
    other = stopped.directory / "elsewhere.conf"
    (stopped.data / "postgresql.conf").rename(other)
    without = seen(stopped)["configuration"]
    assert without is not None and without["valid"] is False
    options = stopped.data / "postmaster.opts"
    options.write_text(options.read_text().strip() + f' "-c" "config_file={other}"\n')
    assert seen(stopped)["configuration"] == {"valid": True, "message": None}


def test_a_directory_open_to_all(stopped: Server) -> None:
    stopped.data.chmod(0o755)
    start_in_vain(stopped)
    facts = seen(stopped)
    assert facts["data_directory"] is not None
    assert facts["data_directory"]["mode"] == "0755"
    assert causes(facts) == {"permission_denied"}
    assert facts["configuration"] == {"valid": True, "message": None}


def test_a_directory_closed_to_its_owner(stopped: Server) -> None:
    stopped.data.chmod(0)
    try:
        facts = runtime(stopped).server(Deadline(10))
    finally:
        stopped.data.chmod(0o700)
    assert facts["data_directory"] is not None
    assert (facts["state"], facts["data_directory"]["mode"]) == ("exited", "0000")
    assert facts["configuration"] is None or facts["configuration"]["valid"] is not False, (
        "not the configuration's fault"
    )


def test_the_wrong_owner(stopped: Server) -> None:
    directory = seen(stopped, os_user="daemon")["data_directory"]
    assert directory is not None
    assert directory["owner_uid"] != directory["expected_uid"]


@pytest.mark.parametrize("damage", ["flipped", "short", "missing"])
def test_a_damaged_control_file(stopped: Server, damage: str) -> None:
    path = stopped.data / "global" / "pg_control"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[40] ^= 0xFF
        path.write_bytes(content)
    elif damage == "short":
        path.write_bytes(content[:100])
    else:
        path.unlink()
    start_in_vain(stopped)
    facts = seen(stopped)
    control = facts["control"]
    assert control is not None and control["message"]
    assert (control["readable"], control["crc_ok"]) == ((True, False) if damage == "flipped" else (False, None))
    assert causes(facts) <= {"data_corruption", None}
    assert facts["log"], "the server's complaint"


@pytest.mark.parametrize("damage", ["removed", "overwritten"])
def test_damaged_wal(stopped: Server, damage: str) -> None:
    control = seen(stopped)["control"]
    assert control is not None
    segment = stopped.data / "pg_wal" / str(control["checkpoint_wal_file"])
    if damage == "removed":
        segment.unlink()
    else:
        offset = int(str(control["checkpoint_lsn"]).partition("/")[2], 16) % segment.stat().st_size
        with segment.open("r+b") as file:
            file.seek(offset + 20)
            file.write(b"\xff" * 40)
    start_in_vain(stopped)
    facts = seen(stopped)
    assert facts["control"] is not None
    assert (facts["control"]["readable"], facts["control"]["checkpoint_readable"]) == (True, False)
    assert facts["control"]["message"]
    assert ("PANIC", "data_corruption") in {(entry["severity"], entry["cause"]) for entry in facts["log"]} or (
        "FATAL",
        "data_corruption",
    ) in {(entry["severity"], entry["cause"]) for entry in facts["log"]}


def test_an_empty_lock_file(stopped: Server) -> None:
    lock = stopped.data / "postmaster.pid"
    lock.touch()
    os.chown(lock, os.stat(stopped.data).st_uid, os.stat(stopped.data).st_gid)
    vain = stopped.run("postgres", "-D", stopped.data, check=False)  # pg_ctl itself would refuse, without a log
    stopped.log_file.write_text(stopped.log + vain.stderr)
    facts = seen(stopped)
    lock.unlink()
    assert facts["lock_file"] is not None
    assert (facts["state"], facts["lock_file"]["pid"], facts["lock_file"]["pid_alive"]) == ("exited", None, None)
    assert causes(facts) == {"stale_lock_file"}


def test_a_lock_file_that_names_a_stranger(stopped: Server) -> None:
    owner = os.stat(stopped.data).st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None)
    lock = stopped.data / "postmaster.pid"
    try:
        lock.write_text(f"{stranger.pid}\n{stopped.data}\n1\n{stopped.port}\n\n\n\n")
        os.chown(lock, owner, os.stat(stopped.data).st_gid)
        start_in_vain(stopped)
        facts = seen(stopped)
    finally:
        stranger.terminate()
        stranger.wait()
        lock.unlink(missing_ok=True)
    assert facts["lock_file"] is not None
    assert (facts["state"], facts["lock_file"]["pid"], facts["lock_file"]["pid_alive"]) == (
        "exited",
        stranger.pid,
        True,
    )
    assert causes(facts) == {"stale_lock_file"}


def test_a_taken_port(stopped: Server) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", stopped.port))
        holder.listen()
        start_in_vain(stopped)
        facts = seen(stopped)
    assert causes(facts) == {"port_conflict"}
    assert {"address": "127.0.0.1", "port": stopped.port, "ours": None} in (facts["listening"] or [])


def test_faults_of_an_earlier_run_are_not_counted(stopped: Server) -> None:
    stopped.data.chmod(0o755)
    start_in_vain(stopped)
    stopped.data.chmod(0o700)
    assert causes(seen(stopped)) == {"permission_denied"}
    time.sleep(2.1)  # a log line and the control file's time may differ by up to a second
    stopped.start()
    assert seen(stopped)["log"] == []
    stopped.stop()
    assert seen(stopped)["log"] == []


def test_standby_signals(stopped: Server) -> None:
    (stopped.data / "standby.signal").touch()
    directory = seen(stopped)["data_directory"]
    assert directory is not None
    assert (directory["standby_signal"], directory["recovery_signal"]) == (True, False)


# --- what is no server -----------------------------------------------------------------------------------------------


def test_no_such_directory(tmp_path: pathlib.Path) -> None:
    with pytest.raises(TargetError, match=r"/nowhere: No such file or directory\. Set data_directory"):
        PgCtlRuntime(str(tmp_path / "nowhere")).server(Deadline(5))


def test_no_data_directory(tmp_path: pathlib.Path) -> None:
    with pytest.raises(TargetError, match="is not a PostgreSQL data directory: it has no PG_VERSION"):
        PgCtlRuntime(str(tmp_path)).server(Deadline(5))


def test_an_unknown_user(server: Server) -> None:
    with pytest.raises(TargetError, match="no user no-such-user"):
        runtime(server, os_user="no-such-user").server(Deadline(5))


# --- beside the server -----------------------------------------------------------------------------------------------


def test_commands_run_as_the_owner(server: Server) -> None:
    done = runtime(server).run_beside(
        ["sh", "-c", 'id -u; pwd; cat; echo "$GIVEN" >&2; exit 3'], Deadline(5), "in\n", {"GIVEN": "x y"}
    )
    assert (done.code, done.out, done.err) == (3, f"{os.stat(server.data).st_uid}\n/\nin\n", "x y\n")


def test_psql_runs_beside_the_server(server: Server) -> None:
    settings = runtime(server).session_settings()
    assert settings["bin_directory"] == str(server.bin)
    argv = [f"{settings['bin_directory']}/psql", "-X", "-qAt", "-h", str(server.directory), "-p", str(server.port)]
    done = runtime(server).run_beside([*argv, "-U", "postgres", "-d", "postgres"], Deadline(5), "SELECT 6 * 7")
    assert (done.code, done.out) == (0, "42\n")


def test_a_command_past_its_deadline_is_ended_and_nothing_else(server: Server) -> None:
    begin = time.monotonic()
    with pytest.raises(DeadlineError):
        runtime(server).run_beside(["sh", "-c", f"exec sleep 60.{server.port}"], Deadline(0.3))
    assert time.monotonic() - begin < 30
    left = subprocess.run(
        ["pgrep", "-f", f"^sleep 60.{server.port}"], capture_output=True, text=True, check=False
    ).stdout
    assert [pid for pid in left.split() if not gone(int(pid))] == []
    assert server.sql("SELECT 1") == "1"


def test_a_missing_program(server: Server) -> None:
    assert runtime(server).run_beside(["/no/such/program"], Deadline(5)).code == 127


# --- clients and the remote runtime ----------------------------------------------------------------------------------


def test_a_client_here_is_told_where_the_server_is(server: Server) -> None:
    server.sql("CREATE ROLE app LOGIN PASSWORD 'secret'")
    login = {"user": "app", "password": "secret", "database": "postgres"}
    (client,) = runtime(server).clients() or runtime(server, clients=[ClientOption("api", login=login)]).clients()
    facts = client.examine(Deadline(8))
    assert facts["attempt"] is not None
    assert (facts["name"], facts["place"], facts["attempt"]["outcome"]) == ("here", "here", "ok")
    assert facts["login"] is not None
    assert (facts["login"]["host"], facts["login"]["port"]) == ("127.0.0.1", server.port)
    assert "secret" not in repr(facts) and "secret" not in repr(client.login)


def test_remote(server: Server) -> None:
    found = RemoteRuntime("127.0.0.1", server.port)
    assert found.server(Deadline(5))["state"] == "running"
    (answer,) = found.wire(Deadline(5))
    assert (answer["kind"], answer["address"], answer["outcome"]) == (
        "login_host",
        f"127.0.0.1:{server.port}",
        "accepting",
    )
    with pytest.raises(TargetError, match="runtime=remote"):
        found.run_beside(["true"], Deadline(5))
    server.signal(signal.SIGSTOP)
    frozen = RemoteRuntime("127.0.0.1", server.port, connect_timeout_seconds=0.5)
    assert (frozen.server(Deadline(5))["state"], frozen.wire(Deadline(5))[0]["outcome"]) == ("unknown", "silent")


def test_remote_with_nobody_there() -> None:
    refused = RemoteRuntime("localhost", free_port())
    assert refused.server(Deadline(5))["state"] == "unknown"
    assert {answer["outcome"] for answer in refused.wire(Deadline(5))} == {"refused"}
    (answer,) = RemoteRuntime("no-such-host.invalid", 5432).wire(Deadline(5))
    assert answer["outcome"] == "unreachable"
    assert "no-such-host.invalid" in (answer["message"] or "")


# --- every shell that the script may meet ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory of nothing but busybox's commands, as Alpine has them."""
    directory = tmp_path_factory.mktemp("busybox")
    subprocess.run(["busybox", "--install", "-s", str(directory)], check=True, capture_output=True)
    return directory


def look(argv: list[str], server: Server, stopped: bool, path: str | None = None) -> _look.Look:
    text = _look.script(str(server.data), str(server.bin), stopped, ["-c", "work_mem=8MB"])
    environment = {**os.environ, "PATH": path or os.environ["PATH"], "uid": "7", "version": "x", "pm": "1"}
    done = subprocess.run([*argv, "-c", text], capture_output=True, text=True, check=True, env=environment, timeout=30)
    assert done.stderr == ""
    found = _look.parse(done.stdout)
    for disk in found["disks"]:
        disk["free_bytes"] = disk["free_inodes"] = 0  # others write here, too
    ports = [server.port]
    found["listening"] = [each for each in found["listening"] or [] if each["port"] in ports]
    return found


@pytest.mark.parametrize("state", ["running", "stopped", "damaged", "misconfigured"])
def test_shells_agree(server: Server, busybox: pathlib.Path, state: str) -> None:
    if state != "running":
        server.stop()
    if state == "damaged":
        for each in (server.data / "pg_wal").glob("0*"):
            each.unlink()
    if state == "misconfigured":
        server.conf(work_mem="many")
    first = look(["dash"], server, state != "running")
    assert first["errors"] == {}
    assert (first["postmaster_cwd"] == str(server.data)) == (state == "running")
    assert len(first["listening"] or []) == (1 if state == "running" else 0)
    assert first["control"] is not None
    assert first["control"]["checkpoint_readable"] is {"running": None, "damaged": False}.get(state, True)
    if state != "running":
        valid = first["configuration"] is not None and first["configuration"]["valid"]
        assert valid is (state != "misconfigured")
    assert look(["busybox", "sh"], server, state != "running") == first
    assert look([str(busybox / "sh")], server, state != "running", str(busybox)) == first
    assert look(["bash", "--posix"], server, state != "running") == first


def test_the_script_changes_nothing(server: Server) -> None:
    server.stop()

    def state() -> dict[str, Any]:
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in [server.data, *server.data.rglob("*")]
        }

    before = state()
    look(["dash"], server, True)
    assert state() == before


def test_the_script_is_fast(server: Server) -> None:
    """About 20 ms alone; the bound has no room for a command per file or process. Others' work does not count."""
    text = _look.script(str(server.data), str(server.bin), False)
    taken = []
    for _unused in range(5):
        begin = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["dash", "-c", text], capture_output=True, check=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime)
    assert min(taken) < 0.15
