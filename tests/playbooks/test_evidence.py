# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen before acting is kept, whether or not a directory was named; looking keeps nothing."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded import Server

from .test_real_servers import Controller, beside

SAVED = re.compile(r"^State before acting: (.*)$", re.M)


@pytest.fixture
def down() -> Iterator[Server]:
    with Server(16) as server:
        server.stop("fast")
        yield server


@pytest.fixture(scope="module")
def up() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def controller(tmp_path: Path, down: Server, up: Server) -> Controller:
    return Controller(tmp_path, {"db/1": beside(down, clients=[]), "up": beside(up, clients=[])})


def kept(controller: Controller) -> list[Path]:
    return sorted(controller.directory.glob("home/.oncall/**/*.json"))


def test_what_was_seen_is_kept_for_its_owner(controller: Controller, down: Server) -> None:
    code, out = controller.run("ansible-playbook", "oncall.postgresql.start", "--limit", "db/1")
    assert code == 0 and down.sql("SELECT 1") == "1", out
    (file,) = kept(controller)
    assert re.fullmatch(r"db_1-[0-9a-f]{8}-\d{8}T\d{6}\.\d{3}Z\.json", file.name)
    assert SAVED.findall(out) == [str(file)]
    assert "\nState before acting: %s\nok: [" % file in out  # the last line of the report
    seen = json.loads(file.read_text())
    assert (seen["verdict"]["code"], seen["verdict"]["cause"]) == ("server_down", "stopped")
    assert seen["target"]["host"] == "db/1" and seen["facts"]["server"]["lock_file"] is None
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent, file.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]
    code, out = controller.run("ansible-playbook", "oncall.postgresql.start", "--limit", "db/1")
    assert code == 0 and len(kept(controller)) == 2, out


def test_of_a_fleet_only_the_hosts_that_are_acted_on(controller: Controller, down: Server) -> None:
    code, out = controller.run("ansible-playbook", "oncall.postgresql.respond", "-e", "oncall_auto_remedies=start")
    assert code == 0 and down.sql("SELECT 1") == "1", out
    (file,) = kept(controller)
    assert file.name.startswith("db_1-") and SAVED.findall(out) == [str(file)]
    code, out = controller.run("ansible-playbook", "oncall.postgresql.reload")
    (pattern,) = SAVED.findall(out)
    assert sorted(file.name[:2] for file in Path("/").glob(pattern[1:])) == ["db", "up"], out


@pytest.mark.parametrize(
    "words",
    [
        ["oncall.postgresql.triage"],
        ["oncall.postgresql.respond"],
        ["oncall.postgresql.start", "--check"],
        ["oncall.postgresql.start", "-e", "oncall_plan=true"],
    ],
    ids=" ".join,
)
def test_what_only_looks_keeps_nothing(controller: Controller, words: list[str]) -> None:
    code, out = controller.run("ansible-playbook", *words)
    assert code == 0 and SAVED.findall(out) == [] and not (controller.directory / "home" / ".oncall").exists(), out


def test_a_plan_for_one_host_does_not_keep_less_of_another(controller: Controller) -> None:
    inventory = controller.directory / "inventory.json"
    group = json.loads(inventory.read_text())
    group["postgresql"]["hosts"]["db/1"]["oncall_plan"] = True
    inventory.write_text(json.dumps(group))
    _code, out = controller.run("ansible-playbook", "oncall.postgresql.reload")
    assert [file.name[:3] for file in kept(controller)] == ["up-"], out


def test_a_directory_that_cannot_be_written_stops_no_recovery(controller: Controller, down: Server) -> None:
    (controller.directory / "home").mkdir()
    (controller.directory / "home" / ".oncall").write_text("")
    code, out = controller.run("ansible-playbook", "oncall.postgresql.start", "--limit", "db/1")
    assert code == 0 and down.sql("SELECT 1") == "1", out
    assert SAVED.findall(out) == [
        "not saved, %s cannot be written (File exists). Give another directory with -e oncall_report_dir=DIR."
        % (controller.directory / "home" / ".oncall" / "reports")
    ]


def test_a_directory_that_was_named(controller: Controller, down: Server) -> None:
    code, out = controller.run(
        "ansible-playbook", "oncall.postgresql.start", "--limit", "db/1", "-e", "oncall_report_dir=reports"
    )
    assert code == 0 and kept(controller) == [], out
    (page,) = SAVED.findall(out)
    assert page == str(controller.reports / "before" / "index.html")
    (file,) = (controller.reports / "before").glob("*.json")
    assert json.loads(file.read_text())["verdict"]["code"] == "server_down"


def test_one_that_was_named_and_cannot_be_written_fails_the_run_after_the_recovery(
    controller: Controller, down: Server
) -> None:
    (controller.directory / "reports").write_text("")
    code, out = controller.run(
        "ansible-playbook", "oncall.postgresql.start", "--limit", "db/1", "-e", "oncall_report_dir=reports"
    )
    assert code == 2 and down.sql("SELECT 1") == "1", out
    assert SAVED.findall(out)[0].startswith("not saved, "), out
    assert "The report cannot be written to" in out


def test_a_later_look_in_the_same_run_does_not_say_it_again(controller: Controller) -> None:
    plays = [{"import_playbook": "oncall.postgresql.%s" % verb} for verb in ("reload", "triage")]
    (controller.directory / "site.yml").write_text(json.dumps(plays))
    _code, out = controller.run("ansible-playbook", "site.yml", "--limit", "up")
    assert len(SAVED.findall(out)) == 1, out
