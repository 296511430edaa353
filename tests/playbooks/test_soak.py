# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``soak`` as a user runs it: through its minutes where nothing gets worse, and not where something does."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

from ansible_collections.oncall.postgresql.plugins.plugin_utils._rollout.soak import lost
from tests.embedded import Server
from tests.integration.results import unlike
from tests.playbooks.test_real_servers import Controller, beside

WATCH = {"minutes": 0.05, "interval_seconds": 1, "before": "{{ before }}"}


def play(directory: Path, server: Server, *tasks: dict[str, Any], arguments: tuple[str, ...] = ()) -> tuple[int, str]:
    kept = {
        "ansible.builtin.copy": {"content": "{{ watched }}", "dest": str(directory / "watched.json"), "mode": "0600"}
    }
    document = {
        "hosts": "postgresql",
        "gather_facts": False,
        "module_defaults": {"group/oncall.postgresql.target": "{{ oncall_target }}"},
        "tasks": [*tasks, {**kept, "check_mode": False}],
    }
    (directory / "soak.json").write_text(json.dumps([document]))
    controller = Controller(directory, {"db": beside(server, clients=[])})
    return controller.run("ansible-playbook", "soak.json", *arguments)


def result(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "watched.json").read_text())
    assert unlike("soak", found) == []
    return found


def test_a_quiet_server_is_watched_to_the_end_and_in_check_mode_not_at_all(tmp_path: Path) -> None:
    look = {"oncall.postgresql.pressure_info": {}, "register": "before"}
    soak = {"oncall.postgresql.soak": WATCH, "register": "watched"}
    with Server() as server:
        code, out = play(tmp_path, server, look, soak)
        assert code == 0, out
        found = result(tmp_path)
        assert found["worse"] == [] and found["seconds"] >= 3 and found["samples"]["count"] >= 2, found
        assert found["msg"].startswith("No worse than before (") and not found["changed"]
        assert found["not_covered"] == []
        long = {"oncall.postgresql.soak": {**WATCH, "minutes": 600}, "register": "watched"}
        slip = {"oncall.postgresql.soak": {"minutes": 1, "interval_second": 2}, "ignore_errors": True}
        never = {"oncall.postgresql.soak": {"minutes": -1}, "ignore_errors": True}
        code, out = play(tmp_path, server, slip, never, look, long, arguments=("--check",))
        assert "minutes is -1. It must be at least 0." in out, out
        assert (
            code == 0 and "Wrong options: there is no option interval_second. Did you mean interval_seconds?" in out
        ), out
        assert result(tmp_path)["seconds"] == 0 and result(tmp_path)["samples"] is None


def test_a_log_that_fills_with_errors_ends_it_early(tmp_path: Path) -> None:
    with Server() as server:
        over = threading.Event()

        def fail() -> None:
            while not over.wait(0.1):
                words = ["-h", str(server.directory), "-p", str(server.port), "-U", "postgres", "-c", "SELECT no_such"]
                subprocess.run([str(server.bin / "psql"), *words], capture_output=True, check=False)

        failing = threading.Thread(target=fail)
        failing.start()
        try:
            log = {"since": "x", "seconds": 300, "panic": 0, "fatal": 0, "error": 0, "out_of_memory": 0}
            before = lost("")
            before["log"] = {**log, "could_not_fork": 0, "no_space": 0}
            soak = {"oncall.postgresql.soak": {**WATCH, "minutes": 5, "before": before}, "register": "watched"}
            code, out = play(tmp_path, server, soak)
        finally:
            over.set()
            failing.join()
    assert code == 0, out
    found = result(tmp_path)
    assert found["seconds"] < 60 and found["samples"]["errors"] > 0, found
    assert found["msg"].startswith("Worse than before: its log has ") and len(found["worse"]) == 1
