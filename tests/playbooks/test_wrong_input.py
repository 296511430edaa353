# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input as the terminal shows it: one line that says what to do, before anything is looked at or touched."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .test_real_servers import Controller

REMEDIES = (
    "cancel_queries, credentials_reset, graceful_restart, network_repair, pool_reset, reload, rollback_prepared, start"
)
SERVER = {"runtime": "remote", "login_host": "127.0.0.1", "login_port": 1, "connect_timeout_seconds": 1}


def told(out: str) -> str:
    """The terminal's output, whole, without what Ansible says around a line of ours: where, and that twice."""
    out = re.sub(r"\x1b\[[0-9;]*m", "", out)
    out = re.sub(r"\nOrigin: .*?\^ column \d+\n", "\n", out, flags=re.S)
    out = re.sub(r"(PLAY|TASK) \[(.*?)\] \**", r"\1 [\2]", out)
    out = re.sub(r"^(\w+) +: ok=.*failed=(\d+).*$", r"\1 failed=\2", out, flags=re.M)
    if "[ERROR]: " not in out:  # the oldest Ansible says it in the result alone
        out = re.sub(r"^(?=fatal: .*?=> (.*)$)", _error, out, flags=re.M)
    out = re.sub(r"^fatal: \[(\w+)\]: FAILED! => .*$", r"fatal: [\1]", out, flags=re.M)
    return "\n".join(line.rstrip() for line in out.split("\n") if line.strip())


def _error(fatal: re.Match[str]) -> str:
    return "[ERROR]: Task failed: Action failed: %s\n" % json.loads(fatal.group(1))["msg"]


def refused(host: str, line: str) -> str:
    return "\n".join(
        [
            "PLAY [(1/4) Check and look]",
            "TASK [Check what was given]",
            "[ERROR]: Task failed: Action failed: Nothing was done. %s" % line,
            "fatal: [%s]" % host,
            "PLAY RECAP %s" % ("*" * 69),
            "%s failed=1" % host,
        ]
    )


@pytest.mark.parametrize(
    "verb, words, line",
    [
        (
            "pool_reset",
            ["-e", "oncall_idle_minute=5"],
            "pool_reset has no variable oncall_idle_minute. Did you mean oncall_idle_minutes?",
        ),
        ("reload", ["-e", "oncall_verb=pool_reset"], "oncall_verb is the playbooks' own. Leave it out."),
        ("respond", ["-e", '{"oncall_triage": {}}'], "oncall_triage is the playbooks' own. Leave it out."),
        ("pool_reset", ["-e", "oncall_idle_minutes=30min"], "oncall_idle_minutes is '30min'. Give a number."),
        ("pool_reset", ["-e", "oncall_idle_minutes="], "oncall_idle_minutes is empty. Give a value, or leave it out."),
        ("pool_reset", ["-e", "oncall_plan=ture"], "oncall_plan is 'ture'. Give true or false."),
        (
            "pool_reset",
            ["-e", "oncall_state=idle in transaction"],
            "-e contains 'in transaction', which belongs to no variable: a blank ends a value. Give it as JSON, such "
            'as -e \'{"oncall_state": "idle_in_transaction"}\'.',
        ),
        ("pool_reset", ["-e", '{"oncall_pids": [4]}'], "pool_reset has no variable oncall_pids. cancel_queries has."),
        ("cancel_queries", ["-e", '{"oncall_pids": []}'], "oncall_pids is empty. Give a value, or leave it out."),
        (
            "cancel_queries",
            ["-e", "oncall_pid=4"],
            "cancel_queries has no variable oncall_pid. Did you mean oncall_pids?",
        ),
        (
            "respond",
            ["-e", "oncall_auto_remedy=start"],
            "respond has no variable oncall_auto_remedy. Did you mean oncall_auto_remedies?",
        ),
        (
            "rollback_prepared",
            [],
            "oncall_gid is required. Give -e oncall_gid=... (its name, as in pg_prepared_xacts).",
        ),
        (
            "credentials_reset",
            ["-e", '{"oncall_role": "app", "oncall_password": "{{ 7*7 }}"}'],
            "oncall_password contains template marks, which Ansible would evaluate. Give it as text: "
            '-e \'{"oncall_password": !unsafe "..."}\'.',
        ),
        (
            "respond",
            ["-e", "oncall_auto_remedies=start,strat"],
            "oncall_auto_remedies contains 'strat'. Give any of: %s." % REMEDIES,
        ),
        (
            "respond",
            ["-e", '{"oncall_auto_remedies": true}'],
            "oncall_auto_remedies is True. Give a list, of any of: %s." % REMEDIES,
        ),
        ("reload", ["-e", "oncall_fail_on=bad"], "oncall_fail_on is 'bad'. Give one of: warning, critical, emergency."),
    ],
)
def test_a_wrong_variable(tmp_path: Path, verb: str, words: list[str], line: str) -> None:
    controller = Controller(tmp_path, {"db": SERVER})
    code, out = controller.run("ansible-playbook", "oncall.postgresql.%s" % verb, *words)
    assert (code, told(out)) == (2, refused("db", line))


@pytest.mark.parametrize(
    "words, line",
    [
        (
            ["-e", "oncall_hosts=postgres"],
            "no host is in 'postgres'. Name another group, host or pattern with -e oncall_hosts=NAME. "
            "The inventory has: postgresql.",
        ),
        (
            ["-i", "web,", "--limit", "web"],
            "no host of 'postgresql' is within --limit web. Name others with -e oncall_hosts=NAME.",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["triage", "pool_reset", "respond"])
def test_no_hosts(tmp_path: Path, verb: str, words: list[str], line: str) -> None:
    code, out = Controller(tmp_path, {"db": SERVER}).run("ansible-playbook", "oncall.postgresql.%s" % verb, *words)
    assert code != 0
    assert told(out).rsplit("\n", maxsplit=1)[-1].endswith(line), out
    assert "PLAY [" not in out and "Traceback" not in out


def test_no_target(tmp_path: Path) -> None:
    code, out = Controller(tmp_path, {"db": {}, "named": SERVER}).run("ansible-playbook", "oncall.postgresql.triage")
    assert code == 2, out
    assert "Nothing says which server is meant: oncall_target is missing." in " ".join(out.split())
    assert "oncall_target: {runtime: compose, project: shop, service: postgres}" in " ".join(out.split())
    assert "── named ──" in out and "Traceback" not in out and "is undefined" not in out


@pytest.mark.parametrize(
    "target, line",
    [
        ({**SERVER, "login_hots": "x"}, "there is no option login_hots. Did you mean login_host?"),
        ({**SERVER, "clients": ["api"]}, "clients is ['api']. Give [{service: api}]."),
        ({**SERVER, "idle_minutes": "half an hour"}, "idle_minutes is 'half an hour'. Give a number."),
        ({"runtime": "docker"}, "runtime is 'docker'. Give one of: compose, pg_ctl, remote."),
    ],
)
def test_a_wrong_target_is_reported_and_does_not_stop_the_others(tmp_path: Path, target: Any, line: str) -> None:
    code, out = Controller(tmp_path, {"db": target, "named": SERVER}).run(
        "ansible-playbook", "oncall.postgresql.triage"
    )
    assert code == 2, out
    assert "Wrong options: %s" % line in " ".join(out.split())
    assert "── named ──" in out and "Traceback" not in out


def test_a_target_that_is_text(tmp_path: Path) -> None:
    code, out = Controller(tmp_path, {"db": "shop"}).run("ansible-playbook", "oncall.postgresql.reload")  # type: ignore[dict-item]
    line = "db: oncall_target must be a dictionary, such as {project: shop}, not 'shop'."
    assert (code, told(out)) == (2, refused("db", line))


def test_the_same_server_twice(tmp_path: Path) -> None:
    controller = Controller(tmp_path, {"a": SERVER, "b": SERVER})
    line = "a and b are the same server (127.0.0.1:1). Leave one of them out: --limit a."
    code, out = controller.run("ansible-playbook", "oncall.postgresql.reload")
    assert (code, told(out)) == (2, refused("a", line))
    code, out = controller.run("ansible-playbook", "oncall.postgresql.triage")
    assert code == 0 and "[WARNING]: a and b are the same server (127.0.0.1:1)." in out, out
