# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role ``monitoring`` installs on a host, on real servers: its script and the role that it logs in as.

By the shells that hosts have; figures are compared with plain SQL. PostgreSQL 18 is reached by the host's psql, 13 in
the container of a Compose project.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError, UnprovenError
from ansible_collections.oncall.postgresql.plugins.modules import monitoring_role
from tests.embedded import Server
from tests.integration import containers
from tests.integration.results import held
from tests.integration.servers import Client, until
from tests.receivers import Http, Mailbox

SCRIPT = Path(__file__).parents[2] / "roles" / "monitoring" / "files" / "monitor.sh"
SHELLS = (("dash",), ("busybox", "sh"))
PASSWORD = "watch'd:by\\night"  # what a shell and a password file have to quote
SLOTS = {"max_connections": 10, "superuser_reserved_connections": 3}
USABLE = 7
# What a mailer does with -t: to whom it goes stands in the message.
SENDMAIL = """#!{python}
import email, smtplib, sys
assert sys.argv[1:] == ["-t"]
message = email.message_from_file(sys.stdin)
with smtplib.SMTP("127.0.0.1", {port}) as server:
    server.send_message(message, from_addr="db1@example.org")
"""


class Site(Protocol):
    """A server and the host that watches it."""

    target: dict[str, Any]
    config: dict[str, str]  # of the script, to reach it
    host: str
    port: int

    def sql(self, text: str) -> str: ...

    def stop(self) -> None: ...

    def start(self) -> None: ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...


class OnHost:
    def __init__(self) -> None:
        self.server = Server(18, settings=SLOTS).start()
        self.host, self.port = self.server.host, self.server.port
        self.target = {"runtime": "pg_ctl", "data_directory": str(self.server.data), "login_user": "postgres"}
        self.config = {"data": str(self.server.data)}
        self.sql, self.stop, self.remove = self.server.sql, self.server.stop, self.server.remove

    def start(self) -> None:
        self.server.start()

    def freeze(self) -> None:
        self.server.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.server.signal(signal.SIGCONT)


class InContainer:
    def __init__(self) -> None:
        self.project = containers.Project()
        settings = [word for item in SLOTS.items() for word in ("-c", "%s=%s" % item)]
        self.name = self.project.run(
            "postgres", "postgres:13", "-e", "POSTGRES_PASSWORD=" + PASSWORD, command=("postgres", *settings)
        )
        self._ready()
        networks = containers.inspect(self.name)["NetworkSettings"]["Networks"]
        self.host, self.port = next(iter(networks.values()))["IPAddress"], 5432
        self.target = {"project": self.project.name}
        self.config = {"project": self.project.name, "service": "postgres", "engine": "docker"}

    def sql(self, text: str) -> str:
        words = ("psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-c", text)
        return containers.docker("exec", self.name, *words)

    def _ready(self) -> None:
        ready = ("exec", self.name, "pg_isready", "-q", "-h", "127.0.0.1")
        until(lambda: subprocess.run(["docker", *ready], check=False, capture_output=True).returncode == 0)

    def stop(self) -> None:
        containers.docker("kill", "-s", "INT", self.name)
        containers.docker("wait", self.name)

    def start(self) -> None:
        containers.docker("start", self.name)
        self._ready()

    def freeze(self) -> None:
        containers.docker("pause", self.name)

    def thaw(self) -> None:
        containers.docker("unpause", self.name)

    def remove(self) -> None:
        self.project.remove()


@pytest.fixture(scope="module", params=[OnHost, InContainer], ids=["pg18-host", "pg13-container"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    made = request.param()
    try:
        made.sql("CREATE ROLE app LOGIN PASSWORD 'app'")
        role(made, password=PASSWORD)
        yield made
    finally:
        made.remove()


def role(site: Site, check: bool = False, **options: Any) -> dict[str, Any]:
    given = {"deadline_seconds": 60, **site.target, **options}
    checked = ArgumentSpecValidator(**monitoring_role.WORK.spec.arguments()).validate(given)
    assert not checked.error_messages, checked.error_messages
    with held("monitoring_role") as fitting:
        return fitting(monitoring_role.WORK.do(checked.validated_parameters, check))


class Watch:
    """The script as it stands on a host."""

    def __init__(self, directory: Path, site: Site, **config: Any) -> None:
        self.directory, self.textfile = directory, directory / "metrics.prom"
        shutil.copy(SCRIPT, directory)
        config = {
            "server": "db1",
            "state": directory,
            "log": directory / "log",
            "textfile": self.textfile,
            "AGAIN_SECONDS": 0,
            **site.config,
            **config,
        }
        (directory / "config").write_text("".join("%s=%s\n" % (k, shlex.quote(str(v))) for k, v in config.items()))
        quoted = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        (directory / "pgpass").write_text("*:*:*:*:%s\n" % quoted)
        (directory / "pgpass").chmod(0o600)

    def run(self, *words: str, shell: Any = SHELLS[0], path: str = "") -> subprocess.CompletedProcess[str]:
        environment = {"PATH": path + os.environ["PATH"], "HOME": str(self.directory)}
        return subprocess.run(
            [*shell, str(self.directory / "monitor.sh"), *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment,
        )

    def silent(self, **how: Any) -> dict[str, float]:
        """A run as the timer starts it; the metrics that it wrote."""
        done = self.run(**how)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return self.metrics()

    @property
    def lines(self) -> list[str]:
        return (self.directory / "log").read_text().splitlines()

    def metrics(self) -> dict[str, float]:
        """By name and labels but the server's. Each metric has its HELP and TYPE once, before all of its lines."""
        found: dict[str, float] = {}
        described: list[str] = []
        for line in self.textfile.read_text().splitlines():
            helped = re.fullmatch(r"# HELP (oncall_postgresql_[a-z_]+) \S.*", line)
            typed = re.fullmatch(r"# TYPE (oncall_postgresql_[a-z_]+) gauge", line)
            value = re.fullmatch(r'oncall_postgresql_([a-z_]+)\{server="db1"(?:,([a-z]+="[^"]*"))?\} (\d+)', line)
            if helped:
                assert helped[1] not in described
                described.append(helped[1])
            elif value:
                name = value[1] + (" " + value[2] if value[2] else "")
                assert described[-1] == "oncall_postgresql_" + value[1] and name not in found
                found[name] = float(value[3])
            else:
                assert typed and typed[1] == described[-1], line
        assert self.textfile.stat().st_mode & 0o777 == 0o644
        return found


@pytest.fixture
def watch(tmp_path: Path, site: Site) -> Watch:
    return Watch(tmp_path, site)


@contextlib.contextmanager
def sessions(site: Site, count: int) -> Iterator[list[Client]]:
    opened: list[Client] = []
    try:
        for _unused in range(count):
            opened.append(Client(host=site.host, port=site.port, user="app", password="app", dbname="postgres"))
        yield opened
    finally:
        for each in opened:
            each.close()
        until(lambda: site.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") == "0")


def test_figures_are_those_of_plain_sql(site: Site, watch: Watch) -> None:
    with sessions(site, 5) as (holder, waiter, working, *_idle):
        holder.run("BEGIN", "SELECT pg_advisory_lock(9)")
        waiter.start("SELECT pg_advisory_lock(9)")
        working.start("SELECT pg_sleep(120)")
        until(lambda: site.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1")
        until(
            lambda: (
                site.sql("SELECT now() - xact_start > '1 s' FROM pg_stat_activity WHERE pid = %d" % holder.pid) == "t"
            )
        )
        for shell in SHELLS:
            before = time.time()
            found = watch.silent(shell=shell)
            states = dict(
                line.split("|")
                for line in site.sql(
                    "SELECT state, count(*) FROM pg_stat_activity WHERE usename = 'app' GROUP BY 1"
                ).splitlines()
            )
            age = float(
                site.sql(
                    "SELECT extract(epoch FROM max(now() - xact_start)) FROM pg_stat_activity WHERE usename = 'app'"
                )
            )
            assert (
                {state: int(found['connections state="%s"' % state]) for state in states}
                == {state: int(count) for state, count in states.items()}
                == {"active": 2, "idle": 2, "idle in transaction": 1}
            )
            assert found["up"] == 1 and found['connections state="other"'] == 0
            assert (found["connections_used"], found["usable_connections"], found["max_connections"]) == (5, USABLE, 10)
            assert found["blocked_sessions"] == 1
            assert 1 <= found["oldest_transaction_seconds"] <= age + 1
            assert before - 1 <= found["last_success_timestamp_seconds"] <= time.time()
            assert found["slots_exhausted"] == found["alert_active"] == 0
            assert re.fullmatch(
                r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ db1 5 of 7 usable connection slots in use \(71%\): 2 active, "
                r"2 idle, 1 idle in transaction, 0 other; 1 blocked; oldest transaction \d+ s",
                watch.lines[-1],
            ), watch.lines
        site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
    said = watch.run("check").stdout
    assert said.startswith("0 of 7 usable connection slots in use (0%)") and len(watch.lines) == len(SHELLS)
    assert not list(watch.directory.glob("*.tmp"))


def test_one_alert_when_slots_run_out_and_one_when_it_is_over(tmp_path: Path, site: Site) -> None:
    with Http() as receiver:
        watch = Watch(tmp_path, site, webhook=receiver.url + "/alert", threshold=72)
        with sessions(site, 5):
            assert watch.silent()["alert_active"] == 0  # 71 %
        with sessions(site, 6):  # 85 %
            for _unused in range(2):
                assert watch.silent()["alert_active"] == 1
        with sessions(site, USABLE):
            found = watch.silent()
            assert (found["up"], found["slots_exhausted"], found["alert_active"]) == (0, 1, 1)
            assert "no connection slot left: " in watch.lines[-1] and "FATAL" in watch.lines[-1]
            assert found["last_success_timestamp_seconds"] > 0 and "connections_used" not in found
        with sessions(site, 5):
            assert watch.silent()["alert_active"] == 1  # not an end yet
        assert watch.silent()["alert_active"] == 0
        watch.silent()
        begun, over = receiver.bodies("/alert")
    assert begun["action"] == "trigger" and begun["host"] == "db1"
    assert "more than 72% of the connection slots in use: 6 of 7 usable connection slots" in begun["text"]
    assert over["action"] == "resolve" and over["text"].startswith("OK: PostgreSQL db1: 0 of 7")


def test_a_server_that_is_down(tmp_path: Path, site: Site) -> None:
    with Http() as receiver:
        watch = Watch(tmp_path, site, webhook=receiver.url + "/alert")
        success = watch.silent()["last_success_timestamp_seconds"]
        site.stop()
        receiver.status = 500
        for number in range(3):
            found = watch.silent()
            assert (found["up"], found["alert_active"], found["last_success_timestamp_seconds"]) == (0, 1, success)
            if number == 0:  # what could not be sent is sent by the next run
                assert "no alert by webhook: " in watch.lines[-1] and "500" in watch.lines[-1]
                receiver.status = 200
        site.start()
        found = watch.silent()
        assert found["up"] == 1 and found["last_success_timestamp_seconds"] >= success
        failed, begun, over = receiver.bodies("/alert")
    assert failed == begun and begun["action"] == "trigger" and "db1 does not answer: no answer: " in begun["text"]
    assert over["action"] == "resolve"


def test_a_frozen_server_is_not_waited_for_and_the_password_is_nowhere(site: Site, watch: Watch) -> None:
    seen: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for each in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            time.sleep(0.05)

    site.freeze()
    looking = threading.Thread(target=look)
    looking.start()
    begun = time.monotonic()
    try:
        found = watch.silent()
    finally:
        over.set()
        looking.join()
        site.thaw()
    assert found["up"] == 0 and time.monotonic() - begun < 20 and "no answer: " in watch.lines[-1]
    assert any("monitor.sh" in each for each in seen)
    assert not [each for each in seen if PASSWORD in each]
    written = "".join(each.read_text() for each in watch.directory.iterdir() if each.name != "pgpass")
    assert PASSWORD not in written and watch.silent()["up"] == 1


def test_it_never_runs_twice_at_once(watch: Watch) -> None:
    with (watch.directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert watch.run().returncode == 0
    assert watch.lines[-1].endswith(" db1 left out: the former run has not ended") and not watch.textfile.exists()
    assert watch.silent()["up"] == 1


def test_the_role_is_made_read_back_and_dropped(site: Site) -> None:
    def stands() -> str:
        return site.sql(
            "SELECT r.rolcanlogin, r.rolsuper, r.rolconnlimit, string_agg(g.rolname, ' ' ORDER BY g.rolname)"
            "  FROM pg_roles r LEFT JOIN pg_auth_members m ON m.member = r.oid LEFT JOIN pg_roles g ON g.oid = m.roleid"
            " WHERE r.rolname = 'watcher' GROUP BY 1, 2, 3"
        )

    asked: dict[str, Any] = {"role": "watcher", "password": PASSWORD, "connection_limit": 3}
    foreseen = role(site, check=True, **asked)
    assert foreseen["changed"] and stands() == ""
    done = role(site, **asked)
    assert (done["diff"], done["steps"]) == (foreseen["diff"], foreseen["steps"]) and PASSWORD not in str(done)
    memberships = "pg_monitor pg_use_reserved_connections" if isinstance(site, OnHost) else "pg_monitor"
    assert stands() == "t|f|3|" + memberships
    assert site.sql("SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'watcher'") == "t"
    assert not role(site, **asked)["changed"]
    site.sql("REVOKE pg_monitor FROM watcher; ALTER ROLE watcher CREATEDB VALID UNTIL 'yesterday'")
    assert role(site, **asked)["steps"] == ["attributes", "powers", "pg_monitor"] and stands() == "t|f|3|" + memberships
    assert role(site, **{**asked, "password": "another"})["steps"] == ["password"]
    assert role(site, role="watcher", state="absent", check=True)["changed"] and stands() != ""
    assert role(site, role="watcher", state="absent")["changed"] and stands() == ""
    assert not role(site, role="watcher", state="absent")["changed"]


def test_a_role_of_somebody_else_is_neither_taken_over_nor_dropped(site: Site) -> None:
    for state in ("present", "absent"):
        with pytest.raises(RefusedError, match="Role app exists and is not marked"):
            role(site, role="app", password=PASSWORD, state=state)
    assert site.sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app'") == "-1"


def test_a_role_that_cannot_be_made_whole_is_not_left(site: Site) -> None:
    site.sql("CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'maker'")
    maker: dict[str, Any] = {"login_user": "maker", "login_password": "maker"}
    try:
        if isinstance(site, OnHost):  # from 16 on, nobody passes on what he may not; before, CREATEROLE may
            with pytest.raises(UnprovenError, match="It was dropped again"):
                role(site, role="halfway", **maker)
            assert site.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'halfway'") == "0"
        else:
            assert role(site, role="halfway", password=PASSWORD, **maker)["changed"]
            assert not role(site, role="halfway", password=PASSWORD, **maker)["changed"]
            site.sql("DROP ROLE halfway")
    finally:
        site.sql("DROP ROLE maker")


def test_sight_is_checked_and_no_figure_is_made_up(site: Site, watch: Watch) -> None:
    site.sql("REVOKE pg_monitor FROM oncall_monitor")
    try:
        found = watch.silent()
        assert found["up"] == 0 and "connections_used" not in found
        assert 'does not see the sessions of others: GRANT pg_monitor TO "oncall_monitor"' in watch.lines[-1]
    finally:
        role(site, password=PASSWORD)
    site.sql("ALTER ROLE oncall_monitor NOLOGIN")
    try:
        (watch.directory / "alert.log").write_text("none\n")
        assert watch.silent()["up"] == 0
        assert " PostgreSQL db1 refuses the monitoring login: login refused: " in watch.lines[-1]
        assert watch.lines[-1].endswith(". Run: ansible-playbook oncall.postgresql.triage --limit db1")
    finally:
        role(site, password=PASSWORD)


def test_one_missed_answer_wakes_nobody(tmp_path: Path, site: Site) -> None:
    """It is asked for again first; that it is missed once stands in the log."""
    watch = Watch(tmp_path, site, AGAIN_SECONDS=3)
    site.sql("ALTER ROLE oncall_monitor NOLOGIN")
    try:
        with subprocess.Popen(["sh", str(watch.directory / "monitor.sh")]) as run:
            until((tmp_path / "log").exists)
            site.sql("ALTER ROLE oncall_monitor LOGIN")
        assert run.returncode == 0
    finally:
        role(site, password=PASSWORD)
    first, second = watch.lines
    assert " login refused: " in first and first.endswith("; asking again") and " 0 of 7 usable " in second
    assert (watch.metrics()["up"], watch.metrics()["alert_active"]) == (1, 0)


def test_a_name_is_a_name_whatever_is_in_it(tmp_path: Path, site: Site) -> None:
    name = 'o\'ne=1 "x" $HOME'
    site.sql('CREATE DATABASE "%s"' % name.replace('"', '""'))
    try:
        assert Watch(tmp_path, site, database=name).silent()["up"] == 1
    finally:
        site.sql('DROP DATABASE "%s"' % name.replace('"', '""'))


def test_a_reserved_slot_answers_when_the_others_are_gone(tmp_path: Path) -> None:
    made = OnHost()
    try:
        made.sql("CREATE ROLE app LOGIN PASSWORD 'app'; ALTER SYSTEM SET reserved_connections = 2")
        role(made, password=PASSWORD)
        made.stop()
        made.start()
        watch = Watch(tmp_path, made)
        with sessions(made, USABLE - 2):
            found = watch.silent()
        assert (found["up"], found["connections_used"], found["usable_connections"]) == (1, 5, 5)
        assert found["alert_active"] == 1
    finally:
        made.remove()


def nobody(directory: Path, **config: Any) -> Watch:
    """A host on which no PostgreSQL is running."""
    site: Any = type("Nobody", (), {"config": {"data": str(directory)}})
    return Watch(directory, site, **config)


def test_another_server_is_never_asked_in_its_place(tmp_path: Path) -> None:
    """Without a data directory psql would take the socket and port that it was built with."""
    gone = tmp_path / "not-mounted"
    watch = nobody(tmp_path, data=gone)
    assert watch.silent()["up"] == 0
    assert " db1 cannot be watched: cannot ask: %s cannot be entered" % gone in watch.lines[-1]
    assert watch.lines[-1].endswith(". Run: ansible-playbook oncall.postgresql.triage --limit db1")
    tried = watch.run("test")
    assert (tried.returncode, tried.stdout.partition(" only: ")[2]) == (
        1,
        "set monitoring_mail or monitoring_webhook\n",
    )


def test_a_stale_postmaster_pid_leads_to_no_other_server(tmp_path: Path, site: Site) -> None:
    """Its server crashed, and its port is another one's by now, where the password may be the same."""
    lines = [str(exited()), "-", "0", str(site.port), "", site.host]
    (tmp_path / "postmaster.pid").write_text("".join(line + "\n" for line in lines))
    watch = nobody(tmp_path)
    assert watch.silent()["up"] == 0
    assert "no answer: no server is running in %s: its postmaster.pid is stale" % tmp_path in watch.lines[0]


def exited() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize("shell", SHELLS, ids=["dash", "busybox"])
def test_runs_that_are_left_out_are_an_alert(tmp_path: Path, shell: list[str]) -> None:
    with Http() as receiver:
        watch = nobody(tmp_path, webhook=receiver.url + "/alert")
        with (tmp_path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for number in range(4):
                assert bool(receiver.bodies("/alert")) == (number == 3)
                assert watch.run(shell=shell).returncode == 0
        (begun,) = receiver.bodies("/alert")
    assert "db1 cannot be watched: 3 runs were left out: a former run of %s" % tmp_path in begun["text"]


@pytest.mark.parametrize("shell", SHELLS, ids=["dash", "busybox"])
@pytest.mark.parametrize("how", ["full", "ro"])
def test_a_disk_that_takes_nothing_more_repeats_no_alert(tmp_path: Path, shell: list[str], how: str) -> None:
    """An alert that is on since before; the next one still gets out, on a full disk once."""
    state = tmp_path / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(state)], check=True)
    try:
        with Http() as receiver:
            watch = nobody(tmp_path, state=state, log=state / "log", webhook=receiver.url + "/alert")
            (state / "success").write_text("1790000000\n")
            watch.silent(shell=shell)
            assert len(receiver.bodies("/alert")) == 1
            if how == "ro":
                subprocess.run(["mount", "-o", "remount,ro", str(state)], check=True)
            else:
                with contextlib.suppress(OSError), (state / "fills").open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(4096))
            for _unused in range(2):
                watch.run(shell=shell)
                assert watch.metrics()["last_success_timestamp_seconds"] == 1790000000
            assert len(receiver.bodies("/alert")) == 1
            (tmp_path / "psql").write_text("#!/bin/sh\necho oncall 1 10 7 7 7 0 0 0 0\n")
            (tmp_path / "psql").chmod(0o755)
            with (tmp_path / "config").open("a") as config:
                config.write("host=127.0.0.1 bin=%s\n" % tmp_path)
            for _unused in range(2):
                watch.run(shell=shell)
            said = [body["text"] for body in receiver.bodies("/alert")[1:]]
        assert len(said) == (1 if how == "full" else 2)
        assert {"more than 80% of the connection slots in use" in text for text in said} == {True}
    finally:
        subprocess.run(["umount", str(state)], check=True)


@pytest.mark.parametrize("shell", SHELLS, ids=["dash", "busybox"])
def test_a_message_in_another_encoding_is_json(tmp_path: Path, shell: list[str]) -> None:
    (tmp_path / "psql").write_bytes("#!/bin/sh\necho 'psql: FATAL:  Rôle \"x\" inconnu' >&2\n".encode("latin-1"))
    (tmp_path / "psql").chmod(0o755)
    with Http() as receiver:
        nobody(tmp_path, host="127.0.0.1", bin=tmp_path, webhook=receiver.url + "/alert").silent(shell=shell)
        (begun,) = receiver.bodies("/alert")
    assert 'login refused: psql: FATAL:  Rle "x" inconnu. Run: ' in begun["text"]


@pytest.mark.parametrize("poster", ["curl", "wget"])
def test_a_webhook_that_has_moved_has_got_nothing(tmp_path: Path, poster: str) -> None:
    (tmp_path / "bin").mkdir()
    for each in ("sh", "flock", "timeout", "date", "sed", "tr", "rm", "mv", "iconv", "sleep", "grep", "cat", poster):
        (tmp_path / "bin" / each).symlink_to(str(shutil.which(each)))
    with Http() as receiver:
        receiver.status = 301
        watch = nobody(tmp_path, webhook=receiver.url + "/alert")
        script = (watch.directory / "monitor.sh").read_text()
        (watch.directory / "monitor.sh").write_text(re.sub(r"(?m)^PATH=.*", "PATH=%s/bin" % tmp_path, script))
        watch.silent()
        assert re.search("no alert by webhook: (HTTP status 301|0 redirections)", watch.lines[-1])
        receiver.status = 200
        watch.silent()
        assert [path for path, _headers, _body in receiver.got] == ["/alert"] * 2


@pytest.mark.parametrize("shell", SHELLS, ids=["dash", "busybox"])
@pytest.mark.parametrize("answer", ["1 10 7 0 0", "1 10 7 x 0 0 0 0 0", "1 10 7 0 0 0 0 0 -1", "1 10 7 0 0 0 0 0 0 0"])
def test_what_is_no_row_of_figures_is_no_answer(tmp_path: Path, shell: list[str], answer: str) -> None:
    (tmp_path / "psql").write_text("#!/bin/sh\necho oncall %s\n" % answer)
    (tmp_path / "psql").chmod(0o755)
    watch = nobody(tmp_path, host="127.0.0.1", bin=tmp_path)
    found = watch.silent(shell=shell)
    assert found["up"] == 0 and "connections_used" not in found
    assert " db1 no answer: oncall %s" % answer in watch.lines[0]


@pytest.mark.parametrize("shell", SHELLS, ids=["dash", "busybox"])
def test_metrics_are_whole_or_those_of_before(tmp_path: Path, shell: list[str]) -> None:
    """On a full disk, with damaged state, and with a symlink where root is to write."""
    watch = nobody(tmp_path)
    (tmp_path / "success").write_text('2"x\n')
    assert watch.silent(shell=shell)["last_success_timestamp_seconds"] == 0
    before = watch.textfile.read_text()
    for each in ("log", "alert.log"):
        (tmp_path / each).unlink()

    def little() -> None:  # no file grows over so many bytes: the log has its lines, the metrics have no room
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))

    subprocess.run([*shell, str(tmp_path / "monitor.sh")], check=True, timeout=60, preexec_fn=little)
    assert watch.textfile.read_text() == before and not (tmp_path / "metrics.prom.tmp").exists()
    assert any("the metrics could not be written to %s" % watch.textfile in line for line in watch.lines)
    precious = tmp_path / "precious"
    precious.write_text("of somebody else")
    precious.chmod(0o600)
    (tmp_path / "metrics.prom.tmp").symlink_to(precious)
    assert watch.silent(shell=shell)["up"] == 0
    assert precious.read_text() == "of somebody else" and precious.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("shell", SHELLS, ids=["dash", "busybox"])
@pytest.mark.parametrize("body", ["trap '' TERM; while :; do sleep 1; done", "sleep 60 &"], ids=["hangs", "child"])
def test_a_mailer_does_not_hold_it(tmp_path: Path, shell: list[str], body: str) -> None:
    sendmail = tmp_path / "sendmail"
    sendmail.write_text("#!/bin/sh\n%s\n" % body)
    sendmail.chmod(0o755)
    watch = nobody(tmp_path, mail="oncall@example.org", SEND_SECONDS=1)
    begun = time.monotonic()
    with (tmp_path / "out").open("w") as out:  # no pipe of ours either
        subprocess.run(
            [*shell, str(tmp_path / "monitor.sh")],
            check=True,
            timeout=50,
            stdout=out,
            stderr=out,
            env={"PATH": "%s:%s" % (tmp_path, os.environ["PATH"])},
        )
    assert time.monotonic() - begun < 20 and (tmp_path / "out").read_text() == ""
    assert ("no alert by mail" in watch.lines[-1]) == ("trap" in body)


def test_mail(tmp_path: Path) -> None:
    """By SMTP to a real server; there is no PostgreSQL to ask."""
    with Mailbox() as mailbox:
        (tmp_path / "bin").mkdir()
        sendmail = tmp_path / "bin" / "sendmail"
        sendmail.write_text(SENDMAIL.format(python=sys.executable, port=mailbox.port))
        sendmail.chmod(0o755)
        watch = nobody(tmp_path, mail="oncall@example.org, dba@example.org")
        for _unused in range(2):
            assert watch.silent(path="%s:" % sendmail.parent)["up"] == 0
        done = watch.run("test", path="%s:" % sendmail.parent)
        assert (done.returncode, done.stdout) == (0, "")
    to = ["dba@example.org", "oncall@example.org"]
    assert mailbox.got == [("PostgreSQL db1 does not answer", to), ("Test: PostgreSQL db1", to)]
    assert "no server is running in %s" % tmp_path in mailbox.texts[0]
