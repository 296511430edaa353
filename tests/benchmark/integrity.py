# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an integrity check costs a server at work, and how long it takes beside pg_amcheck."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2

from tests.embedded import Server
from tests.lab.stack import write_inventory

from .series import OURS, Aim, Part, Series, play, run

GIB = 1024**3
TABLES, MOST_BYTES, KEPT_FREE_BYTES, BYTES_A_ROW = 1000, 8 * GIB, 20 * GIB, 150
CLIENTS, SCALE, ALONE_SECONDS = 4, 50, 30
DEADLINE_SECONDS = 300
DATABASES, TABLES_EACH = 50, 1000
SETTINGS = {
    "shared_buffers": "1GB",
    "fsync": "on",
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "max_wal_size": "32GB",
    "checkpoint_timeout": "1h",  # none falls into one phase and not into the next
    "autovacuum": "off",
    "maintenance_work_mem": "256MB",
    "max_locks_per_transaction": 1024,
}
# Made and filled in one transaction, a table is written past the WAL.
_TABLES = """DO $$ BEGIN FOR n IN %d..%d LOOP
EXECUTE format('CREATE TABLE t%%s (id bigint, customer int, note text)', n);
EXECUTE format('INSERT INTO t%%s SELECT g, mod(g * 7919, 50000), repeat(''x'', 64) FROM generate_series(1, %d) g', n);
EXECUTE format('ALTER TABLE t%%s ADD PRIMARY KEY (id)', n);
EXECUTE format('CREATE INDEX ON t%%s (customer)', n);
END LOOP; END $$"""
_TPS = re.compile(r"progress: ([0-9.]+) s, ([0-9.]+) tps, lat ([0-9.]+) ms")


class Pgbench:
    """Runs all the time, so that no phase begins cold; what it did in one second is one reading."""

    def __init__(self, server: Server, rate: float | None = None) -> None:
        words = ["-n", "-c", str(CLIENTS), "-j", "1", "-T", "7200", "-P", "1", "--progress-timestamp"]
        words += ["--rate", "%.0f" % rate] if rate else []
        login = ["-h", str(server.directory), "-p", str(server.port), "-U", "postgres", "shop"]
        self._readings: list[tuple[float, float, float]] = []
        self._process = subprocess.Popen(
            [str(server.bin / "pgbench"), *words, *login], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Pgbench:
        time.sleep(5)
        return self

    def __exit__(self, *_unused: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            if found := _TPS.match(line):
                at, rate, latency = map(float, found.groups())
                self._readings.append((at, rate, latency))

    def during(self, begun: float, ended: float, without: Sequence[float] = ()) -> tuple[float, float]:
        """Transactions a second, and milliseconds for one, in the whole seconds between; but those in which a moment of
        ``without`` is."""
        time.sleep(1.5)
        mine = [each for each in self._readings if begun + 1 <= each[0] <= ended]
        mine = [each for each in mine if not any(each[0] - 1 < at <= each[0] for at in without)]
        if not mine:
            sys.exit("pgbench told nothing")
        done = sum(rate for _at, rate, _latency in mine)
        return done / len(mine), sum(rate * latency for _at, rate, latency in mine) / done


class Reading:
    """When the check was reading data, looked at ten times a second."""

    _NOW = """SELECT count(*) FROM pg_stat_activity
        WHERE state = 'active' AND pid <> pg_backend_pid() AND query ~ 'bt_index_check|verify_heapam'"""

    def __init__(self, server: Server) -> None:
        self.moments: list[float] = []
        self._over = threading.Event()
        self._server = server
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Reading:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        place = str(self._server.directory)
        session = psycopg2.connect(host=place, port=self._server.port, user="postgres", dbname="shop")
        with contextlib.closing(session):
            session.autocommit = True
            with session.cursor() as cursor:
                while not self._over.wait(0.1):
                    cursor.execute(self._NOW)
                    if (cursor.fetchone() or (0,))[0]:
                        self.moments.append(time.time())


def integrity(runs: int, _names: Sequence[str]) -> Part:
    with Server(15, settings=SETTINGS) as server:
        amount = _fill(server)
        with _inventory(server) as (inventory, reports):
            alone, aims = _alone(server, inventory, reports, runs)
            full, told = _pairs(server, inventory, reports, runs, "at full speed", None)
            rate = full[0].median / 2
            half, more = _pairs(server, inventory, reports, runs, "at half of that", rate)
    with Server(15, settings=SETTINGS) as server:
        many, last = _many(server, runs)
    alone[0].note = "%s; %s" % (amount, alone[0].note)
    return Part([*alone, *full, *half, *many], [*told, *more, *aims, *last])


def _fill(server: Server) -> str:
    free = shutil.disk_usage(server.directory).free - KEPT_FREE_BYTES
    rows = int(min(MOST_BYTES, free // 4) / TABLES / BYTES_A_ROW)
    server.sql("CREATE DATABASE shop")
    server.sql("CREATE EXTENSION amcheck", "shop")
    server.sql("ALTER SYSTEM SET fsync = off")
    server.sql("SELECT pg_reload_conf()")
    begun, step = time.monotonic(), TABLES // 20
    texts = [_TABLES % (first, first + step - 1, rows) for first in range(1, TABLES + 1, step)]
    _each(server, [(text, "shop") for text in texts])
    server.run(
        "pgbench",
        "-i",
        "-q",
        "-s",
        str(SCALE),
        "-h",
        server.directory,
        "-p",
        str(server.port),
        "shop",
        "-U",
        "postgres",
    )
    for text in ("ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()", "CHECKPOINT"):
        server.sql(text)
    size = int(server.sql("SELECT pg_database_size('shop')"))
    print("%.1f GiB in %.0f s" % (size / GIB, time.monotonic() - begun), file=sys.stderr, flush=True)
    return "%d tables, %.1f GiB" % (TABLES, size / GIB)


def _each(server: Server, work: Sequence[tuple[str, str]]) -> None:
    """Two at a time."""
    with ThreadPoolExecutor(2) as pool:
        for _done in pool.map(lambda each: server.sql(*each), work):
            pass


@contextlib.contextmanager
def _inventory(server: Server) -> Iterator[tuple[Path, Path]]:
    target = server.target()
    with tempfile.TemporaryDirectory(prefix="oncall-benchmark-") as directory:
        yield write_inventory(Path(directory), {"shop": {"oncall_target": target}}), Path(directory) / "reports"


def _check(inventory: Path, reports: Path) -> tuple[float, str]:
    """Seconds, and how much of it was read."""
    seconds = play(OURS, "oncall.postgresql.integrity_check", inventory, oncall_report_dir=str(reports))
    found: dict[str, Any] = json.loads((reports / "shop.json").read_text())["facts"]["integrity"]
    shares = [share for each in found["databases"] for share in each["amcheck"]["coverage"]]
    done, there = (sum(each[key] for each in shares) for key in ("checked_bytes", "bytes"))
    return seconds, "%.0f %% of bytes read" % (100.0 * done / max(1, there))


def _processor_seconds(server: Server) -> float:
    """Of the sessions of the server that have ended, and of our own programs."""
    session = Path("/proc/%d/stat" % server.pid).read_text().rpartition(")")[2].split()[13:15]
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(map(int, session)) / os.sysconf("SC_CLK_TCK") + ours.ru_utime + ours.ru_stime


def _alone(server: Server, inventory: Path, reports: Path, runs: int) -> tuple[list[Series], list[Aim]]:
    ours, theirs = Series("integrity_check, nothing else going on"), Series("pg_amcheck")
    kept = Series("baseline, %d tables" % TABLES)
    login = ["-h", str(server.directory), "-p", str(server.port), "-U", "postgres", "-d", "shop"]
    for _unused in range(runs):
        before = _processor_seconds(server)
        seconds, read = _check(inventory, reports)
        spent = _processor_seconds(server) - before
        ours.seconds.append(seconds)
        share = 100 * spent / DEADLINE_SECONDS / (os.cpu_count() or 1)
        ours.note = "%s; %.0f s of processor time, %.1f %% of what there is in %d s" % (
            read,
            spent,
            share,
            DEADLINE_SECONDS,
        )
        theirs.seconds.append(run([str(server.bin / "pg_amcheck"), *login]))
        directory = str(reports.with_name("baselines"))
        kept.seconds.append(play(OURS, "oncall.postgresql.baseline", inventory, oncall_baseline_dir=directory))
    return [ours, theirs, kept], [_ratio(ours, theirs, 2.0, "%d tables" % TABLES)]


def _pairs(
    server: Server, inventory: Path, reports: Path, runs: int, how: str, rate: float | None
) -> tuple[list[Series], list[Aim]]:
    """The check as long as it takes. What it costs is told from the seconds in which it pauses: before and after it the
    machine may be another, by more than that."""
    without = Series("pgbench %s" % how, unit="/s")
    beside = Series("pgbench %s, beside integrity_check" % how, unit="/s")
    checks = Series("integrity_check, beside pgbench %s" % how)
    latencies: dict[str, list[float]] = {without.name: [], beside.name: []}
    lost = []
    with Pgbench(server, rate) as pgbench:

        def phase(series: Series, begun: float) -> float:
            done, latency = pgbench.during(begun, time.time())
            series.seconds.append(done)
            latencies[series.name].append(latency)
            return done

        def alone() -> float:
            begun = time.time()
            time.sleep(ALONE_SECONDS)
            return phase(without, begun)

        alone()
        for _unused in range(runs):
            begun = time.time()
            with Reading(server) as reading:
                seconds, checks.note = _check(inventory, reports)
            ended = time.time()
            meanwhile = phase(beside, begun)
            pausing, _latency = pgbench.during(begun, ended, reading.moments)
            checks.seconds.append(seconds)
            lost.append(100 - 100 * meanwhile / pausing)
            alone()
    for series in (without, beside):
        series.note = "%.1f ms each, %d clients" % (statistics.median(latencies[series.name]), CLIENTS)
    less, slowest = statistics.median(lost), max(checks.seconds)
    return [without, beside, checks], [
        Aim("at most 5 %% less throughput of pgbench %s" % how, less <= 5, "%.1f %% less" % less),
        Aim("within its deadline of %d s" % DEADLINE_SECONDS, slowest <= DEADLINE_SECONDS + 5, "%.0f s" % slowest),
    ]


def _many(server: Server, runs: int) -> tuple[list[Series], list[Aim]]:
    tables = "DO $$ BEGIN FOR n IN 1..%d LOOP EXECUTE format('CREATE TABLE t%%s (id int PRIMARY KEY)', n); %s"
    server.sql("CREATE DATABASE d1")
    server.sql("CREATE EXTENSION amcheck", "d1")
    server.sql(tables % (TABLES_EACH, "END LOOP; END $$"), "d1")
    _each(server, [("CREATE DATABASE d%d TEMPLATE d1" % n, "postgres") for n in range(2, DATABASES + 1)])
    size = "%d databases of %d small tables each" % (DATABASES, TABLES_EACH)
    ours, theirs = Series("integrity_check, %s" % size), Series("pg_amcheck, %s" % size)
    words = [
        str(server.bin / "pg_amcheck"),
        "-h",
        str(server.directory),
        "-p",
        str(server.port),
        "-U",
        "postgres",
        "-a",
    ]
    with _inventory(server) as (inventory, reports):
        for _unused in range(runs):
            seconds, ours.note = _check(inventory, reports)
            ours.seconds.append(seconds)
            theirs.seconds.append(run(words))
    return [ours, theirs], [_ratio(ours, theirs, 2.0, size)]


def _ratio(ours: Series, theirs: Series, most: float, size: str) -> Aim:
    """Catalogs, sequences, leftovers and backups are read, too."""
    ratio = ours.median / theirs.median
    return Aim("at most %.1fx pg_amcheck, %s" % (most, size), ratio <= most, "%.2fx" % ratio)
