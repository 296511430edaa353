# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole look at a server whose log-in lines are narrow: what it finds, and what it leaves in the server's log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import WORKS
from tests.embedded import Server

PASSWORD = "app-Secret"


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with Server(tls=True, os_user="postgres", listen="*") as server:
        server.sql("CREATE ROLE app LOGIN PASSWORD '%s'; CREATE ROLE oncall LOGIN SUPERUSER PASSWORD 'ours'" % PASSWORD)
        server.hba("local all all peer", "hostssl all app all scram-sha-256", "hostssl all oncall all scram-sha-256")
        yield server


def look(name: str, **target: Any) -> dict[str, Any]:
    checked = ArgumentSpecValidator(**WORKS[name].spec.arguments()).validate(target)
    assert not checked.error_messages
    return WORKS[name].do(checked.validated_parameters, False)


def client(db: Server, password: str = PASSWORD, ssl_mode: str = "prefer") -> list[dict[str, Any]]:
    login = {"host": db.host, "port": db.port, "user": "app", "database": "postgres", "ssl_mode": ssl_mode}
    return [{"service": "api", "login": {**login, "password": password}}]


def beside(db: Server) -> dict[str, Any]:
    return {"runtime": "pg_ctl", "data_directory": str(db.data), "bin_directory": str(db.bin)}


def far(db: Server) -> dict[str, Any]:
    return {"runtime": "remote", "login_host": db.host, "login_port": db.port, "login_user": "oncall"}


@pytest.mark.parametrize("name", ["triage", "readiness_info", "network_info", "login_info"])
def test_peer_and_hostssl_alone_are_no_reason_for_a_line_in_the_log(db: Server, name: str) -> None:
    for target in (beside(db), dict(far(db), login_password="ours")):
        before = db.log
        found = look(name, **target, clients=client(db))
        told = found["verdict"]["code"] if name == "triage" else found["answer"]
        assert told in ("healthy", "yes"), found
        new = db.log[len(before) :]
        assert "FATAL" not in new and "ERROR" not in new and "could not" not in new, new


def test_a_refusal_that_is_the_clients_own_is_told(db: Server) -> None:
    verdict = look("triage", **beside(db), clients=client(db, ssl_mode="disable"))["verdict"]
    assert (verdict["code"], verdict["cause"]) == ("authentication_failed", "ssl_required")
    verdict = look("triage", **beside(db), clients=client(db, password="wrong"))["verdict"]
    assert (verdict["code"], verdict["cause"]) == ("authentication_failed", "wrong_password")


def test_where_no_sql_gets_through_every_address_is_asked_in_full(db: Server) -> None:
    found = look("triage", **dict(far(db), login_password="wrong"))
    (answer,) = found["facts"]["wire"]
    assert (answer["outcome"], answer["severity"]) == ("accepting", "FATAL")
    assert found["facts"]["snapshot_error"]["kind"] == "connection"
