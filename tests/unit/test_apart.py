# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a process of its own: what it answers, what of us it survives, and how requests to end reach it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.apart import LostError, apart
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import UnprovenError
from ansible_collections.oncall.postgresql.plugins.module_utils._core.interrupt import Interrupted, collected
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.clients.note import (
    alone,
    wait_for_others,
)

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from ansible_collections.oncall.postgresql.plugins.module_utils._core.apart import apart
from ansible_collections.oncall.postgresql.plugins.module_utils._core.interrupt import Interrupted, collected

place = Path(sys.argv[1])

def work():
    with collected() as requests:
        (place / "pid").write_text(str(os.getpid()))
        try:
            with requests.heeded():
                (place / "begun").touch()
                time.sleep(1.5)
        except Interrupted:
            pass
        time.sleep(0.2)
        (place / "done").write_text(str(requests.name))
        return requests.name

print(apart(work))
"""


def until(path: Path, seconds: float = 20) -> str:
    end = time.monotonic() + seconds
    while not path.exists() or (path.name == "done" and not path.read_text()):
        assert time.monotonic() < end, "waited in vain for %s" % path
        time.sleep(0.01)
    return path.read_text()


def test_the_answer_comes_from_another_session() -> None:
    mine = os.getpid(), os.getsid(0)
    theirs = apart(lambda: (os.getpid(), os.getsid(0)))
    assert theirs[0] == theirs[1] and theirs[0] != mine[0] and theirs[1] != mine[1]


def test_an_error_comes_back_whole() -> None:
    def fail() -> None:
        raise UnprovenError("It failed", "Look.", "57P03", {"changed": True})

    with pytest.raises(UnprovenError, match=r"It failed .SQLSTATE 57P03.\. Look\.") as raised:
        apart(fail)
    assert raised.value.details == {"changed": True} and raised.value.hint == "Look."


def test_a_fault_is_told_with_its_place() -> None:
    def fault() -> int:
        known: dict[str, int] = {}
        return known["nothing"]

    with pytest.raises(RuntimeError, match=r"in fault[\s\S]*KeyError"):
        apart(fault)


def test_one_that_is_killed_is_lost() -> None:
    with pytest.raises(LostError) as raised:
        apart(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert raised.value.how == "SIGKILL"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_is_passed_on_and_the_answer_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    until(tmp_path / "begun")
    for _unused in range(3):
        os.killpg(process.pid, number)
        time.sleep(0.05)
    assert process.communicate(timeout=20)[0].strip() == number.name
    assert process.returncode == 0 and until(tmp_path / "done") == number.name


def test_it_outlives_whoever_started_it(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], start_new_session=True)
    until(tmp_path / "begun")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    assert not (tmp_path / "done").exists()
    assert until(tmp_path / "done") == "None"


def test_requests_are_collected_and_heeded_where_that_is_said() -> None:
    with collected() as requests:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert requests.name == "SIGTERM"
        with pytest.raises(Interrupted, match="SIGTERM"), requests.heeded():
            raise AssertionError("one that came before is heeded at once")


def test_only_one_at_a_time(tmp_path: Path) -> None:
    where = str(tmp_path / "state" / "restart-shop.json")
    wait_for_others(where, 0)
    with alone(where):
        with (
            pytest.raises(Exception, match="another restart or password reset"),
            alone(where),
        ):
            raise AssertionError
        with pytest.raises(Exception, match="another restart"):
            wait_for_others(where, 0.2)
    wait_for_others(where, 0)
    assert os.stat(os.path.dirname(where)).st_mode & 0o777 == 0o700
