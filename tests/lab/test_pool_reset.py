# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool reset on the real stack: what was idle for long, a burst, no slot left, two operators, and plans only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .driving import everything, module
from .stack import ADMIN_PASSWORD, SECRETS, Stack, playbook, wait_for, write_inventory

LONG = ("-e", "oncall_idle_minutes=0.01")
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("lab-pool") as made:
        made.up()
        yield made


@pytest.fixture(autouse=True)
def released(stack: Stack) -> Iterator[None]:
    yield
    stack.wait_api()
    stack.call("release")


def reset(stack: Stack, *words: str, check: bool = True, **options: Any) -> str:
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target(**options)}})
    done = playbook("oncall.postgresql.pool_reset", "-i", str(inventory), "-vvv", *words, timeout=240)
    for secret in SECRETS:
        assert secret not in done.stdout + done.stderr, "a secret is in the output"
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done.stdout


def started(stack: Stack) -> str:
    return str(stack.inspect(stack.name("api"))["State"]["StartedAt"])


def verdict(stack: Stack, **options: Any) -> str:
    return str(stack.triage(**options)["verdict"]["code"])


def leak_long(stack: Stack) -> None:
    stack.call("leak", connections=30)
    assert verdict(stack) == "pool_exhausted"
    time.sleep(1)


def test_what_was_idle_for_long_goes_and_the_clients_stay(stack: Stack) -> None:
    leak_long(stack)
    before = started(stack)
    said = reset(stack, *LONG, "-e", "oncall_report_dir=%s" % (stack.work / "kept"))
    assert verdict(stack) == "healthy", said
    assert started(stack) == before
    evidence = json.loads((stack.work / "kept" / "before" / "lab.json").read_text())
    assert evidence["verdict"]["code"] == "pool_exhausted"
    assert "changed=0" in reset(stack)


def test_a_burst_is_released_by_restarting_the_clients(stack: Stack) -> None:
    stack.call("leak", connections=30)
    before = started(stack)
    said = reset(stack)
    assert verdict(stack) == "healthy", said
    assert started(stack) != before
    assert int(stack.sql(BUSY)) < 10


def test_the_clients_are_restarted_where_that_is_wanted(stack: Stack) -> None:
    before = started(stack)
    reset(stack, "-e", "oncall_restart_clients=always")
    assert started(stack) != before
    assert verdict(stack) == "healthy"


@pytest.mark.parametrize("words", [("--check",), ("-e", "oncall_plan=true")], ids=["check", "plan"])
def test_a_plan_changes_nothing(stack: Stack, words: tuple[str, ...]) -> None:
    leak_long(stack)
    query = "SELECT pid, backend_start, state_change FROM pg_stat_activity WHERE query LIKE 'SELECT 1' ORDER BY pid"
    before = everything(stack), stack.sql(query)
    long, burst = reset(stack, *LONG, *words), reset(stack, *words)
    assert (everything(stack), stack.sql(query)) == before
    assert "changed=1" in long and "changed=1" in burst


ROOT = "postgresql://postgres:%s@postgres:5432/shop" % ADMIN_PASSWORD


def test_not_one_slot_is_left_by_a_client_that_is_a_superuser(stack: Stack) -> None:
    stack.call("leak", connections=40, dsn=ROOT)
    rooted = {**stack.target()["clients"][0], "login": {"user": "postgres", "password": ADMIN_PASSWORD}}
    meant: dict[str, Any] = {"state": "absent", "session_states": ["idle"], "max_percent": 100, "clients": [rooted]}
    before = everything(stack)
    planned = module(stack, "sessions", check=True, **meant)
    assert planned["changed"] and not planned["reached"] and everything(stack) == before
    done = module(stack, "sessions", **meant)
    assert not done["failed"], done
    assert done["reached"] and done["freed"][0]["pid"] == planned["freed"][0]["pid"]
    assert {one["outcome"] for one in done["sessions"]} <= {"terminated", "gone_by_itself"}
    wait_for(lambda: verdict(stack) == "healthy")


def test_not_one_slot_is_left_by_a_superuser_that_is_no_declared_client(stack: Stack) -> None:
    """None of them may be ended by us; the process that holds them may be restarted."""
    stack.call("leak", connections=40, dsn=ROOT)
    ended = module(stack, "sessions", state="absent", session_states=["idle"], max_percent=100)
    touched = ended["freed"] + [one for one in ended["sessions"] if one["outcome"] != "refused"]
    assert {one["user"] for one in touched} <= {"app"}  # the API's own pool
    assert ended["failed"] or "ask that person" in ended["msg"]
    before = started(stack)
    said = reset(stack, *LONG)
    assert started(stack) != before
    assert verdict(stack) == "healthy", said


@pytest.mark.parametrize("words", [LONG, ()], ids=["long", "burst"])
def test_two_operators_at_once_both_end_well(stack: Stack, words: tuple[str, ...]) -> None:
    leak_long(stack)
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
    argv = ["ansible-playbook", "oncall.postgresql.pool_reset", "-i", str(inventory), *words]
    both = [
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         env={**os.environ, "PATH": "%s:%s" % (os.path.dirname(sys.executable), os.environ["PATH"])})
        for _unused in range(2)
    ]  # fmt: skip
    said = [one.communicate(timeout=240)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], "\n".join(said)
    assert verdict(stack) == "healthy"
