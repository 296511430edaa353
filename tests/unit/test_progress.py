# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a long look is: on standard error, in turns, and of a fleet one line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._run import progress as shown
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.progress import progress

Lines = Callable[[int], "list[str]"]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Lines:
    """The lines from the beginning, as soon as there are so many."""
    monkeypatch.setattr(shown, "_EVERY_SECONDS", 0.05)
    seen: list[str] = []

    def until(number: int) -> list[str]:
        end = time.monotonic() + 30
        while True:
            out, err = capfd.readouterr()
            assert not out
            seen.extend(err.splitlines())
            if len(seen) >= number or time.monotonic() > end:
                return seen
            time.sleep(0.02)

    return until


def play(host: str, number: int) -> dict[str, object]:
    return {"inventory_hostname": host, "ansible_play_batch": ["db%d" % each for each in range(1, number + 1)]}


def test_what_is_told_with_the_time(lines: Lines) -> None:
    with progress("integrity_info", 300.0, play("db2", 2)) as say:
        assert re.fullmatch(r"integrity db2: running on the host, \d+ s of 300 s", lines(1)[0])
        say("amcheck 412 of 1,304 tables and indexes, 38 % of bytes")
        told = lines(len(lines(0)) + 2)[-1]
    assert told.startswith("integrity db2: amcheck 412 of 1,304 tables and indexes, 38 % of bytes, "), told


def test_a_fleet_has_one_line(lines: Lines) -> None:
    with progress("integrity_info", 300.0, play("db2", 11)), progress("integrity_info", 300.0, play("db1", 11)):
        assert lines(1) == ["integrity: 11 hosts, at most 300 s each"]
        time.sleep(0.5)
    assert len(lines(0)) == 1
