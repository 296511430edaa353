# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time to verdict, on a healthy Compose target beside what others take, and on each kind of fault."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.faults import FAULTS as LAB
from tests.lab.faults import Fault
from tests.lab.stack import ADMIN_PASSWORD, Stack, write_inventory
from tests.sshd import Sshd

from .series import HERE, OURS, THEIRS, Aim, Part, Series, play

DEADLINE_SECONDS = 10
CLIENT_LOGIN = "import os, psycopg2; psycopg2.connect(os.environ['DATABASE_URL'], connect_timeout=5).close()"
AS_A_MODULE = {"ansible_become": True, "ansible_become_method": "ansible.builtin.su"}


def catalog_locked(stack: Stack) -> None:
    """Nobody can log in: every new session waits for the catalog."""
    stack.session("BEGIN; LOCK TABLE pg_authid, pg_database; SELECT pg_sleep(600);", user="postgres")
    time.sleep(1)


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
    "client_paused",
}
FAULTS = {fault.id: fault for fault in LAB if fault.id in KINDS} | {
    "catalog_locked": Fault("catalog_locked", catalog_locked, "queries_hanging", "blocked_by_lock", ""),
}


class Bench:
    """Runs playbooks on one stack; ``how`` are variables of its host."""

    def __init__(self, stack: Stack, how: Mapping[str, Any] | None = None) -> None:
        self.stack = stack
        directory = Path(tempfile.mkdtemp(dir=stack.work))
        target = {"oncall_target": stack.target(deadline_seconds=DEADLINE_SECONDS)}
        self.inventory = write_inventory(directory, {"shop": {**target, **(how or {})}})
        self.reports = directory / "reports"

    def ping(self, series: Series) -> None:
        series.seconds.append(play(OURS, str(HERE / "ping.yml"), self.inventory))

    def triage(self, series: Series) -> None:
        reports = str(self.reports)
        series.seconds.append(play(OURS, "oncall.postgresql.triage", self.inventory, oncall_report_dir=reports))
        result = json.loads((self.reports / "shop.json").read_text())
        verdict = " / ".join(filter(None, (result["verdict"]["code"], result["verdict"]["cause"])))
        series.note = "%s, looked for %.2f s" % (verdict, result["elapsed_ms"]["total"] / 1000)

    def composed(self, series: Series) -> None:
        server, client = self.stack.name(), self.stack.name(self.stack.client)
        names = {"server": server, "client": client, "network": self.stack.network(), "client_host": self.stack.server}
        login = {"login_host": self.stack.address(server), "login_user": "postgres", "login_password": ADMIN_PASSWORD}
        more = {"client_login": CLIENT_LOGIN, "ansible_python_interpreter": str(THEIRS / "python")}
        series.seconds.append(play(THEIRS, str(HERE / "composed.yml"), self.inventory, **names, **login, **more))


def healthy(runs: int, _names: Sequence[str]) -> Part:
    ping, ours, theirs = Series("ansible.builtin.ping"), Series("triage"), Series("composed playbook")
    far_ping, far = Series("ping, on the host (become)"), Series("triage, as a module on the host (become)")
    ssh_ping, ssh = Series("ping, over SSH"), Series("triage, as a module over SSH")
    with Stack("oncall-benchmark") as stack, Sshd() as sshd:
        stack.up()
        ways = [
            ("in the worker", Bench(stack), ping, ours),
            ("as a module (become)", Bench(stack, AS_A_MODULE), far_ping, far),
            ("as a module (SSH)", Bench(stack, sshd.over_ssh()), ssh_ping, ssh),
        ]
        for _unused in range(runs):
            for _name, bench, floor, row in ways:
                bench.ping(floor)
                bench.triage(row)
            ways[0][1].composed(theirs)
    for _name, _bench, floor, row in ways:
        row.note = "%.2fx its ping; %s" % (row.median / floor.median, row.note)
    ping.note = "the floor"
    aims = []
    for name, _bench, floor, row in ways:
        ratio = row.median / floor.median
        aims.append(Aim("at most 1.5x the floor on a healthy target, %s" % name, ratio <= 1.5, "%.2fx" % ratio))
        ratio = theirs.median / row.median
        aims.append(Aim("at least 5x faster than the composed playbook, %s" % name, ratio >= 5, "%.1fx" % ratio))
    return Part([ping, ours, far_ping, far, ssh_ping, ssh, theirs], aims)


def faults(runs: int, names: Sequence[str]) -> Part:
    rows = [_broken(FAULTS[name], runs) for name in names or FAULTS]
    slowest = max(rows, key=lambda row: max(row.seconds))
    seconds = max(slowest.seconds)
    value = "%.2f s (%s)" % (seconds, slowest.name)
    return Part(rows, [Aim("never more than deadline_seconds + 2 s", seconds <= DEADLINE_SECONDS + 2, value)])


def _broken(fault: Fault, runs: int) -> Series:
    print("%s ..." % fault.id, file=sys.stderr, flush=True)
    series = Series("triage, %s" % fault.id.replace("_", " "))
    with Stack("oncall-benchmark", version=fault.version) as stack:
        stack.up(fault.before(stack) if fault.before else fault.override)
        stack.options = dict(fault.options)
        fault.make(stack)
        bench = Bench(stack)
        for _unused in range(runs):
            bench.triage(series)
    return series
