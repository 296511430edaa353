# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that keeps writing numbered rows, whatever happens to the server, and knows which were acknowledged.

    with Writer(stack) as writer:
        ...                          # kill it, fix it
        writer.reconcile()           # every acknowledged row is there once; and it writes again

It is a process of its own: nothing of the test holds it up. Run as ``python -m tests.lab.writer CONTAINER FILE``.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import psycopg2

from .stack import Stack, docker, wait_for

PASSWORD = "writer-Secret-4713"
LEDGER = (
    """
CREATE ROLE writer LOGIN PASSWORD '%s';
CREATE TABLE ledger (number bigint, at timestamptz DEFAULT now());
GRANT INSERT ON ledger TO writer;
"""
    % PASSWORD
)
PAUSE_SECONDS = 0.1


class Writer:
    """Writes from the moment it is made until the ``with`` is left."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._file = stack, stack.work / "acknowledged"
        self._pause, self._paused = self._file.with_suffix(".pause"), self._file.with_suffix(".paused")
        stack.sql(LEDGER)
        self._file.touch()
        argv = [sys.executable, "-m", "tests.lab.writer", stack.name(), str(self._file)]
        self._process = subprocess.Popen(argv, cwd=Path(__file__).resolve().parents[2])
        wait_for(self.acknowledged)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, what: BaseException | None, where: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def acknowledged(self) -> list[int]:
        lines = self._file.read_text().splitlines(keepends=True)
        return [int(line) for line in lines if line.endswith("\n")]

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """It gives up its connection: for a fault that needs each slot."""
        self._paused.unlink(missing_ok=True)
        self._pause.touch()
        wait_for(self._paused.exists)
        try:
            yield
        finally:
            self._pause.unlink()

    def reconcile(self) -> None:
        """It can write again, and nothing that was acknowledged is lost or doubled."""
        assert self._process.poll() is None, "the writer has ended by itself"
        so_far = len(self.acknowledged())
        wait_for(lambda: len(self.acknowledged()) >= so_far + 3)
        acknowledged = self.acknowledged()
        there = json.loads(self._stack.sql("SELECT coalesce(json_agg(number), '[]') FROM ledger"))
        lost = sorted(set(acknowledged) - set(there))
        assert not lost, "acknowledged and lost: %s" % lost[:20]
        assert len(there) == len(set(there)), "written twice"


def address(container: str) -> str:
    """Where it is now: a container gets another address when it is started or attached again."""
    found = json.loads(docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", container))
    return next(str(one["IPAddress"]) for one in found.values() if one["IPAddress"])


def write(container: str, file: Path) -> None:
    number = 0
    pause, paused = file.with_suffix(".pause"), file.with_suffix(".paused")
    parent = os.getppid()
    with open(file, "a", buffering=1) as acknowledged:
        while os.getppid() == parent:  # a test that was itself killed leaves no writer behind
            while pause.exists():
                paused.touch()
                time.sleep(PAUSE_SECONDS)
            try:
                connection = psycopg2.connect(
                    host=address(container),
                    user="writer",
                    password=PASSWORD,
                    dbname="shop",
                    connect_timeout=2,
                    application_name="writer",
                    options="-c statement_timeout=3000",
                )
                connection.autocommit = True
                with contextlib.closing(connection), connection.cursor() as cursor:
                    while not pause.exists() and os.getppid() == parent:
                        number += 1  # one whose fate is unknown is never tried again
                        cursor.execute("INSERT INTO ledger VALUES (%s)", (number,))
                        acknowledged.write("%d\n" % number)
                        time.sleep(PAUSE_SECONDS)
            except (psycopg2.Error, AssertionError, StopIteration):
                time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
