# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many hosts: servers that are reached through the network only, beside what Ansible takes for nothing at all.

Six servers answer for all hosts, each host by an address of its own. They run on the same processors as Ansible.
"""

from __future__ import annotations

import contextlib
import json
import resource
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.embedded import Server
from tests.lab.stack import write_inventory

from .series import HERE, OURS, Aim, Part, Series, run

SERVERS, FORKS = 6, 10
FEW, MANY = 100, 1000
PASSWORD = "not-a-secret"


@contextlib.contextmanager
def _servers() -> Iterator[list[Server]]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(listen="*")) for _unused in range(SERVERS)]
        for server in servers:
            server.sql("CREATE ROLE oncall LOGIN SUPERUSER PASSWORD '%s'" % PASSWORD)
        yield servers


def _inventory(directory: Path, servers: Sequence[Server], hosts: int) -> Path:
    targets = {}
    for number in range(hosts):
        targets["pg-%04d" % number] = {
            "oncall_target": {
                "runtime": "remote",
                "login_host": "127.1.%d.%d" % divmod(number + 1, 250),
                "login_port": servers[number % SERVERS].port,
                "login_user": "oncall",
                "login_password": PASSWORD,
            }
        }
    directory.mkdir()
    return write_inventory(directory, targets)


def _timed(series: Series, playbook: str, inventory: Path, *words: str) -> None:
    argv = [str(OURS / "ansible-playbook"), playbook, "-i", str(inventory), "--forks", str(FORKS), *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    series.seconds.append(run(argv))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    series.note = "%.1f s of processor time without the servers'" % used


def _triage(series: Series, inventory: Path, hosts: int) -> None:
    reports = inventory.parent / "reports"
    _timed(series, "oncall.postgresql.triage", inventory, "-e", json.dumps({"oncall_report_dir": str(reports)}))
    verdicts = [json.loads(file.read_text())["verdict"]["code"] for file in reports.glob("*.json")]
    assert verdicts == ["healthy"] * hosts, verdicts
    series.note += "; the page has %d KiB" % ((reports / "index.html").stat().st_size / 1024)


def fleet(runs: int, _names: Sequence[str]) -> Part:
    ping, few_debug, few = (
        Series("%s, %d hosts" % (name, FEW)) for name in ("ansible.builtin.ping", "debug", "triage")
    )
    debug, many = (Series("%s, %d hosts" % (name, MANY)) for name in ("debug", "triage"))
    with _servers() as servers, tempfile.TemporaryDirectory(prefix="oncall-benchmark-") as directory:
        hundred = _inventory(Path(directory) / "few", servers, FEW)
        thousand = _inventory(Path(directory) / "many", servers, MANY)
        for _unused in range(runs):
            _timed(ping, str(HERE / "ping.yml"), hundred)
            _timed(few_debug, str(HERE / "debug.yml"), hundred)
            _triage(few, hundred, FEW)
            _timed(debug, str(HERE / "debug.yml"), thousand)
            _triage(many, thousand, MANY)
    few_ratio, many_ratio = few.median / ping.median, many.median / debug.median
    few.note, many.note = (
        "%.2fx its ping; %s" % (few_ratio, few.note),
        "%.2fx its debug; %s" % (many_ratio, many.note),
    )
    return Part(
        [ping, few_debug, few, debug, many],
        [
            Aim("at most 0.2x the ping of %d hosts" % FEW, few_ratio <= 0.2, "%.2fx" % few_ratio),
            Aim("at most 2x the debug of %d hosts" % MANY, many_ratio <= 2, "%.2fx" % many_ratio),
        ],
    )
