# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An incident from the alarm to its closing, as the playbooks record it."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import Server

from .test_real_servers import Controller, beside


@pytest.fixture
def down() -> Iterator[Server]:
    with Server(16) as server:
        server.stop("fast")
        yield server


@pytest.fixture
def controller(tmp_path: Path, down: Server) -> Controller:
    found = Controller(tmp_path, {"db/1": beside(down, clients=[])})
    inventory = json.loads((tmp_path / "inventory.json").read_text())
    inventory["postgresql"]["hosts"]["db/1"]["oncall_incident_dir"] = str(tmp_path / "incidents")
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    return found


def events(controller: Controller) -> list[dict[str, Any]]:
    (file,) = (controller.directory / "incidents").glob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def page(controller: Controller) -> str:
    (file,) = (controller.directory / "incidents").glob("*.md")
    return file.read_text()


def book(verb: str, *more: str) -> list[str]:
    return ["ansible-playbook", "oncall.postgresql.%s" % verb, *more]


def test_from_the_alarm_to_health(controller: Controller, down: Server) -> None:
    _code, out = controller.run(*book("triage", "--check"))
    assert not (controller.directory / "incidents").exists(), out
    _code, out = controller.run(*book("triage"))
    _code, out = controller.run(*book("triage"))  # the same again: nothing new to say
    (path,) = re.findall(r"^Incident: (.*\.md)$", out, re.M)
    assert [each["kind"] for each in events(controller)] == ["opened", "look"], out
    first = events(controller)[0]
    assert (first["host"], first["code"], first["severity"]) == ("db/1", "server_down", "critical")
    assert first["impact"]["source"] == "the server stopped" and first["impact"]["start"] < first["at"]
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    code, out = controller.run(*book("respond", "-e", "oncall_auto_remedies=start"))
    assert code == 0 and down.sql("SELECT 1") == "1" and path in out, out
    assert [each["kind"] for each in events(controller)] == ["opened", "look", "begins", "ended", "look"]
    begins, ended, look = events(controller)[2:]
    assert (begins["verb"], ended["verb"], ended["outcome"], look["code"]) == ("start", "start", "done", "healthy")
    assert begins["run"] == ended["run"] and ended["seconds"] > 0
    assert "Impact end | 2" in page(controller) and "State | open" in page(controller)
    controller.run(*book("integrity_check"))
    assert [each["kind"] for each in events(controller)][5:] == ["graded"]
    controller.run(*book("start", "--check"))
    assert len(events(controller)) == 6, "a plan is no deed"


def test_a_record_that_cannot_be_written_stops_no_recovery(controller: Controller, down: Server) -> None:
    (controller.directory / "incidents").write_text("")
    code, out = controller.run(*book("start"))
    assert code == 0 and down.sql("SELECT 1") == "1", out
    assert (
        len(re.findall(r"^Incident: not recorded, .*/incidents cannot be written \(.*\)\. Give another", out, re.M))
        == 1
    )
