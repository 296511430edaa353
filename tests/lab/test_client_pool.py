# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools of another size: applied, refused, put back. What counts is what the containers and the server say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.containers import docker

from .driving import module
from .looks import containers
from .pooled import MOST, Pooled

SIZE = {"pool_size": 3, "max_overflow": 4, "pool_timeout_seconds": 1}
HELD = {"POOL_SIZE": "3", "MAX_OVERFLOW": "4", "POOL_TIMEOUT": "1", "POOL_RECYCLE": "3600", "POOL_PRE_PING": "True"}


@pytest.fixture(scope="module")
def project() -> Iterator[Pooled]:
    """Two of the API, 27 slots, of which 10 are left for others."""
    made = Pooled(2, worker=True)
    with made:
        made.begin()
        yield made


def resize(project: Pooled, check: bool = False, **options: Any) -> dict[str, Any]:
    asked = {"env_file": str(project.env), "grace_seconds": 10, "timeout_seconds": 30, **SIZE, **options}
    return module(project, "client_pool", check, **asked)


def state(project: Pooled) -> tuple[Any, ...]:
    seen = project.env.stat()
    beside = sorted(one.name for one in project.env.parent.iterdir())
    return project.env.read_bytes(), seen.st_mode, seen.st_uid, seen.st_gid, beside, containers(project)


def codes(project: Pooled, **options: Any) -> list[str]:
    return [one["code"] for one in module(project, "connections_info", **options)["findings"]]


def test_applied_and_idempotent(project: Pooled) -> None:
    before = state(project)
    planned = resize(project, True)
    assert not planned["failed"] and planned["changed"] and planned["recreated"] == ["api"], planned
    assert state(project) == before
    done = resize(project)
    assert not done["failed"] and done["changed"] and done["diff"] == planned["diff"], done
    assert [(one["state"], one["error"]) for one in done["containers"]] == [("running", None)] * 2, done
    text = before[0].decode()
    added = (
        "\nDATABASE_MAX_OVERFLOW=4\nDATABASE_POOL_TIMEOUT=1\nDATABASE_POOL_RECYCLE=3600\nDATABASE_POOL_PRE_PING=True\n"
    )
    assert project.env.read_text() == text.replace("='2' # the pool", "='3' # the pool") + added
    after = state(project)
    assert after[1:5] == before[1:5] and after[5] != before[5]
    names = project.names("api")
    assert [project.settings(name) for name in names] == [HELD] * 2
    assert [project.fill(name) for name in names] == [7, 7]
    assert project.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'api'") == "14"
    again = resize(project)
    assert not again["failed"] and not again["changed"] and again["recreated"] == [], again
    assert state(project) == after
    assert "pool_budget_exceeded" not in codes(project)


def test_what_does_not_fit_is_refused_with_the_sum(project: Pooled) -> None:
    before = state(project)
    refused = resize(project, True, pool_size=10, max_overflow=20)
    assert refused["failed"] and refused["refused"], refused
    assert "api 2 x (10 + 20) = 60: 60 of 17 connections (max_connections 30, less 3 " in refused["msg"], refused
    assert "The largest pool that fits for api: pool_size 2, max_overflow 6." in refused["msg"], refused
    project.sql("ALTER ROLE app CONNECTION LIMIT 8")
    try:
        refused = resize(project)
        limited = "api 2 x (3 + 4) = 14: 14 of 8 connections (CONNECTION LIMIT of role app)"
        assert refused["failed"] and limited in refused["msg"], refused
    finally:
        project.sql("ALTER ROLE app CONNECTION LIMIT -1")
    assert state(project) == before


def test_what_is_no_worse_than_now_is_taken_where_that_is_asked_for(project: Pooled) -> None:
    """With a limit that came later: 14 of 8."""
    project.sql("ALTER ROLE app CONNECTION LIMIT 8")
    try:
        refused = resize(project, True, max_overflow=3)
        assert (
            refused["failed"] and "Now it is 14, which is no better: allow_over_budget takes it." in refused["msg"]
        ), refused
        taken = resize(project, True, max_overflow=3, allow_over_budget=True)
        assert not taken["failed"] and taken["recreated"] == ["api"], taken
        assert any(
            "the pools still do not fit: api 2 x (3 + 3) = 12: 12 of 8" in one for one in taken["warnings_found"]
        )
        assert resize(project, True, max_overflow=5, allow_over_budget=True)["failed"]
    finally:
        project.sql("ALTER ROLE app CONNECTION LIMIT -1")


def test_a_stopped_replica_counts_since_compose_starts_it(project: Pooled) -> None:
    name = project.names("api")[-1]
    docker("stop", name)
    try:
        refused = resize(project, pool_size=6)
        assert refused["failed"] and "api 2 x (6 + 4) = 20: 20 of 17 connections" in refused["msg"], refused
        done = resize(project, pool_size=4)
        assert not done["failed"] and [row["sum"].split(":")[0] for row in done["budget"]] == [
            "api 2 x (4 + 4) = 16"
        ], done
        assert all(project.inspect(one)["State"]["Running"] for one in project.names("api"))
        assert not resize(project)["failed"]
    finally:
        docker("start", project.names("api")[-1])


def test_the_finding_is_the_same_arithmetic(project: Pooled) -> None:
    """What the containers have, or what is declared, such as two workers in each container."""
    clients = project.target()["clients"]
    declared = [{**clients[0], "pool": {"size": 3, "overflow": 4, "replicas": 4}}]
    assert "pool_budget_exceeded" not in codes(project, pool_reserve=0)
    for options in ({"clients": declared}, {"pool_reserve": 20}):
        found = module(project, "connections_info", **options)["findings"]
        assert [one["severity"] for one in found if one["code"] == "pool_budget_exceeded"] == ["warning"], found


def test_another_clients_pool_has_to_be_known(project: Pooled) -> None:
    clients = [*project.target()["clients"], {"service": "postgres", "login": {"host": "postgres", "user": "app"}}]
    refused = resize(project, clients=clients, services=["api"])
    assert refused["failed"] and "The pool of postgres is not known" in refused["msg"], refused


def test_a_variable_that_compose_does_not_pass_on_is_refused(project: Pooled) -> None:
    before = state(project)
    refused = resize(project, True, names={"pool_size": "OTHER_SIZE"})
    assert refused["failed"] and "Compose does not give api the OTHER_SIZE of " in refused["msg"], refused
    assert "OTHER_SIZE: ${OTHER_SIZE}" in refused["msg"], refused
    assert state(project) == before


def test_a_service_that_reads_a_file_of_its_own(project: Pooled) -> None:
    """Whatever is in it, a variable that was not there as well."""
    clients = [{"service": "worker"}]
    name, file = project.name("worker"), str(project.worker_env)
    done = resize(project, clients=clients, env_file=file, names={"pool_pre_ping": "WORKER_PING"})
    assert not done["failed"] and done["recreated"] == ["worker"], done
    assert project.settings(name) == {**HELD, "POOL_PRE_PING": "False"}
    assert project.worker_env.read_text().endswith("DATABASE_POOL_PRE_PING=False\nWORKER_PING=True\n")


def test_one_that_does_not_come_back_is_put_back(project: Pooled) -> None:
    before, names = state(project), project.names("api")
    failed = resize(project, pool_size=MOST + 1, max_overflow=0, pool_reserve=0)
    assert failed["failed"] and not failed["refused"], failed
    assert "it ended again with exit code 1" in failed["msg"] and failed["not_put_back"] == [], failed
    assert len(failed["put_back"]) == 2, failed
    assert state(project)[:5] == before[:5]
    assert [project.settings(name) for name in names] == [HELD] * 2
    for name in names:
        assert project.inspect(name)["State"]["Running"], name
