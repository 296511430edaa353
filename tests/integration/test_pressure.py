# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of real servers: errors in the log, a postmaster that is stopped, a container that runs out of memory."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.pressure import pressure as gathering
from ansible_collections.oncall.postgresql.plugins.modules import pressure_info
from ansible_collections.oncall.postgresql.plugins.plugin_utils._rollout.soak import worse
from tests.embedded import Server
from tests.integration.containers import docker, project, wait_for
from tests.integration.results import held
from tests.integration.servers import until

MB = 1 << 20


def run(since: str | None = None, **options: Any) -> dict[str, Any]:
    given = {"deadline_seconds": 30, "since": since, **options}
    checked = ArgumentSpecValidator(**pressure_info.WORK.spec.arguments()).validate(given)
    assert not checked.error_messages, checked.error_messages
    with held("pressure_info") as fitting:
        return fitting(pressure_info.WORK.do(checked.validated_parameters, False))


def of(server: Server, since: str | None = None, **options: Any) -> dict[str, Any]:
    beside = {"runtime": "pg_ctl", "data_directory": str(server.data), "log_file": str(server.log_file)}
    return run(since, **beside, login_user="postgres", **options)["pressure"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def here() -> Iterator[Server]:
    with Server() as server:
        yield server


def a_second_later(sample: dict[str, Any]) -> None:
    """Samples are a second apart at least: nothing is counted twice, and nothing of the running second."""
    at = datetime.fromisoformat(sample["at"].replace("Z", "+00:00")).timestamp()
    until(lambda: time.time() >= at + 1)


def test_a_server_at_rest(here: Server) -> None:
    client = here.background("SELECT 'ready';")
    assert client.stdout is not None and client.stdout.readline() == "ready\n"
    found = run(runtime="pg_ctl", data_directory=str(here.data), log_file=str(here.log_file), login_user="postgres")
    client.communicate()
    sample = found["pressure"]
    assert found["target"]["version"].startswith("18") and found["target"]["in_recovery"] is False
    assert found["not_covered"] == [] and sample["connections"] == 1
    assert 0 < sample["memory"]["used_bytes"] < sample["memory"]["limit_bytes"]
    assert sample["probe"]["error"] is None and sample["probe"]["milliseconds"] > 0
    assert sample["log"]["seconds"] == 300 and sample["log"]["panic"] == 0
    assert sample["oom_kills"]["count"] >= 0 and sample["swap"]["used_bytes"] >= 0


@pytest.mark.parametrize("collector", [False, True], ids=["standard error", "collector"])
def test_errors_that_are_logged_since_then(collector: bool) -> None:
    with Server(settings={"logging_collector": "on" if collector else "off"}) as server:
        before = of(server)
        a_second_later(before)
        first = of(server, before["at"])
        a_second_later(first)
        assert first["log"]["error"] == first["log"]["fatal"] == 0 and worse(before, [first]) == []
        login = ("psql", "-h", server.directory, "-p", str(server.port), "-U", "postgres")
        server.run(*login, "nowhere", check=False)
        server.run(*login, stdin="SELECT no_such;\n" * 40, check=False)
        at = time.time()
        until(lambda: time.time() > at + 1)
        second = of(server, first["at"])
        assert (second["log"]["since"], second["log"]["error"]) == (first["at"], 40)
        assert second["log"]["fatal"] == 1  # nowhere
        assert worse(before, [first, second]) == []  # one burst
        (why,) = worse(before, [first, second, second, second])
        assert why.startswith("its log has ") and "errors a second (before: 0)" in why
        assert of(server, second["at"])["log"]["error"] == 0


def test_a_log_that_is_sent_elsewhere_is_not_looked_at(here: Server) -> None:
    here.sql("ALTER SYSTEM SET log_destination = 'syslog'")
    here.reload()
    until(lambda: here.sql("SHOW log_destination") == "syslog")
    found = run(runtime="pg_ctl", data_directory=str(here.data), login_user="postgres")
    assert found["pressure"]["log"] is None
    assert found["not_covered"] == ["log: log_destination is syslog, which is not read: add stderr to it"]
    here.sql("ALTER SYSTEM RESET log_destination")
    here.reload()


def test_a_postmaster_that_is_stopped_answers_late_or_not(here: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PROBE_SECONDS", 2.0)
    before = of(here)
    here.signal(signal.SIGSTOP)
    try:
        silent = of(here)
    finally:
        here.signal(signal.SIGCONT)
    assert silent["probe"]["milliseconds"] is None and silent["connections"] is None and silent["probe"]["error"]
    assert silent["memory"] is not None and silent["log"] is not None
    assert worse(before, [silent] * 3) == ["it did not answer 3 times in a row: %s" % silent["probe"]["error"]]
    here.signal(signal.SIGSTOP)
    later = subprocess.Popen(["sh", "-c", "sleep 0.5; kill -CONT %d" % here.pid])
    late = of(here)
    later.wait()
    assert late["probe"]["milliseconds"] > 300
    (why,) = worse({**before, "probe": {"milliseconds": 5.0, "error": None}}, [late] * 5)
    assert why.startswith("a new connection takes ")


def test_a_server_that_is_down_is_a_result(here: Server) -> None:
    here.stop()
    try:
        sample = of(here)
    finally:
        here.start()
    assert sample["probe"]["milliseconds"] is None and "no server is running" in sample["probe"]["error"]
    assert sample["memory"]["source"] == "host" and sample["log"] is not None


def test_by_the_wire_alone() -> None:
    with Server() as server:
        server.hba("host all postgres 127.0.0.1/32 trust")
        found = run(runtime="remote", login_host=server.host, login_port=server.port, login_user="postgres")
    assert found["pressure"]["memory"] is None and found["pressure"]["log"] is None
    assert found["pressure"]["probe"]["milliseconds"] > 0 and found["pressure"]["connections"] == 0
    assert [line.partition(":")[0] for line in found["not_covered"]] == ["memory", "log"]


EATS = "DO $$ DECLARE a text := repeat('x', %d000000); BEGIN PERFORM pg_sleep(%d); END $$"


def test_a_container_that_runs_out_of_memory() -> None:
    with project() as made:
        # PL/pgSQL holds the value twice while it assigns it: 160 MB at the peak, which have to fit by a wide margin.
        name = made.postgres("--memory", "320m", "--memory-swap", "320m")

        def sample(since: str | None = None) -> dict[str, Any]:
            return run(since, project=made.name)["pressure"]  # type: ignore[no-any-return]

        def psql(text: str) -> list[str]:
            return ["docker", "exec", name, "psql", "-U", "postgres", "-c", text]

        before = sample()
        assert before["memory"]["limit_bytes"] == 320 * MB and before["memory"]["source"] != "host"
        eater = subprocess.Popen(psql(EATS % (80, 600)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: sample()["memory"]["used_bytes"] > before["memory"]["used_bytes"] + 70 * MB)
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_for(lambda: docker("exec", name, "psql", "-U", "postgres", "-tAc", ended) != "0")
        eater.wait(30)
        subprocess.run(psql(EATS % (500, 0)), capture_output=True, check=False)
        wait_for(lambda: sample()["connections"] is not None)
        after = sample(before["at"])
        assert after["oom_kills"]["count"] > before["oom_kills"]["count"]
        assert any(why.startswith("the kernel killed ") for why in worse(before, [after]))
