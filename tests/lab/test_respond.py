# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""respond.yml on a fleet of stacks: never two of them without their clients at once; damaged data is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime

import pytest

from . import remedy
from .faults import control_file
from .looks import containers, files
from .stack import Stack, docker, playbook, write_inventory
from .writer import Writer

Fleet = dict[str, Stack]


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with ExitStack() as until:
        made = {name: until.enter_context(Stack("lab-" + name)) for name in ("a", "b", "c")}
        for stack in made.values():
            stack.up()
        yield made


def test_one_by_one_once_and_never_what_is_damaged(fleet: Fleet) -> None:
    with Writer(fleet["a"]) as first, Writer(fleet["b"]) as second:
        rows = {name: remedy.rows(stack) for name, stack in fleet.items()}
        for name, writer in (("a", first), ("b", second)):
            with writer.away():
                fleet[name].call("leak", connections=27)
        control_file(fleet["c"])
        before = containers(fleet["c"]), files(fleet["c"])
        targets = {name: {"oncall_target": stack.target()} for name, stack in fleet.items()}
        reports = fleet["a"].work / "reports"
        done = playbook(
            "oncall.postgresql.respond",
            "-i",
            str(write_inventory(fleet["a"].work, targets)),
            "-e",
            "oncall_auto_remedies=pool_reset,start",
            "-e",
            "oncall_report_dir=%s" % reports,
            "-e",
            "oncall_fail_on=emergency",
            timeout=300,
        )
        assert done.returncode == 2, done.stdout  # for the damaged one
        verdicts = {name: json.loads((reports / (name + ".json")).read_text())["verdict"] for name in fleet}
        assert {name: verdict["code"] for name, verdict in verdicts.items()} == {
            "a": "healthy",
            "b": "healthy",
            "c": "server_down",
        }, done.stdout
        assert (containers(fleet["c"]), files(fleet["c"])) == before
        words = " ".join(done.stdout.split())
        assert "data corruption is suspected, so nothing may be touched. Tell the emergency contacts now." in words
        assert words.count("TASK [Carry out pool_reset]") == 2
        away = sorted(_away(fleet[name]) for name in ("a", "b"))
        assert away[0][1] <= away[1][0], "both were without their clients at once: %s" % away
        for name, writer in (("a", first), ("b", second)):
            assert remedy.rows(fleet[name]) == rows[name]
            writer.reconcile()


def _away(stack: Stack) -> tuple[datetime, datetime]:
    """From when until when the API did not run."""
    state = json.loads(docker("inspect", stack.name("api")))[0]["State"]
    finished, started = (datetime.fromisoformat(state[key][:26].rstrip("Z")) for key in ("FinishedAt", "StartedAt"))
    assert started > finished
    return finished, started
