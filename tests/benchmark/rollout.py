# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet's settings, written and reloaded: by the rollout, and by what one writes otherwise."""

from __future__ import annotations

import contextlib
import json
import resource
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.embedded import Server
from tests.lab.stack import write_inventory

from .series import HERE, OURS, THEIRS, Aim, Part, Series, run

SERVERS = 8
TUNE = "oncall.postgresql.tune"


class Fleet:
    """Fresh servers, and one inventory for all ways of changing them."""

    def __init__(self, directory: Path, servers: Sequence[Server]) -> None:
        self.servers, self._kept = servers, directory / "kept"
        self.settings: dict[str, str] = {}
        hosts = {}
        for number, server in enumerate(servers):
            target = server.target()
            psql = [str(server.bin / "psql"), "-XAtq", "-h", str(server.directory), "-p", str(server.port)]
            hosts["pg-%d" % number] = {
                "oncall_target": target,
                "tuning_memory": "1GB",
                "tuning_storage": "ssd",
                "tuning_overrides": {"max_connections": 25},
                "psql": [*psql, "-U", "postgres", "-d", "postgres"],
                "server_port": server.port,
                "socket_directory": str(server.directory),
            }
        self._inventory = write_inventory(directory, hosts)

    def stands(self) -> list[dict[str, str]]:
        """What each one's postgresql.auto.conf says."""
        query = (
            "SELECT coalesce(json_object_agg(name, setting), '{}') FROM pg_file_settings"
            " WHERE sourcefile LIKE '%postgresql.auto.conf'"
        )
        return [json.loads(server.sql(query)) for server in self.servers]

    def begin_anew(self, expected: list[dict[str, str]]) -> None:
        """After a run that has come to what every way comes to."""
        assert self.stands() == expected
        for server in self.servers:
            server.sql("ALTER SYSTEM RESET ALL")
            server.sql("SELECT pg_reload_conf()")

    def tune(self, series: Series, *words: str) -> None:
        more = {"oncall_rollout_dir": str(self._kept), "oncall_soak_minutes": 0}
        self._play(series, OURS, TUNE, more, *words)

    def plain(self, series: Series, place: Path, playbook: str, *words: str) -> None:
        more = {"settings": self.settings, "ansible_python_interpreter": str(place / "python")}
        self._play(series, place, str(HERE / playbook), more, *words)

    def _play(self, series: Series, place: Path, playbook: str, variables: dict[str, Any], *words: str) -> None:
        argv = [str(place / "ansible-playbook"), playbook, "-i", str(self._inventory), "-e", json.dumps(variables)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        series.seconds.append(run([*argv, *words]))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        series.note = "%.1f s of processor time without the servers'" % used


@contextlib.contextmanager
def _fleet() -> Iterator[Fleet]:
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="oncall-benchmark-"))
        yield Fleet(Path(directory), [stack.enter_context(Server()) for _unused in range(SERVERS)])


def rollout(runs: int, _names: Sequence[str]) -> Part:
    """Each way begins with the same servers and ends with the same settings. Nobody restarts or soaks."""
    psql, community = "settings_by_psql.yml", "settings_by_community.yml"
    rows = {
        name: Series(name)
        for name in (
            "tune, in batches of 1, 10 % and the rest",
            "tune, in one batch",
            "tune, nothing to do",
            "tune --check --diff",
            "psql, a task a setting",
            "community.postgresql, a task a setting",
            "community.postgresql, nothing to do",
        )
    }
    batches, one, idle, review, plain, theirs, theirs_idle = rows.values()
    at_once = ("-e", "oncall_serial=100%")
    with _fleet() as fleet:
        for _unused in range(runs):
            fleet.tune(review, "--check", "--diff", *at_once)
            assert fleet.stands() == [{}] * SERVERS
            fleet.tune(batches)
            tuned = fleet.stands()
            fleet.settings = tuned[0]
            assert len(fleet.settings) > 10 and tuned == [fleet.settings] * SERVERS, tuned
            fleet.tune(idle, *at_once)
            fleet.begin_anew(tuned)
            fleet.tune(one, *at_once)
            fleet.begin_anew(tuned)
            fleet.plain(plain, OURS, psql)
            fleet.begin_anew(tuned)
            fleet.plain(theirs, THEIRS, community)
            fleet.plain(theirs_idle, THEIRS, community)
            fleet.begin_anew(tuned)
    for series, yardstick in ((batches, plain), (one, plain), (theirs, plain), (idle, theirs_idle)):
        series.note = "%.2fx %s; %s" % (series.median / yardstick.median, yardstick.name, series.note)
    what = "psql, for %d settings of %d servers in one batch" % (len(fleet.settings), SERVERS)
    ratio = one.median / plain.median
    return Part(list(rows.values()), [Aim("at most 2x " + what, ratio <= 2, "%.2fx" % ratio)])
