# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart, start and reload of the real stack while a program keeps writing; and the same when something goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import looks
from .driving import Engine, module
from .remedy import rows
from .stack import SECRETS, Stack, docker, playbook, run, wait_for, write_inventory
from .writer import Writer

COLLECTION = "oncall.postgresql."
PATIENT = {"services": {"api": {"healthcheck": {"timeout": "30s"}}}}  # a busy machine takes long to start a Python
QUICK = "oncall_stop_timeout_seconds=2"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """With a restart policy: what we stop has to stay stopped all the same."""
    with Stack("restart") as made:
        made.environment["LAB_RESTART"] = "always"
        made.up(override=PATIENT)
        yield made


@pytest.fixture
def writer(stack: Stack) -> Iterator[Writer]:
    stack.sql("DROP TABLE IF EXISTS ledger; DROP ROLE IF EXISTS writer")
    (stack.work / "acknowledged").unlink(missing_ok=True)
    expected = rows(stack)
    with Writer(stack) as writing:
        yield writing
        if stack.state()["Running"]:
            writing.reconcile()
            assert rows(stack) == expected


def procedure(stack: Stack, verb: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target(**options)}})
    done = playbook(COLLECTION + verb, "-i", str(inventory), *words, timeout=240)
    for secret in SECRETS:
        assert secret not in done.stdout + done.stderr, "a secret is in the output"
    return done


def flat(text: str) -> str:
    """Output without its line breaks: Ansible wraps what it warns of."""
    return " ".join(text.split())


def server(stack: Stack, state: str, *words: str, check: bool = True) -> dict[str, Any]:
    """The module's result, ad hoc."""
    inventory = write_inventory(stack.work, {"lab": {}})
    arguments = json.dumps({**stack.target(), "state": state})
    place = Path(os.environ.get("ONCALL_ANSIBLE_BIN") or Path(sys.executable).parent)
    argv = [str(place / "ansible"), "lab", "-i", str(inventory), "-m", COLLECTION + "server", "-a", arguments, *words]
    done = run(argv, check=False, timeout=240, env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"})
    assert (done.returncode == 0) is check, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return result


def healthy(stack: Stack) -> None:
    verdict = stack.triage()["verdict"]
    assert verdict["code"] == "healthy", json.dumps(verdict, indent=1)


def note(stack: Stack) -> list[Path]:
    """Of whom a restart of this stack has stopped."""
    return list((Path.home() / ".oncall").glob("restart-%s-*.json" % stack.project))


def clients_state(stack: Stack) -> str:
    return str(stack.inspect(stack.name(stack.client))["State"]["Status"])


def backend(stack: Stack, application: str) -> int:
    """The host's number of a session's process."""
    title = "postgres: postgres %s " % application
    for line in docker("top", stack.name(), "-eo", "pid,args").splitlines():
        if title in line:
            return int(line.split()[0])
    return 0


@contextlib.contextmanager
def deaf(stack: Stack) -> Iterator[int]:
    """A session that does not hear that it is to end; woken at the end."""
    stack.sql("DROP DATABASE IF EXISTS deaf")
    stack.sql("CREATE DATABASE deaf")
    stack.session("SELECT 1;", database="deaf", user="postgres")
    pid = wait_for(lambda: backend(stack, "deaf"))
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def stopping(stack: Stack) -> bool:
    """The last that the server says is that it shuts down."""
    said = run(["docker", "logs", "--tail", "30", stack.name()]).stderr
    return said.rfind("received fast shutdown request") > said.rfind("ready to accept connections")


def test_graceful_restart_loses_no_write(stack: Stack, writer: Writer) -> None:
    started = stack.state()["StartedAt"]
    stack.configure("max_wal_senders = 7")
    stack.sql("SELECT pg_reload_conf()")
    done = procedure(stack, "graceful_restart", "-v")
    assert done.returncode == 0, done.stdout
    downtime = re.search(r"graceful_restart, downtime ([0-9.]+) s", done.stdout)
    assert downtime and float(downtime.group(1)) > 0
    assert '"notes": []' in done.stdout, done.stdout  # it was probed, all of it
    assert '"applied": ["max_wal_senders"]' in done.stdout and '"clean_shutdown": true' in done.stdout
    assert stack.state()["StartedAt"] != started and stack.sql("SHOW max_wal_senders") == "7"
    assert clients_state(stack) == "running"
    assert not note(stack), "the note of whom it stopped is left"
    healthy(stack)


def test_check_mode_touches_nothing(stack: Stack) -> None:
    before = looks.containers(stack), looks.files(stack)
    for verb in ("graceful_restart", "start", "reload"):
        for words in (["--check"], ["-e", "oncall_plan=true"]):
            done = procedure(stack, verb, "--diff", *words)
            assert done.returncode == 0, done.stdout
            assert ('"restarted": true' in done.stdout) is (verb == "graceful_restart")
    assert (looks.containers(stack), looks.files(stack)) == before


def test_a_stopped_server_stays_stopped_and_starts_again(stack: Stack, writer: Writer) -> None:
    stopped = server(stack, "stopped")
    assert (stopped["changed"], stopped["clean_shutdown"], stopped["state"]) == (True, True, "stopped")
    time.sleep(2)  # longer than the engine takes for a restart by its policy
    assert (stack.state()["Status"], stack.state()["ExitCode"]) == ("exited", 0)
    assert server(stack, "stopped")["changed"] is False
    verdict = stack.triage()["verdict"]
    assert (verdict["cause"], verdict["remedy"]["playbook"]) == ("stopped", "oncall.postgresql.start")
    assert procedure(stack, "start").returncode == 0
    assert stack.inspect()["HostConfig"]["RestartPolicy"]["Name"] == "always"
    healthy(stack)
    given = {"work_mem": "6MB", "log_line_prefix": "it's %m "}
    server(stack, "stopped")
    done = module(stack, "server", state="started", settings=given)
    assert [stack.sql("SHOW " + name).strip() for name in given] == ["6MB", "it's %m"]
    assert done["undo"] == dict.fromkeys(given)
    stack.sql("ALTER SYSTEM RESET ALL")
    stack.sql("SELECT pg_reload_conf()")
    healthy(stack)


def test_a_client_that_did_not_run_before_is_not_started(stack: Stack, writer: Writer) -> None:
    docker("stop", "-t", "10", stack.name(stack.client))
    try:
        assert procedure(stack, "graceful_restart").returncode == 0
        assert clients_state(stack) == "exited"
    finally:
        docker("start", stack.name(stack.client))
        stack.wait_api()


def test_a_held_shutdown_puts_the_clients_back_and_kills_nobody(stack: Stack, writer: Writer) -> None:
    with deaf(stack) as session:
        done = procedure(stack, "graceful_restart", "-e", QUICK, "-e", "oncall_health_timeout_seconds=2")
        assert done.returncode != 0
        assert "held by pid %d (postgres deaf" % session in flat(done.stdout)
        assert "Nothing was killed" in flat(done.stdout)
        assert clients_state(stack) == "running"
        time.sleep(1)
        assert Path("/proc/%d" % session).exists() and stack.state()["Running"]
    wait_for(lambda: not stack.state()["Running"])
    assert stack.state()["ExitCode"] == 0  # in order, and not brought back by the policy
    assert procedure(stack, "graceful_restart").returncode == 0
    healthy(stack)


def test_ctrl_c_in_the_middle_and_once_more(stack: Stack, writer: Writer) -> None:
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
    place = Path(os.environ.get("ONCALL_ANSIBLE_BIN") or Path(sys.executable).parent)
    with deaf(stack):
        running = subprocess.Popen(
            [str(place / "ansible-playbook"), COLLECTION + "graceful_restart", "-i", str(inventory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        wait_for(lambda: stopping(stack), 90)
        assert clients_state(stack) == "exited"
        os.killpg(running.pid, signal.SIGINT)  # what a terminal does
        time.sleep(1)
    running.communicate(timeout=60)
    assert running.returncode != 0
    # What was begun was brought to its end by itself: the server and its clients are back.
    wait_for(lambda: stack.state()["Running"] and not stopping(stack))
    wait_for(lambda: clients_state(stack) == "running" and not note(stack))
    done = procedure(stack, "graceful_restart")
    assert done.returncode == 0, done.stdout
    assert clients_state(stack) == "running"
    healthy(stack)


def test_a_server_killed_in_mid_restart(stack: Stack, writer: Writer) -> None:
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
    place = Path(os.environ.get("ONCALL_ANSIBLE_BIN") or Path(sys.executable).parent)
    with deaf(stack):
        running = subprocess.Popen(
            [str(place / "ansible-playbook"), COLLECTION + "graceful_restart", "-i", str(inventory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_for(lambda: stopping(stack), 90)
        os.kill(stack.pid(), signal.SIGKILL)
        said = running.communicate(timeout=120)[0]
    assert running.returncode != 0 and "shutdown was not clean" in flat(said), said
    assert clients_state(stack) == "running"
    healthy(stack)


def test_an_engine_that_goes_away_half_way(stack: Stack, writer: Writer) -> None:
    """The server is down and nobody can start it: that is said, and the next run starts it."""
    with Engine(stack.work, "/containers/%s/start" % stack.inspect()["Id"], 0) as engine:
        result = module(stack, "server", state="restarted", docker_host=engine.docker_host, start_timeout_seconds=5)
    assert result["failed"] and engine.docker_host in result["msg"], result
    assert not stack.state()["Running"] and "does not start again" in result["msg"]
    result = module(stack, "server", state="started")
    assert result["changed"] and not result["failed"], result
    healthy(stack)


def test_a_server_that_does_not_start_again(stack: Stack, writer: Writer) -> None:
    """The file is changed while the server stops, after it was probed: the clients run, the log's sentence is told."""
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
    place = Path(os.environ.get("ONCALL_ANSIBLE_BIN") or Path(sys.executable).parent)
    words = ["-e", "oncall_health_timeout_seconds=2", "-e", "oncall_start_timeout_seconds=10"]
    stack.sql("ALTER SYSTEM SET shared_buffers = '48MB'")
    file = stack.data() / "postgresql.auto.conf"
    try:
        with deaf(stack):
            running = subprocess.Popen(
                [str(place / "ansible-playbook"), COLLECTION + "graceful_restart", "-i", str(inventory), *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            wait_for(lambda: stopping(stack), 90)
            file.write_text(file.read_text().replace("48MB", "4TB"))
        said = flat(running.communicate(timeout=120)[0])
        assert running.returncode != 0
        assert re.search(
            "PostgreSQL (does not start|was started but is not responding).*FATAL: .*shared memory", said
        ), said
        assert "It refuses shared_buffers (waited for this restart). Correct shared_buffers in " in said, said
        assert "postgresql.auto.conf line " in said
        assert clients_state(stack) == "running"
        (printed,) = set(re.findall(r"and start: (ansible-playbook oncall\.postgresql\.start [^\\]*?\}')", said))
        verdict = stack.triage()["verdict"]
        assert (verdict["cause"], verdict["remedy"]["command"]) == ("invalid_configuration", printed), verdict
        walked = run(["sh", "-c", "%s/%s" % (place, printed)], check=False)
        assert walked.returncode == 0, walked.stdout
        assert "shared_buffers" not in file.read_text() and stack.sql("SHOW shared_buffers") != "4TB"
    finally:
        file.write_text("")
    wait_for(lambda: stack.state()["Running"], 90)  # its policy tries again and again
    stack.wait_ready()
    time.sleep(11)  # one that has been up for less is still taken for being in its restart loop
    healthy(stack)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("huge_pages", "on", "FATAL: could not map anonymous shared memory"),
        ("shared_buffers", "500GB", "FATAL: could not map anonymous shared memory"),
        ("shared_preload_libraries", "/nonexistent/audit.so", 'FATAL: could not access file "/nonexistent/audit.so"'),
    ],
)
def test_what_the_binary_refuses_cuts_nobody_off(
    stack: Stack, writer: Writer, name: str, value: str, text: str
) -> None:
    stack.sql("ALTER SYSTEM SET %s = '%s'" % (name, value))
    try:
        there = looks.containers(stack), looks.files(stack)
        for words in [["--check"], []] if name == "huge_pages" else [[]]:
            done = procedure(stack, "graceful_restart", *words)
            assert done.returncode != 0 and text in flat(done.stdout), done.stdout
            assert "It refuses %s (waits for this restart)" % name in flat(done.stdout), flat(done.stdout)[-3500:]
        assert (looks.containers(stack), looks.files(stack)) == there
    finally:
        stack.sql("ALTER SYSTEM RESET ALL")


def test_a_library_that_only_the_container_has_is_not_refused(stack: Stack) -> None:
    """Installed in the running container: a toolbox of its image lacks it, a restart of the container does not."""
    docker("exec", "-u", "0", stack.name(), "sh", "-c", 'cp "$(pg_config --pkglibdir)"/plpgsql.so /opt/own.so')
    stack.sql("ALTER SYSTEM SET shared_preload_libraries = '/opt/own.so'")
    try:
        done = procedure(stack, "graceful_restart", "--check", "-v")
        assert done.returncode == 0 and '"notes": []' in done.stdout, done.stdout
    finally:
        stack.sql("ALTER SYSTEM RESET ALL")


@pytest.mark.parametrize("version", ["13", "15"])
def test_older_versions_are_probed(version: str) -> None:
    with Stack("restart-%s" % version, version) as other:
        other.up()
        assert server(other, "restarted")["notes"] == []


@pytest.mark.parametrize(
    ("line", "file", "text"),
    [
        ("work_mem = lots", "postgresql.conf", r"postgresql\.conf line \d+: work_mem"),
        ("host all all nowhere/77 md5", "pg_hba.conf", r"pg_hba\.conf line \d+: "),
    ],
)
def test_an_error_in_the_files_is_refused(stack: Stack, line: str, file: str, text: str) -> None:
    path, before = stack.data() / file, (stack.data() / file).read_text()
    path.write_text(before + line + "\n")
    try:
        there = looks.containers(stack), looks.files(stack)
        for verb in ("graceful_restart", "reload"):
            done = procedure(stack, verb)
            assert done.returncode != 0 and re.search(text, flat(done.stdout)), done.stdout
        assert (looks.containers(stack), looks.files(stack)) == there
    finally:
        path.write_text(before)


def test_a_paused_server_is_a_persons_business(stack: Stack) -> None:
    docker("pause", stack.name())
    try:
        for verb in ("graceful_restart", "start"):
            done = procedure(stack, verb)
            assert done.returncode != 0 and "is paused" in flat(done.stdout)
        assert stack.state()["Paused"] and clients_state(stack) == "running"
    finally:
        docker("unpause", stack.name())


def test_another_stop_signal_and_an_init_in_front() -> None:
    with Stack("restart-init") as other:
        other.environment["LAB_RESTART"] = "always"
        other.up(override={"services": {"postgres": {"init": True, "stop_signal": "SIGTERM"}}})
        first = other.state()["StartedAt"]
        other.session("SELECT 1;")  # a smart shutdown would wait for it
        done = server(other, "restarted")
        assert (done["clean_shutdown"], done["state"]) == (True, "running")
        assert other.state()["StartedAt"] != first
        assert server(other, "stopped")["clean_shutdown"] is True
        time.sleep(2)
        assert other.state()["Status"] == "exited"
        assert server(other, "started")["changed"] is True
