# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout over eight real servers, each of another kind; what stands is read by plain SQL, never from our output."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import Server
from tests.playbooks.test_real_servers import beside
from tests.sshd import Sshd

from .stack import Stack, playbook, wait_for, write_inventory

FREE = {"command": ["postgres"]}  # nothing on its command line
LIMITS = {"small": "768m", "large": "1g", "pinned": "1g", "wrong": "256m"}
NOW = ("-e", "oncall_restart=true", "-e", "oncall_approve=true", "-e", "oncall_soak_minutes=0.05")
WANTED = {"checkpoint_completion_target": "0.9", "wal_buffers": "16MB", "statement_timeout": "30s"}


class Fleet:
    """Four servers of Compose with other memory limits, four of pg_ctl: one tuned already, one that is down, a primary
    with its standby."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.stacks = {name: Stack("fleet-" + name) for name in LIMITS}
        self.servers = {name: Server() for name in ("tuned", "sick", "primary", "standby")}
        self.vars: dict[str, dict[str, Any]] = {"wrong": {"tuning_memory": "64GB"}}  # it is told a lie

    def start(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._up, self.stacks))
        for name in ("tuned", "sick", "primary"):
            self.servers[name].start()
        self._follow(self.servers["primary"], self.servers["standby"])
        self.servers["sick"].stop()

    def _up(self, name: str) -> None:
        limits = {"mem_limit": LIMITS[name], "shm_size": "16g" if name == "wrong" else "256m"}
        more = {} if name == "pinned" else FREE
        self.stacks[name].up(override={"services": {"postgres": {**limits, **more}}})

    @staticmethod
    def _follow(primary: Server, standby: Server) -> None:
        primary.hba("local replication all trust")
        for each in standby.data.iterdir():
            subprocess.run(["rm", "-rf", str(each)], check=True)
        where = ["-h", str(primary.directory), "-p", str(primary.port), "-U", "postgres"]
        standby.run("pg_basebackup", *where, "-D", standby.data, "-R", "-c", "fast")
        standby.conf(port=standby.port, unix_socket_directories=standby.directory)
        standby.start()

    def close(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Stack.close, self.stacks.values()))
        for server in self.servers.values():
            server.remove()

    def inventory(self) -> Path:
        hosts: dict[str, dict[str, Any]] = {
            name: {"oncall_target": stack.target()} for name, stack in self.stacks.items() if name != "wrong"
        }
        for name, server in self.servers.items():
            hosts[name] = {"oncall_target": beside(server, clients=[]), "tuning_memory": "1GB"}
        hosts["primary"]["tuning_overrides"] = hosts["standby"]["tuning_overrides"] = {
            "max_connections": 150,
            "work_mem": "1MB",
        }
        hosts["wrong"] = {"oncall_target": self.stacks["wrong"].target()}  # the last one
        for name, mine in hosts.items():
            mine.update({"tuning_storage": "ssd", **self.vars.get(name, {})})
            mine.setdefault("tuning_overrides", {"max_connections": 25})
        return write_inventory(self.work, hosts)

    def play(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        kept = "oncall_rollout_dir=%s" % (self.work / "kept")
        return playbook("oncall.postgresql." + name, "-i", str(self.inventory()), "-e", kept, *words, timeout=900)

    def sql(self, host: str, text: str) -> str:
        if host in self.stacks:
            return self.stacks[host].sql(text).strip()
        return self.servers[host].sql(text)

    def stands(self, host: str) -> dict[str, str]:
        """What its postgresql.auto.conf says."""
        rows = self.sql(
            host,
            "SELECT json_object_agg(name, setting) FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'"
            " AND name <> 'primary_conninfo'",
        )
        found: dict[str, str] = json.loads(rows or "null") or {}
        return found

    def state(self) -> dict[str, Any]:
        running = [*self.stacks, "tuned", "primary", "standby"]
        return {each: (self.stands(each), self.sql(each, "SELECT pg_postmaster_start_time()")) for each in running}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        made.start()
        yield made
    finally:
        made.close()


def notes(out: str, host: str) -> str:
    """What the report says was done on a host."""
    part = re.search(r"── %s ─.*?(?=\n── |\n═══)" % host, out, re.S)
    assert part, out
    return " ".join(" ".join(re.findall(r"Done:(.*?)(?=\n  Done:|\n\n)", part[0], re.S)).split())


def test_a_fleet_is_tuned_and_what_gets_worse_goes_back(fleet: Fleet) -> None:
    # One is tuned before.
    done = fleet.play("tune", "--limit", "tuned", *NOW)
    assert done.returncode == 0, done.stdout + done.stderr
    tuned = fleet.state()
    assert tuned["tuned"][0]["shared_buffers"] == "256MB" == fleet.sql("tuned", "SHOW shared_buffers")

    # The review changes nothing.
    done = fleet.play("tune", "--check", "--diff", *NOW)
    assert done.returncode == 0 and "shared_buffers" in done.stdout, done.stdout + done.stderr
    assert fleet.state() == tuned

    done = fleet.play("tune", "-e", "oncall_serial=1,2,1,2", *NOW)
    out = done.stdout + done.stderr
    print(out)
    state = fleet.state()
    assert done.returncode == 2, out
    assert state["tuned"] == tuned["tuned"] and "not changed" in notes(out, "tuned")
    assert "not tuned: server_down" in notes(out, "sick")
    for host, megabytes in (("small", 192), ("large", 256), ("standby", 256)):
        assert fleet.sql(host, "SHOW shared_buffers") == "%dMB" % megabytes, host
        for name, value in WANTED.items():
            assert fleet.sql(host, "SHOW " + name) == value, (host, name)
    assert fleet.sql("pinned", "SHOW max_connections") == "30" and "max_connections" not in state["pinned"][0]
    assert "max_connections left as it is" in notes(out, "pinned")
    assert fleet.sql("standby", "SHOW max_connections") == "150"
    # In a batch with the one that got worse: back to what it was.
    assert fleet.sql("primary", "SHOW max_connections") == "100" and state["primary"][0] == tuned["primary"][0] == {}
    assert state["wrong"][0] == {} and fleet.sql("wrong", "SHOW shared_buffers") == "128MB"
    assert "put back" in notes(out, "wrong") and "wrong" in notes(out, "primary")
    assert "streaming" in fleet.sql("primary", "SELECT state FROM pg_stat_replication")

    # The truth told, it goes on where it was, and then there is nothing left to do.
    fleet.vars["wrong"] = {"tuning_overrides": {"max_connections": 20, "work_mem": "1MB"}}
    done = fleet.play("tune", *NOW)
    print(done.stdout)
    after = fleet.state()
    assert done.returncode == 0, done.stdout + done.stderr
    assert fleet.sql("primary", "SHOW max_connections") == "150" and fleet.sql("wrong", "SHOW shared_buffers") == "64MB"
    assert {name: after[name] for name in ("small", "large", "pinned", "standby")} == {
        name: state[name] for name in ("small", "large", "pinned", "standby")
    }
    done = fleet.play("tune", *NOW)
    assert done.returncode == 0 and fleet.state() == after, done.stdout + done.stderr


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[dict[str, Server]]:
    made = {name: Server(18).start() for name in ("one", "two")}
    yield made
    for server in made.values():
        server.remove()


def tune(work: Path, pair: dict[str, Server], verb: str, *words: str, **overrides: Any) -> list[str]:
    """The command line; ``overrides`` are the first one's."""
    hosts = {
        name: {"oncall_target": beside(server, clients=[]), "tuning_memory": "1GB"} for name, server in pair.items()
    }
    for name, mine in hosts.items():
        mine.update(
            tuning_storage="ssd", tuning_overrides={"max_connections": 25, **(overrides if name == "one" else {})}
        )
    kept = "oncall_rollout_dir=%s" % (work / "kept")
    return ["oncall.postgresql." + verb, "-i", str(write_inventory(work, hosts)), "-e", kept, *NOW, *words]


def altered(server: Server) -> str:
    return server.sql("SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'")


def test_a_server_that_does_not_start_gets_its_former_values_back(tmp_path: Path, pair: dict[str, Server]) -> None:
    """The server's own program, which is asked before, is asked without its log files: it does not find this. The next
    one of the batch is not restarted then, and not said to use what it never had."""
    started = pair["two"].sql("SELECT pg_postmaster_start_time()")
    words = tune(tmp_path, pair, "tune", "-e", "oncall_serial=2", logging_collector="on", log_directory="/proc/none")
    done = playbook(*words, timeout=400)
    out = done.stdout + done.stderr
    assert done.returncode == 2 and "put back: restart failed" in notes(out, "one"), out
    assert notes(out, "two") == "put back: all of a batch go back, and one got worse", out
    assert pair["one"].sql("SHOW logging_collector") == "off"
    assert altered(pair["one"]) == altered(pair["two"]) == "0"
    assert pair["two"].sql("SELECT pg_postmaster_start_time()") == started


# A decision of the rollout fails, and with it whatever says how one server is reached, such as a vault.
BREAKS = """
import os
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "breaks"

    def v2_playbook_on_task_start(self, task, is_conditional):
        if task.name == "Compare with before":
            task.args["state"] = "no such state"
            if os.path.exists(%r):
                os.unlink(%r)
"""


def test_what_fails_in_the_rollout_itself_leaves_no_server_half_tuned(tmp_path: Path, pair: dict[str, Server]) -> None:
    vault = tmp_path / "vault"
    vault.write_text("postgres")
    (tmp_path / "breaks.py").write_text(BREAKS % (str(vault), str(vault)))
    pair["three"] = Server(18).start()
    words = tune(tmp_path, pair, "tune", "-e", "oncall_serial=2,1")
    inventory = tmp_path / "inventory.json"
    given = json.loads(inventory.read_text())
    given["postgresql"]["hosts"]["one"]["oncall_target"]["login_user"] = (
        "{{ lookup('ansible.builtin.file', '%s') }}" % vault
    )
    inventory.write_text(json.dumps(given))
    done = playbook(*words, timeout=400, ANSIBLE_CALLBACK_PLUGINS=str(tmp_path))
    out = done.stdout + done.stderr
    assert done.returncode == 2 and "put back: the rollout itself failed" in notes(out, "two"), out
    assert "NOT put back: " in notes(out, "one") and "run this again to go on" in notes(out, "one"), out
    assert "not tuned: the rollout was stopped at one, two" in notes(out, "three"), out
    assert altered(pair["two"]) == altered(pair["three"]) == "0" != altered(pair["one"])


def test_a_host_that_is_lost_in_the_middle_takes_none_with_it(tmp_path: Path, pair: dict[str, Server]) -> None:
    words = tune(tmp_path, pair, "tune", "-e", "oncall_serial=2")
    inventory = tmp_path / "inventory.json"
    given = json.loads(inventory.read_text())
    with Sshd() as sshd:
        given["postgresql"]["hosts"]["two"].update(sshd.over_ssh())
        inventory.write_text(json.dumps(given))
        program = [sys.executable, str(Path(sys.executable).parent / "ansible-playbook"), *words]
        with open(tmp_path / "out", "w") as out:
            plain = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
            running = subprocess.Popen(program, stdout=out, stderr=subprocess.STDOUT, env=plain)
        wait_for(lambda: altered(pair["two"]) != "0")
    code = running.wait()
    told = (tmp_path / "out").read_text()
    assert code == 4, told
    assert "NOT put back: it is not reached. Once that is corrected, run this again" in notes(told, "two"), told
    assert "put back: " in notes(told, "one") and altered(pair["one"]) == "0", told


def test_a_killed_rollout_goes_on_and_can_be_taken_back(tmp_path: Path, pair: dict[str, Server]) -> None:
    words = tune(tmp_path, pair, "tune")
    program = [sys.executable, str(Path(sys.executable).parent / "ansible-playbook"), *words]
    begun = subprocess.Popen(program, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: altered(pair["one"]) != "0")
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    done = playbook(*words, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [server.sql("SHOW shared_buffers") for server in pair.values()] == ["256MB", "256MB"]
    done = playbook(*tune(tmp_path, pair, "tune_restore"), timeout=400)
    times = re.findall(r"(\d{8}T[\d.]+Z): before tune, (came to no end|done)", done.stdout)
    assert [how for _at, how in times].count("came to no end") == 1, done.stdout
    first = {name: sorted((tmp_path / "kept" / name).iterdir())[0].stem for name in pair}
    for name, at in first.items():
        again = playbook(
            *tune(tmp_path, pair, "tune_restore"), "--limit", name, "-e", "oncall_snapshot=" + at, timeout=400
        )
        assert again.returncode == 0, again.stdout + again.stderr
    assert [altered(server) for server in pair.values()] == ["0", "0"]
    assert [server.sql("SHOW shared_buffers") for server in pair.values()] == ["16MB", "16MB"]


def test_what_fails_is_told_and_each_host_says_itself_whether_it_may_be_restarted(
    tmp_path: Path, pair: dict[str, Server]
) -> None:
    words = tune(tmp_path, pair, "tune")[: -len(NOW)]
    words += ["-e", "oncall_soak_minutes=0.01", "-e", "oncall_serial=2"]
    inventory = tmp_path / "inventory.json"
    given = json.loads(inventory.read_text())
    given["postgresql"]["hosts"]["one"].update(oncall_restart=True, oncall_approve=True)
    inventory.write_text(json.dumps(given))
    started = {name: server.sql("SELECT pg_postmaster_start_time()") for name, server in pair.items()}
    done = playbook(*words, timeout=400)
    assert done.returncode == 0 and "oncall_restart=true to restart it" in notes(done.stdout, "two"), done.stdout
    assert [started[name] == server.sql("SELECT pg_postmaster_start_time()") for name, server in pair.items()] == [
        False,
        True,
    ]
    restore = [words[0] + "_restore", *words[1:]]
    done = playbook(*restore, "-e", "oncall_snapshot=yesterday", timeout=400)
    assert done.returncode == 2 and "There is no snapshot yesterday" in notes(done.stdout, "one"), done.stdout
    given["postgresql"]["hosts"]["one"]["tuning_overrides"]["no_such_setting"] = 1
    inventory.write_text(json.dumps(given))
    done = playbook(*words, timeout=400)
    assert done.returncode == 2 and "no such parameter" in notes(done.stdout, "one"), done.stdout
    assert "refused" not in notes(done.stdout, "two")
