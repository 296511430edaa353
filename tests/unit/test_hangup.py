# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module whose run is over ends, and clears up: by a signal, or because nobody reads its answer any more."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import pathlib, sys, time
from ansible_collections.oncall.postgresql.plugins.module_utils._core.hangup import leaving
place = pathlib.Path(sys.argv[1])
try:
    with leaving(sys.argv[2] == "watched"):
        (place / "begun").touch()
        time.sleep(float(sys.argv[3]))
finally:
    (place / "cleared").touch()
"""


def begun(place: Path, watched: str, seconds: float) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", PROGRAM, str(place), watched, str(seconds)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    end = time.monotonic() + 30
    while not (place / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    process = begun(tmp_path, "", 60)
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number and (tmp_path / "cleared").exists()


def test_a_line_that_is_cut(tmp_path: Path) -> None:
    process = begun(tmp_path, "watched", 60)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=30) == 128 + signal.SIGHUP and (tmp_path / "cleared").exists()


def test_what_is_read_to_its_end_is_left_alone(tmp_path: Path) -> None:
    process = begun(tmp_path, "watched", 1.2)
    assert process.wait(timeout=30) == 0 and (tmp_path / "cleared").exists()
