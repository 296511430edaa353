# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role monitoring installs for Prometheus, postgres_exporter and Grafana, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from scripts.rules import FILES, RULES
from tests.integration.servers import until
from tests.prometheus import prometheus

HOSTS = {
    "db1": {"ansible_host": "10.0.0.7"},
    "db2": {"monitoring_exporter_address": "exporters.example.org:19187"},
}


def run(tmp_path: Path, *arguments: str, **variables: str) -> str:
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.include_role": {"name": "oncall.postgresql.monitoring", "tasks_from": each}}
            for each in ("exporter", "prometheus", "grafana")
        ],
    }
    (tmp_path / "play.json").write_text(json.dumps([play]))
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    groups = {"postgresql": {"hosts": HOSTS}, "ungrouped": {"hosts": {"localhost": local}}}
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"children": groups}}))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            *("-i", str(tmp_path / "inventory.json"), str(tmp_path / "play.json")),
            *("-e", json.dumps({"monitoring_" + name: value for name, value in variables.items()}), *arguments),
        ],
        check=False,
        text=True,
        capture_output=True,
        env={**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def changed(out: str) -> int:
    found = re.search(r"changed=(\d+)", out)
    assert found, out
    return int(found[1])


def test_installed_reloaded_and_removed(tmp_path: Path) -> None:
    files = {each: tmp_path / each for each in ("queries.yml", "rules.yml", "targets.json", "dashboard.json")}
    with prometheus(tmp_path, files["rules.yml"], {}) as found:
        restarted = tmp_path / "restarted"
        given: dict[str, Any] = {
            "exporter_queries": str(files["queries.yml"]),
            "exporter_restart": "touch %s" % restarted,
            "prometheus_rules": str(files["rules.yml"]),
            "prometheus_reload": "kill -HUP %d" % found.pid,
            "prometheus_playbook_options": "-i /etc/ansible/inventory.yml",
            "prometheus_targets": str(files["targets.json"]),
            "grafana_dashboard": str(files["dashboard.json"]),
        }
        assert changed(run(tmp_path, "--check", **given)) >= 4
        assert [path for path in files.values() if path.exists()] == [] and found.rules() == []
        assert changed(run(tmp_path, **given)) == 6
        until(lambda: len(found.rules()) == sum(len(rule.levels) for rule in RULES))
        commands = {rule["annotations"]["command"].partition(" --limit ")[0] for rule in found.rules()}
        assert commands == {"ansible-playbook oncall.postgresql.triage -i /etc/ansible/inventory.yml"}
        assert restarted.exists()
        assert json.loads(files["targets.json"].read_text()) == [
            {"targets": ["10.0.0.7:9187"], "labels": {"instance": "db1"}},
            {"targets": ["exporters.example.org:19187"], "labels": {"instance": "db2"}},
        ]
        for installed, ours in (
            ("queries.yml", "postgres_exporter_queries.yml"),
            ("dashboard.json", "oncall_postgresql.dashboard.json"),
        ):
            assert files[installed].read_bytes() == (FILES / ours).read_bytes()
        assert changed(run(tmp_path, **given)) == 0
        own = "https://wiki.example.org/postgresql"
        run(tmp_path, **given, runbook_url=own)
        links = json.loads(files["dashboard.json"].read_text())["links"]
        assert [link["url"] for link in links] == [own]
        until(lambda: {rule["annotations"]["runbook_url"].partition("#")[0] for rule in found.rules()} == {own})
        run(tmp_path, **given, state="absent")
        assert [path for path in files.values() if path.exists()] == []
        until(lambda: found.rules() == [])


def refused(tmp_path: Path, **variables: Any) -> str:
    """What the role says that refuses to be run here."""
    role = Path(__file__).parents[2] / "roles" / "monitoring"
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": [str(role)]}
    (tmp_path / "play.json").write_text(json.dumps([play]))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            *("--check", "-i", "localhost,", str(tmp_path / "play.json")),
            *("-e", json.dumps({"oncall_target": {}, **variables})),
        ],
        check=False,
        text=True,
        capture_output=True,
        env={**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"},
    )
    assert done.returncode != 0 and not re.search("TASK.*(Remove|Make|Write)", done.stdout)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "..", "a/b", "db1\n"])
def test_a_name_that_is_none_removes_nothing(tmp_path: Path, name: str) -> None:
    """Its directories are removed with all that is in them: of "" and ".." that is everybody's."""
    said = refused(tmp_path, monitoring_state="absent", monitoring_name=name)
    assert "it must begin with a letter or digit" in said


def test_without_root_nothing_is_begun(tmp_path: Path) -> None:
    su = {"become": True, "become_user": "nobody", "become_method": "su", "become_flags": "-s /bin/sh"}
    user = {"ansible_%s" % name: value for name, value in su.items()}
    with tempfile.TemporaryDirectory() as home:
        shutil.chown(home, "nobody")
        said = refused(tmp_path, **user, ansible_remote_tmp=home, ansible_python_interpreter="/usr/bin/python3")
    assert "Root is needed on this host, and this is user 65534. Set become: true in the play." in said


def test_a_password_that_no_password_file_can_hold(tmp_path: Path) -> None:
    said = refused(tmp_path, monitoring_password="a\nb", ansible_python_interpreter=sys.executable)
    assert "monitoring_password has a line end or another control character" in said
