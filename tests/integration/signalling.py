# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with sessions to signal, and a procedure run on it through its own code, from its options to its result."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.spec import Spec
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.options import TARGET, TRIAGE
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.target import open_target
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.sql.query import Query
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.target import Target
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.procedure import Procedure, carry_out
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.sessions import run as _sessions
from ansible_collections.oncall.postgresql.plugins.modules import triage
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import CHANGING, WORKS
from tests.embedded import Server
from tests.integration.results import held
from tests.integration.servers import Client, until

PASSWORD = "secret-of-the-signals"
ROLES = f"""
CREATE ROLE app LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE root LOGIN SUPERUSER PASSWORD '{PASSWORD}';
CREATE ROLE replica LOGIN REPLICATION PASSWORD '{PASSWORD}';
CREATE ROLE watcher LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor;
CREATE TABLE items (id int); GRANT ALL ON items TO app, watcher;
"""
STUBBORN = (
    """DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"""
)
IDLE: dict[str, Any] = {"state": "absent", "session_states": ["idle"], "max_percent": 100}

Connect = Callable[..., Client]


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    with Server(settings={"max_connections": 30, "max_prepared_transactions": 5}) as server:
        server.hba("host all all all scram-sha-256", "host replication replica all scram-sha-256")
        server.sql(ROLES)
        server.sql("CREATE DATABASE shop OWNER app")
        yield server


@contextlib.contextmanager
def connecting(db: Server) -> Iterator[Connect]:
    """Sessions of ``app``; gone after the test, whatever became of them."""
    clients: list[Client] = []

    def connect(user: str = "app", application: str = "shop-api", **more: Any) -> Client:
        login = {"host": db.host, "port": db.port, "user": user, "password": PASSWORD, "dbname": "postgres", **more}
        clients.append(Client(application_name=application, **login))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()
    db.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
    )
    until(lambda: activity(db) == [])


def activity(db: Server) -> list[str]:
    text = """SELECT pid, backend_start, usename, application_name, state, query_start, state_change
        FROM pg_stat_activity
        WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid() ORDER BY pid"""
    return db.sql(text).splitlines()


def alive(db: Server, client: Client) -> bool:
    return db.sql("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % client.pid) == "1"


Between = dict[str, Callable[[], Any]]  # a query's name -> what happens just before it


class Interrupted:
    """The target's own session; something happens at a chosen moment."""

    def __init__(self, session: Any, between: Between) -> None:
        self.session, self.between = session, between

    def query(self, query: Query, deadline: Deadline, **params: Any) -> Any:
        if query.name in self.between:
            self.between[query.name]()
        return self.session.query(query, deadline, **params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


def beside(db: Server) -> dict[str, Any]:
    return {
        "runtime": "pg_ctl",
        "data_directory": str(db.data),
        "bin_directory": str(db.bin),
        "login_user": "postgres",
    }


_MODULES = {type(getattr(WORKS[name], "procedure", None)): name for name in CHANGING}


def call(
    procedure: Procedure[Any, Any, Any], spec: Spec, db: Server, options: dict[str, Any], check: bool, between: Between
) -> dict[str, Any]:
    validated = ArgumentSpecValidator(**(TARGET + spec).arguments()).validate({**beside(db), **options})
    assert validated.error_messages == []
    target: Target = open_target(validated.validated_parameters, "db")
    try:
        session: Any = Interrupted(target.session, between)
        meant = dataclasses.replace(target, session=session)
        with held(_MODULES[type(procedure)]) as fitting:
            return fitting(carry_out(procedure, meant, validated.validated_parameters, check).result())
    finally:
        target.close()


def looked(db: Server, **more: Any) -> dict[str, Any]:
    """What triage says, beside the server."""
    validated = ArgumentSpecValidator(**TRIAGE.arguments()).validate({**beside(db), **more})
    assert validated.error_messages == []
    return triage.WORK.do(validated.validated_parameters, False)


def target_options(db: Server) -> dict[str, Any]:
    validated: dict[str, Any] = ArgumentSpecValidator(**TARGET.arguments()).validate(beside(db)).validated_parameters
    return validated


def signalled(db: Server, check: bool = False, between: Between | None = None, **options: Any) -> dict[str, Any]:
    return call(_sessions.Sessions(), _sessions.OPTIONS, db, options, check, between or {})


def as_watcher(db: Server) -> dict[str, Any]:
    return {"login_host": db.host, "login_port": db.port, "login_user": "watcher", "login_password": PASSWORD}


def declared(user: str = "app", application: str | None = "shop-api") -> list[dict[str, Any]]:
    return [{"service": "api", "application_name": application, "login": {"user": user}}]


def outcomes(result: dict[str, Any]) -> dict[int, str]:
    return {one["pid"]: one["outcome"] for one in result["sessions"]}
