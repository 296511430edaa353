# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook triage.yml as it is run: what it prints, writes and exits with.

No PostgreSQL is needed: nobody listens on port 1, which triage sees for itself and judges.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

INVENTORY = {
    "postgresql": {
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        "hosts": {
            "down": {"oncall_target": {"runtime": "remote", "login_host": "127.0.0.1", "login_port": 1}},
            "odd": {"oncall_target": {"runtime": "pg_ctl"}},  # without data_directory
            "away": {
                "oncall_target": {"runtime": "pg_ctl", "data_directory": "/nonexistent"},
                "ansible_connection": "ssh",
                "ansible_host": "127.0.0.1",
                "ansible_port": 1,
            },
        },
    }
}
FAILED, UNREACHABLE = 2, 4  # Ansible's exit codes


def run(tmp_path: Path, *arguments: str, **environment: str) -> Tuple[int, str]:
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps(INVENTORY))
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        str(inventory),
        "oncall.postgresql.triage",
    ]
    clean: Dict[str, str] = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [*command, *arguments],
        cwd=str(tmp_path),
        env={**clean, "LC_ALL": "C.UTF-8", "ANSIBLE_HOME": str(tmp_path / "home"), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_one_report_on_all_hosts_whatever_became_of_them(tmp_path: Path) -> None:
    place = tmp_path / "reports"
    code, out = run(tmp_path, "-f", "50", "-e", "oncall_report_dir=%s" % place)
    assert code == UNREACHABLE, out
    assert out.count("3 servers: 1 critical, 1 unreachable, 1 not checked") == 1
    assert out.count("TASK [Report]") == 1
    assert sorted(os.listdir(str(place))) == ["away.json", "down.json", "index.html", "odd.json"]
    documents = {name: json.loads((place / (name + ".json")).read_text("utf-8")) for name in ("away", "down", "odd")}
    assert documents["down"]["verdict"]["code"] == "server_down"
    assert documents["down"]["target"]["host"] == "down"
    assert documents["away"]["error"]["kind"] == "unreachable"
    assert documents["odd"]["error"]["kind"] == "failed" and "data_directory" in documents["odd"]["error"]["message"]
    page = (place / "index.html").read_text("utf-8")
    assert [name for name in documents if 'id="host-%s"' % name not in page] == []


def test_a_verdict_is_no_failure_and_check_mode_reports_too(tmp_path: Path) -> None:
    place = tmp_path / "reports"
    code, out = run(tmp_path, "--limit", "down", "--check", "-e", "oncall_report_dir=%s" % place)
    assert code == 0, out
    assert "server_down / unknown" in out
    assert (place / "index.html").exists()
    assert '"facts"' not in out


@pytest.mark.parametrize("least, expected", [("critical", FAILED), ("emergency", 0), ("", 0)])
def test_oncall_fail_on(tmp_path: Path, least: str, expected: int) -> None:
    code, out = run(tmp_path, "--limit", "down", "-e", "oncall_fail_on=%s" % least)
    assert code == expected, out
    assert "server_down / unknown" in out


def test_a_bad_oncall_fail_on_is_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    code, out = run(tmp_path, "-e", "oncall_fail_on=bogus")
    assert code == FAILED
    assert "oncall_fail_on is 'bogus'. Give one of: warning, critical, emergency." in out
    assert "TASK [Run triage]" not in out


@pytest.mark.parametrize(
    "host, expected, title", [("odd", FAILED, "NOT CHECKED"), ("away", UNREACHABLE, "UNREACHABLE")]
)
def test_the_report_comes_when_no_host_could_be_looked_at(tmp_path: Path, host: str, expected: int, title: str) -> None:
    code, out = run(tmp_path, "--limit", host)
    assert code == expected, out
    assert out.count("── %s ──" % host) == 1 and "─ %s ─" % title in " ".join(out.split())


def test_a_directory_that_cannot_be_written_fails_after_the_verdicts_were_printed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, out = run(tmp_path, "--limit", "down", "-e", "oncall_report_dir=%s" % (tmp_path / "file" / "reports"))
    assert code == FAILED
    assert out.index("server_down / unknown") < out.index("The report cannot be written to")


def test_colour_only_where_it_is_wanted_and_none_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    _unused, plain = run(tmp_path, "--limit", "down")
    _unused, coloured = run(tmp_path, "--limit", "down", ANSIBLE_FORCE_COLOR="1", ANSIBLE_LOG_PATH=str(log))
    assert "\x1b[" not in plain
    assert "\x1b[0;31mCRITICAL" in coloured
    lines: List[str] = [line for line in log.read_text("utf-8").splitlines() if "server_down / unknown" in line]
    assert lines and not [line for line in lines if "\x1b" in line]
