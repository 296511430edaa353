# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time to verdict, by the clock on the wall: what a person waits for after pressing Enter.

python -m tests.benchmark [--runs 5] [--fault NAME ...] [--write]

On a healthy Compose target, in turns: the triage playbook, a play with one ``ansible.builtin.ping`` (the floor), and a
playbook of community.docker and community.postgresql that asks the same questions (``composed.yml``). Then triage on
each kind of fault. Prints medians; ``--write`` puts the table into docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.faults import FAULTS as LAB
from tests.lab.faults import Fault
from tests.lab.stack import ADMIN_PASSWORD, Stack, docker, write_inventory

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
OURS, THEIRS = Path(sys.executable).parent, CHECKOUT / ".venv-benchmark" / "bin"
DEADLINE_SECONDS = 10
CLIENT_LOGIN = "import os, psycopg2; psycopg2.connect(os.environ['DATABASE_URL'], connect_timeout=5).close()"


def catalog_locked(stack: Stack) -> None:
    """Nobody can log in: every new session waits for the catalog."""
    stack.session("BEGIN; LOCK TABLE pg_authid, pg_database; SELECT pg_sleep(600);", user="postgres")
    time.sleep(1)


def client_paused(stack: Stack) -> None:
    docker("pause", stack.name(stack.client))


# Of the lab's faults: a few for each question, and all where something hangs.
KINDS = {
    "stopped",
    "killed",
    "restart_loop",
    "control_file",
    "paused",
    "frozen",
    "closed_standby",
    "local_only",
    "lost_alias",
    "dropped",
    "refused",
    "loss",
    "idle_leak",
    "superuser_leak",
    "overload",
    "wrong_password",
    "no_hba",
    "lock_chain",
    "orphan",
    "checksum",
    "full_while_running",
}
FAULTS = {fault.id: fault for fault in LAB if fault.id in KINDS} | {
    "catalog_locked": Fault("catalog_locked", catalog_locked, "queries_hanging", "blocked_by_lock", ""),
    "client_paused": Fault("client_paused", client_paused, "healthy", None, ""),
}


@dataclass
class Series:
    """The wall times of one kind of run, and what the last one gave."""

    name: str
    seconds: list[float] = field(default_factory=list)
    verdict: str = ""
    looked_ms: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


class Bench:
    """Runs playbooks on one stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.inventory = write_inventory(
            stack.work, {"shop": {"oncall_target": stack.target(deadline_seconds=DEADLINE_SECONDS)}}
        )
        self.reports = stack.work / "reports"

    def play(self, bin_directory: Path, playbook: str, **variables: str) -> float:
        argv = [
            str(bin_directory / "ansible-playbook"),
            playbook,
            "-i",
            str(self.inventory),
            "-e",
            json.dumps(variables),
        ]
        begun = time.monotonic()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        elapsed = time.monotonic() - begun
        if done.returncode:
            sys.exit("%s failed:\n%s%s" % (playbook, done.stdout, done.stderr))
        return elapsed

    def ping(self, series: Series) -> None:
        series.seconds.append(self.play(OURS, str(HERE / "ping.yml")))

    def triage(self, series: Series) -> None:
        series.seconds.append(self.play(OURS, "oncall.postgresql.triage", oncall_report_dir=str(self.reports)))
        result = json.loads((self.reports / "shop.json").read_text())
        series.verdict = " / ".join(filter(None, (result["verdict"]["code"], result["verdict"]["cause"])))
        series.looked_ms = result["elapsed_ms"]["total"]

    def composed(self, series: Series) -> None:
        server, client = self.stack.name(), self.stack.name(self.stack.client)
        names = {"server": server, "client": client, "network": self.stack.network(), "client_host": self.stack.server}
        login = {"login_host": self.stack.address(server), "login_user": "postgres", "login_password": ADMIN_PASSWORD}
        python = {"ansible_python_interpreter": str(THEIRS / "python")}
        playbook = str(HERE / "composed.yml")
        series.seconds.append(self.play(THEIRS, playbook, client_login=CLIENT_LOGIN, **names, **login, **python))


def healthy(runs: int) -> list[Series]:
    ping, ours, theirs = Series("ansible.builtin.ping"), Series("triage, healthy"), Series("composed playbook, healthy")
    with Stack("oncall-benchmark") as stack:
        stack.up()
        bench = Bench(stack)
        for _unused in range(runs):
            bench.ping(ping)
            bench.triage(ours)
            bench.composed(theirs)
    return [ping, ours, theirs]


def broken(fault: Fault, runs: int) -> Series:
    series = Series("triage, %s" % fault.id.replace("_", " "))
    with Stack("oncall-benchmark", version=fault.version) as stack:
        stack.up(fault.before(stack) if fault.before else fault.override)
        stack.options = dict(fault.options)
        fault.make(stack)
        bench = Bench(stack)
        for _unused in range(runs):
            bench.triage(series)
    return series


def table(rows: list[Series]) -> str:
    floor = rows[0].median
    lines = ["| run | median | least | most | x ping | of it looking | verdict |", "|---|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        looked = "%.2f s" % (row.looked_ms / 1000) if row.looked_ms is not None else ""
        times = "%.2f s | %.2f s | %.2f s" % (row.median, min(row.seconds), max(row.seconds))
        lines.append("| %s | %s | %.2f | %s | %s |" % (row.name, times, row.median / floor, looked, row.verdict))
    return "\n".join(lines)


def aims(rows: list[Series]) -> str:
    ping, ours, theirs = rows[:3]
    slowest = max(rows[1:2] + rows[3:], key=lambda row: max(row.seconds))
    lines = (
        (
            "at most 1.5x the floor on a healthy target",
            "%.2fx" % (ours.median / ping.median),
            ours.median <= 1.5 * ping.median,
        ),
        (
            "at least 5x faster than the composed playbook",
            "%.1fx" % (theirs.median / ours.median),
            theirs.median >= 5 * ours.median,
        ),
        (
            "never more than deadline_seconds + 2 s",
            "%.2f s (%s)" % (max(slowest.seconds), slowest.name),
            max(slowest.seconds) <= DEADLINE_SECONDS + 2,
        ),
    )
    return "\n".join("- %s: %s, %s" % (aim, "reached" if reached else "MISSED", value) for aim, value, reached in lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="only this one (again for more)")
    parser.add_argument("--write", action="store_true", help="write docs/benchmark.md")
    chosen = parser.parse_args()
    rows = healthy(chosen.runs)
    for name in chosen.fault or FAULTS:
        print("%s ..." % name, file=sys.stderr, flush=True)
        rows.append(broken(FAULTS[name], chosen.runs))
    text = "%s\n\n%s\n" % (table(rows), aims(rows))
    print(text)
    if chosen.write:
        head = "# How long it takes\n\n%d runs each, by `make benchmark`, on %d processors.\n\n" % (
            chosen.runs,
            os.cpu_count() or 0,
        )
        (CHECKOUT / "docs" / "benchmark.md").write_text(head + text)


if __name__ == "__main__":
    main()
