# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real servers have to work with: beside one on this machine, in a container with limits, by the wire alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.filter.tuning import tuning
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.capacity import capacity as gathering
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.sql.capacity import NAMES
from ansible_collections.oncall.postgresql.plugins.modules import capacity_info
from tests.embedded import Server
from tests.integration.containers import project
from tests.integration.results import held
from tests.integration.servers import PASSWORD, AnyServer, Client, start

MB = 1 << 20


def run(**options: Any) -> dict[str, Any]:
    checked = ArgumentSpecValidator(**capacity_info.WORK.spec.arguments()).validate({"deadline_seconds": 60, **options})
    assert not checked.error_messages, checked.error_messages
    with held("capacity_info") as fitting:
        return fitting(capacity_info.WORK.do(checked.validated_parameters, False))


def login(server: Any, user: str = "postgres") -> dict[str, Any]:
    return {"login_host": server.host, "login_port": server.port, "login_user": user, "login_password": PASSWORD}


@pytest.fixture(scope="module")
def here() -> Iterator[Server]:
    with Server(
        settings={
            "max_wal_size": "2GB",
            "checkpoint_timeout": "7min",
            "shared_buffers": "24MB",
            "statement_timeout": "45s",
        }
    ) as server:
        yield server


def test_on_this_machine_as_the_kernel_says(here: Server) -> None:
    found = run(runtime="pg_ctl", data_directory=str(here.data), login_user="postgres")["capacity"]
    with open("/proc/meminfo", encoding="ascii") as file:
        host = int(file.readline().split()[1]) * 1024
    assert found["memory"]["host_bytes"] == host
    assert found["memory"]["usable_bytes"] == (found["memory"]["limit_bytes"] or host) <= host
    assert found["cpus"]["count"] == len(os.sched_getaffinity(0)) >= found["cpus"]["usable"] > 0
    shm, data = os.statvfs("/dev/shm"), os.statvfs(here.data)
    assert found["shared_memory"]["size_bytes"] == shm.f_blocks * shm.f_frsize
    assert found["data"]["path"] == str(here.data) and found["wal"]["path"] == str(here.data / "pg_wal")
    assert found["data"]["size_bytes"] == data.f_blocks * data.f_frsize
    for name in ("max_wal_size", "checkpoint_timeout", "shared_buffers", "wal_buffers", "max_connections"):
        assert found["settings"][name] == here.sql("SHOW " + name), name
    assert found["database_bytes"] == int(here.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))


def test_what_a_session_has_of_its_own_is_not_what_the_server_has(here: Server) -> None:
    here.sql("CREATE ROLE dba SUPERUSER LOGIN")
    here.sql("ALTER ROLE dba SET work_mem = '64MB'; ALTER ROLE dba SET statement_timeout = 0")
    here.hba("local all dba trust")
    for login_user, hidden in (("postgres", set()), ("dba", {"statement_timeout", "work_mem"})):
        found = run(runtime="pg_ctl", data_directory=str(here.data), login_user=login_user)
        settings = found["capacity"]["settings"]
        assert set(settings) == set(NAMES) - hidden
        assert settings["idle_in_transaction_session_timeout"] == here.sql("SHOW idle_in_transaction_session_timeout")
        told = [
            "settings: the login role or its database has its own %s: set login_user to another one"
            % ", ".join(sorted(hidden))
        ]
        rate = "wal_rate: counted for less than an hour: too short to be an average"
        assert found["not_covered"] == told * bool(hidden) + [rate]
        assert hidden or settings["statement_timeout"] == "45s"


def test_limits_of_a_container() -> None:
    with project() as made:
        made.postgres("--memory", "768m", "--cpus", "1.5", "--shm-size", "96m")
        made.api()
        options = {"project": made.name, "clients": [{"service": "api"}]}
        found = run(**options)
        capacity = found["capacity"]
        assert capacity["memory"]["limit_bytes"] == capacity["memory"]["usable_bytes"] == 768 * MB
        assert capacity["memory"]["host_bytes"] > 768 * MB
        assert capacity["cpus"]["quota"] == capacity["cpus"]["usable"] == 1.5
        assert capacity["shared_memory"]["size_bytes"] == 96 * MB
        assert capacity["clients"] == 1
        plan = tuning(found)
        assert plan["settings"]["shared_buffers"] == "192MB" and plan["memory"]["has_bytes"] == 768 * MB
        assert "does not fit into 768 MiB" in plan["refused"][0]  # 100 connections


def test_a_container_without_a_limit_has_the_memory_of_its_host() -> None:
    with project() as made:
        made.postgres()
        found = run(project=made.name)["capacity"]
        assert found["memory"]["limit_bytes"] is None and found["cpus"]["quota"] is None
        assert found["memory"]["usable_bytes"] == found["memory"]["host_bytes"]
        assert found["shared_memory"]["size_bytes"] == 64 * MB


def test_a_container_that_hides_its_limit_is_not_taken_for_one_without() -> None:
    with project() as made:
        made.postgres("--memory", "768m", "--tmpfs", "/sys/fs/cgroup")
        found = run(project=made.name)
        assert found["capacity"]["memory"]["usable_bytes"] is None and found["capacity"]["memory"]["host_bytes"]
        assert [line for line in found["not_covered"] if line.startswith("memory: the server's cgroup cannot be read")]
        with pytest.raises(
            AnsibleFilterError, match="the memory that the server may use is unknown: give tuning_memory"
        ):
            tuning(found)


@pytest.fixture(scope="module", params=[13, 15, 16, 17, 18])
def any_server(request: pytest.FixtureRequest) -> Iterator[AnyServer]:
    server = start(request.param)
    try:
        admin = Client(host=server.host, port=server.port, user="postgres", password=PASSWORD, dbname="postgres")
        admin.run("CREATE ROLE nobody LOGIN PASSWORD '%s'" % PASSWORD, "CREATE DATABASE closed")
        admin.run("REVOKE CONNECT ON DATABASE closed FROM public")
        admin.close()
        yield server
    finally:
        server.remove()


def test_by_the_wire_alone(any_server: AnyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of its host; as much of SQL as every version has."""
    monkeypatch.setattr(gathering, "LEAST_SECONDS", 0)
    found = run(runtime="remote", **login(any_server))
    capacity = found["capacity"]
    assert capacity["memory"]["usable_bytes"] is None and capacity["data"] is None
    assert [line.partition(":")[0] for line in found["not_covered"]] == ["host"]
    assert set(capacity["settings"]) == set(NAMES)
    assert capacity["wal_rate"]["source"] == ("position" if any_server.version == 13 else "pg_stat_wal")
    assert capacity["wal_rate"]["seconds"] > 0 and capacity["wal_rate"]["bytes_per_second"] > 0
    assert tuning(found, memory="8GB")["settings"]["shared_buffers"] == "2GB"


def test_without_the_right_a_size_is_unknown_and_no_error_is_logged(any_server: AnyServer) -> None:
    found = run(runtime="remote", **login(any_server, "nobody"))
    assert found["capacity"]["database_bytes"] is None
    assert any("GRANT pg_read_all_stats" in line for line in found["not_covered"])
    assert found["capacity"]["settings"]["max_connections"] == "60"
    assert "ERROR" not in any_server.log()
