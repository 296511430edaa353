# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input as the terminal shows it: one line that says what to do, before any server is checked or touched."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from .test_real_servers import Controller

REMEDIES = (
    "cancel_queries, credentials_reset, graceful_restart, network_repair, pool_reset, reload, rollback_prepared, start"
)
SERVER = {"runtime": "remote", "login_host": "127.0.0.1", "login_port": 1, "connect_timeout_seconds": 1}
OTHER = {**SERVER, "login_port": 2}


def told(out: str) -> str:
    """The terminal's output, whole. Normalised is what other releases of Ansible show in another way (where in the file
    it was; the counts of the recap), the time that a look took, and blank lines."""
    out = re.sub(r"\x1b\[[0-9;]*m", "", out)
    out = re.sub(r"\nOrigin: .*?\^ column \d+\n", "\n", out, flags=re.S)
    out = re.sub(r"(PLAY|TASK) \[(.*?)\] \**", r"\1 [\2]", out)
    out = re.sub(r"^(\w+) +: ok=.*failed=(\d+).*$", r"\1 failed=\2", out, flags=re.M)
    if "[ERROR]: " not in out:  # the oldest Ansible says it in the result alone
        out = re.sub(r"^(?=fatal: .*?=> (.*)$)", _error, out, flags=re.M)
    out = re.sub(r"^fatal: \[(\w+)\]: FAILED! => (.*)$", _fatal, out, flags=re.M)
    out = re.sub(r"checked in [\d.]+ m?s", "checked in N ms", out)
    return "\n".join(line.rstrip() for line in out.split("\n") if line.strip())


def _error(fatal: re.Match[str]) -> str:
    return "[ERROR]: Task failed: Action failed: %s\n" % json.loads(fatal.group(1))["msg"]


def _fatal(fatal: re.Match[str]) -> str:
    result = json.loads(fatal.group(2))
    assert sorted(result) == ["changed", "msg"]
    return "fatal: [%s]: %s" % (fatal.group(1), result["msg"])


def refused(host: str, line: str) -> str:
    return "\n".join(
        [
            "PLAY [(1/4) Check the variables, run triage]",
            "TASK [Check the variables]",
            "[ERROR]: Task failed: Action failed: Nothing was done. %s" % line,
            "fatal: [%s]: Nothing was done. %s" % (host, line),
            RECAP,
            "%s failed=1" % host,
        ]
    )


DOWN = """\
── %s ─────────────────────────────────────────────────────────────── CRITICAL ─
  version unknown · remote · checked in N ms
  ✗ Is PostgreSQL running?
      login host 127.0.0.1:1: refused, Connection refused
  · Is it accepting connections?
  · Can clients reach it?
  · Are connection slots available?
  · Can clients log in?
  · Are queries getting through?
  · Are data, disk and replication healthy?
  127.0.0.1:1 is down for an unknown reason: read its full log
  server_down / unknown
    - login host 127.0.0.1:1: refused, Connection refused
    - seen over the network only: a firewall that rejects, or another port,
      would look the same
  ? Not checked (snapshot): connecting to 127.0.0.1 port 1 failed: Connection
    refused (SQLSTATE 08001).
  Tell the DBA now: no cause found."""
TRIAGE = ("ansible-playbook", "oncall.postgresql.triage", "-f", "1")  # one by one, so that the order is known
RECAP = "PLAY RECAP %s" % ("*" * 69)


def not_checked(shown: str, cut: str, line: str) -> str:
    """Triage of ``b``, which is down, and of ``a``, which is described wrongly: ``shown`` so in the report."""
    return "\n".join(
        [
            "PLAY [Triage PostgreSQL servers]",
            "TASK [Check the variables]",
            "ok: [a]",
            "TASK [Run triage]",
            "ok: [a]",
            "ok: [b]",
            "TASK [Record the incident, notify]",
            "skipping: [a]",
            "TASK [Report]",
            "── a ──────────────────────────────────────────────────────────── NOT CHECKED ─",
            shown,
            DOWN % "b",
            "═" * 79,
            "2 servers: 1 critical, 1 not checked",
            "  ✗ Critical     b  server_down / unknown",
            "  ? Not checked  a  %s" % cut,
            "ok: [a]",
            "TASK [Stop here when no host is to fail]",
            "skipping: [a]",
            "TASK [Fail unreachable hosts]",
            "skipping: [a]",
            "skipping: [b]",
            "TASK [Fail as asked]",
            "[ERROR]: Task failed: Action failed: %s" % line,
            "fatal: [a]: %s" % line,
            "skipping: [b]",
            RECAP,
            "a failed=1",
            "b failed=0",
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
            "oncall_gid is required. Give -e oncall_gid=NAME (its name, as in pg_prepared_xacts).",
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
            ["-i", "inventory.json", "-i", "web,", "--limit", "web"],
            "no host of 'postgresql' is within --limit web. Name others with -e oncall_hosts=NAME.",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["triage", "pool_reset", "respond"])
def test_no_hosts(tmp_path: Path, verb: str, words: list[str], line: str) -> None:
    code, out = Controller(tmp_path, {"db": SERVER}).run("ansible-playbook", "oncall.postgresql.%s" % verb, *words)
    lines = told(out).split("\n")
    # Before its first play, so Ansible's own words stand before ours, and releases differ in them and in the exit code.
    said = re.fullmatch(r"(\[ERROR\]:|ERROR!) (?:.*?: )?(no host .*)", lines[0])
    assert said and len(lines) == 1 and said.group(2) == line, out
    assert code == {"[ERROR]:": 4, "ERROR!": 1}[said.group(1)]


TARGET_MISSING = (
    "oncall_target is missing: nothing says which server this is. Describe it in the inventory, as a variable."
)
EXAMPLE = """\
  oncall_target is missing: nothing says which server this is. Describe it in
  the inventory, as a variable.
    a:
      oncall_target: {runtime: compose, project: shop, service: postgres}
      # or: {runtime: pg_ctl, data_directory: /var/lib/postgresql/17/main}
      # or: {runtime: remote, login_host: db.example.org, login_user: oncall}"""


def test_no_target(tmp_path: Path) -> None:
    code, out = Controller(tmp_path, {"a": {}, "b": SERVER}).run(*TRIAGE)
    cut = "oncall_target is missing: nothing says which server this i…"
    assert (code, told(out)) == (2, not_checked(EXAMPLE, cut, TARGET_MISSING))


def test_a_procedure_without_a_target_touches_nothing(tmp_path: Path) -> None:
    code, out = Controller(tmp_path, {"a": {}}).run("ansible-playbook", "oncall.postgresql.reload")
    expected = [
        "PLAY [(1/4) Check the variables, run triage]",
        "TASK [Check the variables]",
        "ok: [a]",
        "TASK [Run triage]",
        "ok: [a]",
        "TASK [Record the incident, notify]",
        "skipping: [a]",
        "TASK [Decide]",
        "ok: [a]",
        "TASK [Read what is to be kept]",
        "skipping: [a]",
        "TASK [Keep the evidence]",
        "ok: [a]",
        "PLAY [(2/4) Act, one host at a time]",
        "skipping: no hosts matched",
        "PLAY [(3/4) Act, all hosts in parallel]",
        "skipping: no hosts matched",
        "PLAY [(4/4) Report]",
        "TASK [Note what was done]",
        "ok: [a]",
        "TASK [Report]",
        "── a ──────────────────────────────────────────────────────────── NOT CHECKED ─",
        "  Done:   nothing: triage could not check it",
        EXAMPLE,
        "ok: [a]",
        "TASK [Stop here when no host is to fail]",
        "skipping: [a]",
        "TASK [Fail unreachable hosts]",
        "skipping: [a]",
        "TASK [Fail as asked]",
        "[ERROR]: Task failed: Action failed: %s" % TARGET_MISSING,
        "fatal: [a]: %s" % TARGET_MISSING,
        RECAP,
        "a failed=1",
    ]
    assert (code, told(out)) == (2, "\n".join(expected))


@pytest.mark.parametrize(
    "target, line",
    [
        ({**OTHER, "login_hots": "x"}, "there is no option login_hots. Did you mean login_host?"),
        ({**OTHER, "clients": ["api"]}, "clients is ['api']. Give [{service: api}]."),
        ({**OTHER, "idle_minutes": "half an hour"}, "idle_minutes is 'half an hour'. Give a number."),
        ({"runtime": "docker"}, "runtime is 'docker'. Give one of: compose, pg_ctl, remote."),
    ],
)
def test_a_wrong_target_is_reported_and_does_not_stop_the_others(tmp_path: Path, target: Any, line: str) -> None:
    code, out = Controller(tmp_path, {"a": target, "b": SERVER}).run(*TRIAGE)
    line = "Wrong options: %s" % line
    shown = textwrap.fill(line, 79, initial_indent="  ", subsequent_indent="  ")
    cut = line if len(line) <= 59 else line[:58].rstrip() + "…"
    assert (code, told(out)) == (2, not_checked(shown, cut, line))


def test_a_target_that_is_text(tmp_path: Path) -> None:
    code, out = Controller(tmp_path, {"db": "shop"}).run("ansible-playbook", "oncall.postgresql.reload")  # type: ignore[dict-item]
    line = "db: oncall_target must be a dictionary, such as {project: shop}, not 'shop'."
    assert (code, told(out)) == (2, refused("db", line))


def test_a_host_name_with_a_blank(tmp_path: Path) -> None:
    line = (
        "db one, db two: the name has a blank: --limit and the printed commands would take it for two hosts. Rename it "
        "in the inventory, and give its address as ansible_host."
    )
    controller = Controller(tmp_path, {"a": OTHER, "db one": SERVER, "db two": {**SERVER, "login_port": 3}})
    code, out = controller.run("ansible-playbook", "oncall.postgresql.reload")
    assert (code, told(out)) == (2, refused("a", line))


def test_the_same_server_twice(tmp_path: Path) -> None:
    controller = Controller(tmp_path, {"a": SERVER, "b": SERVER})
    line = "a and b are the same server (127.0.0.1:1). Leave one of them out: --limit a."
    code, out = controller.run("ansible-playbook", "oncall.postgresql.reload")
    assert (code, told(out)) == (2, refused("a", line))
    code, out = controller.run(*TRIAGE)
    expected = [
        "PLAY [Triage PostgreSQL servers]",
        "TASK [Check the variables]",
        "[WARNING]: a and b are the same server (127.0.0.1:1).",
        "ok: [a]",
        "TASK [Run triage]",
        "ok: [a]",
        "ok: [b]",
        "TASK [Record the incident, notify]",
        "skipping: [a]",
        "TASK [Report]",
        DOWN % "b",
        DOWN % "a",
        "═" * 79,
        "2 servers: 2 critical",
        "  ✗ Critical     a  server_down / unknown",
        "  ✗ Critical     b  server_down / unknown",
        "ok: [a]",
        "TASK [Stop here when no host is to fail]",
        RECAP,
        "a failed=0",
        "b failed=0",
    ]
    assert (code, told(out)) == (0, "\n".join(expected))
