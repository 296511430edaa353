# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time to fix: many sessions ended, the first free slot, and how long a restart keeps clients away."""

from __future__ import annotations

import contextlib
import functools
import json
import resource
import shlex
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg2

from tests.embedded import Server, free_port
from tests.lab.stack import PASSWORD as LAB_PASSWORD
from tests.lab.stack import Stack, wait_for, write_inventory

from .series import HERE, OURS, THEIRS, Aim, Part, Series, play, run

PASSWORD = "not-a-secret"
SESSIONS, ONE_BY_ONE = 1000, 50  # the loop takes minutes: measured on fewer, its note says what that makes for all
EVERY_SECONDS = 0.05
RUNBOOK_SLEEP_SECONDS = 10


def _login(server: Server, user: str) -> dict[str, Any]:
    return {"host": server.host, "port": server.port, "user": user, "password": PASSWORD}


@contextlib.contextmanager
def _sessions(server: Server, user: str, number: int) -> Iterator[None]:
    """So many idle ones of a program; they stay open on our side, whatever becomes of the server's."""
    opened: list[Any] = []
    try:
        for _unused in range(number):
            opened.append(psycopg2.connect(dbname="postgres", application_name="shop", **_login(server, user)))
        yield
    finally:
        for one in opened:
            one.close()
        wait_for(lambda: _count(server, user) == 0)


def _count(server: Server, user: str) -> int:
    return int(server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = '%s'" % user))


@contextlib.contextmanager
def _inventory(server: Server, user: str, **more: Any) -> Iterator[Path]:
    client = {"service": "shop", "application_name": "shop", "login": {**_login(server, user), "database": "postgres"}}
    target = server.target(client)
    with tempfile.TemporaryDirectory(prefix="oncall-benchmark-") as directory:
        reports = {"oncall_report_dir": directory + "/reports"}
        yield write_inventory(Path(directory), {"shop": {"oncall_target": target, **reports, **more}})


def pool(runs: int, _names: Sequence[str]) -> Part:
    """All rows end with the same truth: the sessions are gone."""
    module = Series("module sessions, %d sessions" % SESSIONS)
    reset = Series("pool_reset, %d sessions" % SESSIONS, note="with triage before and after")
    loop = Series("community.postgresql, a statement a session, %d sessions" % ONE_BY_ONE)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(most[0], min(most[1], 4 * SESSIONS)), most[1]))
    with Server(settings={"max_connections": SESSIONS + 100}) as server:
        server.sql("CREATE ROLE app LOGIN PASSWORD '%s'; CREATE ROLE boss LOGIN SUPERUSER PASSWORD '%s'"
                   % (PASSWORD, PASSWORD))  # fmt: skip
        boss = {"login_%s" % key: value for key, value in _login(server, "boss").items()}
        theirs = {"ansible_python_interpreter": str(THEIRS / "python"), "sessions": ONE_BY_ONE, **boss}
        with _inventory(server, "app", oncall_idle_minutes=0) as inventory:
            ways: tuple[tuple[Series, int, Callable[[], float]], ...] = (
                (module, SESSIONS, functools.partial(play, OURS, str(HERE / "release.yml"), inventory)),
                (reset, SESSIONS, functools.partial(play, OURS, "oncall.postgresql.pool_reset", inventory)),
                (
                    loop,
                    ONE_BY_ONE,
                    functools.partial(play, THEIRS, str(HERE / "release_composed.yml"), inventory, **theirs),
                ),
            )
            for _unused in range(runs):
                for series, number, way in ways:
                    with _sessions(server, "app", number):
                        series.seconds.append(way())
                        wait_for(lambda: _count(server, "app") == 0, 5)
    whole = loop.median * SESSIONS / ONE_BY_ONE
    loop.note = "about %.0f s for %d" % (whole, SESSIONS)
    value = "%.2f s for all" % module.median
    return Part([module, reset, loop], [Aim("one statement, not one a session", module.median * 10 < whole, value)])


def slot(runs: int, _names: Sequence[str]) -> Part:
    """Not even a superuser gets in: the application logs in as one. Exactly what the verdict recommends is run."""
    pressed = Series("from pressing Enter on the recommended pool_reset")
    judged = Series("from the verdict that pool_reset itself begins with")
    with Server(settings={"max_connections": 20}) as server:
        server.sql("CREATE ROLE app LOGIN SUPERUSER PASSWORD '%s'" % PASSWORD)
        with _inventory(server, "app", oncall_idle_minutes=0) as inventory:
            for _unused in range(runs):
                with _sessions(server, "app", 20):
                    play(OURS, "oncall.postgresql.triage", inventory)
                    verdict = json.loads((inventory.parent / "reports" / "shop.json").read_text())["verdict"]
                    assert verdict["cause"] == "idle_connections", verdict
                    words = shlex.split(verdict["remedy"]["command"])[1:]
                    times = _until_in(server, [str(OURS / "ansible-playbook"), *words, "-i", str(inventory)])
                    pressed.seconds.append(times[0])
                    judged.seconds.append(times[1])
    value = "%.2f s" % judged.median
    return Part([pressed, judged], [Aim("from the verdict to a free slot in less than 2 s", judged.median < 2, value)])


def _until_in(server: Server, argv: Sequence[str]) -> tuple[float, float]:
    """Seconds until an ordinary client gets in: from the command's beginning, and from the end of its first task."""
    begun = time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    came_in: list[float] = []
    inside = threading.Thread(target=_first_in, args=(server, came_in), daemon=True)
    inside.start()
    assert process.stdout
    looked = 0.0
    for line in process.stdout:
        looked = looked or (time.monotonic() if line.startswith("ok: ") else 0.0)
    inside.join(1)
    assert process.wait() == 0 and looked and came_in, "%s failed" % " ".join(argv)
    return came_in[0] - begun, came_in[0] - looked


def _first_in(server: Server, came_in: list[float]) -> None:
    while not came_in:
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(dbname="postgres", connect_timeout=2, **_login(server, "app")).close()
            came_in.append(time.monotonic())
        time.sleep(EVERY_SECONDS)


class Observer(threading.Thread):
    """Every 50 ms: does a client get in, and does the API say that it is healthy? Counts while one of them does not."""

    def __init__(self, database: int, api: int) -> None:
        super().__init__(daemon=True)
        self.database, self.api = database, api
        self.seen: list[tuple[float, bool]] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(EVERY_SECONDS):
            begun = time.monotonic()
            well = self.well()
            self.seen.append((time.monotonic() if well else begun, well))

    def well(self) -> bool:
        with contextlib.suppress(psycopg2.OperationalError, OSError):
            psycopg2.connect(
                host="127.0.0.1",
                port=self.database,
                user="app",
                password=LAB_PASSWORD,
                dbname="shop",
                connect_timeout=2,
            ).close()
            with urllib.request.urlopen("http://127.0.0.1:%d/api/v1/db/health" % self.api, timeout=2) as reply:
                return bool(reply.status == 200)
        return False

    def downtime(self) -> float:
        """From the first failure to the first success after the last one."""
        self.ended.set()
        self.join()
        down = [number for number, (_at, well) in enumerate(self.seen) if not well]
        return self.seen[down[-1] + 1][0] - self.seen[down[0]][0]


def downtime(runs: int, _names: Sequence[str]) -> Part:
    ours, hand = Series("graceful_restart"), Series("the runbook's commands by hand")
    database, api = free_port(), free_port()
    with Stack("oncall-benchmark") as stack:
        stack.environment["LAB_POSTGRES_PORT"] = str(database)
        stack.up(override={"services": {"api": {"ports": ["127.0.0.1:%d:8000" % api]}}})
        inventory = write_inventory(stack.work, {"shop": {"oncall_target": stack.target()}})
        for _unused in range(runs):
            for series, way in (
                (ours, functools.partial(_by_playbook, inventory)),
                (hand, functools.partial(_by_hand, stack)),
            ):
                series.seconds.append(_away(Observer(database, api), way))
    value = "%.0f %%" % (100 * ours.median / hand.median)
    return Part([ours, hand], [Aim("at most half the downtime", 2 * ours.median <= hand.median, value)])


def _away(observer: Observer, way: Callable[[], Any]) -> float:
    wait_for(observer.well)
    observer.start()
    way()
    wait_for(lambda: observer.seen[-1][1])
    return observer.downtime()


def _by_playbook(inventory: Path) -> None:
    run([str(OURS / "ansible-playbook"), "oncall.postgresql.graceful_restart", "-i", str(inventory)])


def _by_hand(stack: Stack) -> None:
    stack.compose("stop", stack.client)
    stack.sql("CHECKPOINT")
    stack.compose("restart", stack.server)
    time.sleep(RUNBOOK_SLEEP_SECONDS)
    stack.compose("start", stack.client)
    time.sleep(RUNBOOK_SLEEP_SECONDS)
