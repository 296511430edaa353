# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be so after a verdict: the command that it recommends fixes the stack and loses nothing; and where there is
no safe remedy, nothing is touched, and it says what a person must do and whom to tell.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.response import remedies
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.variables import registry

from .looks import cluster
from .stack import SECRETS, Stack, run, write_inventory
from .writer import PASSWORD, Writer

ALLOW_ALL = ",".join(remedies())
PERMISSIONS = {one.variable for row in registry().values() for one in row.variables if one.permission}
DBA, EMERGENCY = "dba", "emergency"
# What a person must do, and who is told: (code, cause) -> (a regular expression for the summary, to).
BY_A_PERSON = {
    ("server_down", "out_of_memory"): ("raise its memory limit", EMERGENCY),
    ("server_down", "disk_full"): ("enlarge the volume.*never anything in", EMERGENCY),
    ("server_down", "permission_denied"): ("correct owner and mode", EMERGENCY),
    ("server_down", "data_corruption"): ("touch nothing.*restore from backup", EMERGENCY),
    ("server_down", "incompatible_version"): ("Go back to 1[57], or.*pg_upgrade; the data is not damaged", DBA),
    ("server_down", "not_initialised"): ("check which volume is mounted", DBA),
    ("server_down", "too_many_open_files"): ("open-file limit is too low: raise it", EMERGENCY),
    ("server_down", "invalid_configuration"): ("correct the setting", EMERGENCY),
    ("server_down", "stale_lock_file"): ("no postmaster uses.*move that file away", EMERGENCY),
    ("server_down", "port_conflict"): ("stop the process that holds it", EMERGENCY),
    ("server_down", "missing_container"): ("create it from its Compose file", EMERGENCY),
    ("server_down", "directory_in_use"): ("two servers destroy the data|they destroy the data", EMERGENCY),
    ("not_accepting", "unresponsive"): ("unpause|SIGCONT|continue|kill -CONT", EMERGENCY),
    ("not_accepting", "recovering"): ("wait, do not restart it", DBA),
    ("not_accepting", "shutting_down"): ("wait until it is down", DBA),
    ("not_accepting", "not_listening"): ("correct listen_addresses or port", DBA),
    ("network_unreachable", "refused"): ("look for a firewall that rejects", DBA),
    ("network_unreachable", "timeout"): ("look for a firewall that drops", DBA),
    ("network_unreachable", "packet_loss"): ("check the network between", DBA),
    ("client_down", "stopped"): ("docker start", DBA),
    ("client_down", "crashed"): ("read its log.*docker start", DBA),
    ("client_down", "paused"): ("find out who paused it", DBA),
    ("authentication_failed", "wrong_password"): ("lock out .*-second-0 .its environment.*; ask them", DBA),
    ("authentication_failed", "role_missing"): ("create it or correct the client", DBA),
    ("authentication_failed", "login_not_permitted"): ("find out who locked it", DBA),
    ("authentication_failed", "password_expired"): ("VALID UNTIL a new date", DBA),
    ("authentication_failed", "no_hba_entry"): ("add (one|a line).*reload", DBA),
    ("authentication_failed", "ssl_required"): ("sslmode", DBA),
    ("authentication_failed", "database_missing"): ("dropped .restore it. or misspelled", DBA),
    ("authentication_failed", "connect_privilege"): ("GRANT CONNECT", DBA),
    ("data_corruption", "checksum_failure"): ("stop writing, keep the files, prepare a restore", EMERGENCY),
    ("storage_full", "data_directory"): ("enlarge the volume; never delete", EMERGENCY),
    ("wraparound_risk", "transaction_age"): ("find what holds it back.*VACUUM", DBA),
}


def check_advice(verdict: dict[str, Any]) -> None:
    """The verdict has no remedy: what it says a person must do, and whom it tells."""
    advice, to = BY_A_PERSON[verdict["code"], verdict["cause"]]
    assert re.search(advice, verdict["summary"]), verdict["summary"]
    assert verdict["escalation"]["to"] == to and verdict["escalation"]["reason"], verdict["escalation"]


def rows(stack: Stack) -> str:
    """How many rows there are of what nobody writes to, and which."""
    return stack.sql("SELECT count(*), sum(id), count(DISTINCT id) FROM items")


def sessions(stack: Stack) -> set[str]:
    """Which client sessions there are, where that can be asked at once; not those of the health check."""
    query = (
        "SELECT pid, backend_start, usename, application_name FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> 'pg_isready'"
    )
    if not stack.names(stack.server):
        return set()
    argv = ["docker", "exec", "-u", "postgres", stack.name(), "timeout", "3", "psql", "-XAtq", "-U", "postgres"]
    return set(run([*argv, "-c", query], check=False).stdout.splitlines())


def home(stack: Stack) -> Path:
    """Of the operator who carries something out, for this stack only."""
    place = stack.work / "home"
    place.mkdir(exist_ok=True)
    return place


def carry_out(stack: Stack, command: str, check: bool = True, **options: Any) -> str:
    """The command of a verdict, as it is pasted into a shell where the inventory is in place; all that it printed."""
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target(**options)}})
    place = Path(os.environ.get("ONCALL_ANSIBLE_BIN") or Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": "%s:%s" % (place, os.environ["PATH"]),
        "ANSIBLE_INVENTORY": str(inventory),
        "HOME": str(home(stack)),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
    }
    done = subprocess.run(
        command,
        shell=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    for secret in (*SECRETS, PASSWORD):
        assert secret not in done.stdout, "a secret is in the output"
    assert done.returncode == 0 or not check, "%s\n%s" % (command, done.stdout)
    return done.stdout


def fix(stack: Stack, verdict: dict[str, Any], writer: Writer, expected: str, **options: Any) -> None:
    """Run exactly what the verdict recommends: healthy, the rows as ``expected``, no acknowledged write lost."""
    command = verdict["remedy"]["command"]
    if set(verdict["remedy"]["extra_vars"]) & PERMISSIONS:
        for more in (" --check --diff", " -e oncall_plan=true"):
            planned = carry_out(stack, command + more, **options)
            assert re.search("changed=[1-9]", planned), planned
            assert stack.triage(**options)["verdict"] == verdict, "a plan has changed something"
    held = cluster(stack)
    said = carry_out(stack, command, **options)
    after = stack.triage(**options)["verdict"]
    assert after["code"] == "healthy", "%s\n%s" % (json.dumps(after, indent=1), said)
    assert rows(stack) == expected
    assert len(held) > 500 and held <= cluster(stack), "files of the data directory are gone"
    writer.reconcile()


def respond(stack: Stack, **options: Any) -> dict[str, Any]:
    """The result after ``respond.yml`` with every remedy allowed."""
    reports = stack.work / "reports"
    command = "ansible-playbook oncall.postgresql.respond -e oncall_auto_remedies=%s -e oncall_report_dir=%s"
    carry_out(stack, command % (ALLOW_ALL, reports), **options)
    written = (reports / "lab.json").read_text()
    for secret in (*SECRETS, PASSWORD):
        assert secret not in written, "a secret is in the report"
    result: dict[str, Any] = json.loads(written)
    return result
