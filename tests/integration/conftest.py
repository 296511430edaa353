# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One server a version for the whole run; every snapshot that a test takes is held to the shape of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.base import Session
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.snapshot import take
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Snapshot
from tests.integration import servers
from tests.integration.servers import PASSWORD, AnyServer, Client
from tests.integration.shapes import problems

VERSIONS = (13, 15, 16, 17, 18)
SCHEMA = """
CREATE ROLE app LOGIN PASSWORD '%(password)s';
CREATE ROLE watcher LOGIN PASSWORD '%(password)s';
CREATE ROLE monitor LOGIN PASSWORD '%(password)s' IN ROLE pg_monitor;
CREATE DATABASE shop OWNER app;
CREATE TABLE orders (id int PRIMARY KEY, state text);
CREATE TABLE items (id int);
CREATE SEQUENCE numbers;
INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 10) n;
GRANT ALL ON SCHEMA public TO app;
GRANT ALL ON ALL TABLES IN SCHEMA public TO app
""" % {"password": PASSWORD}


@pytest.fixture(scope="session", params=VERSIONS, ids=["pg%d" % version for version in VERSIONS])
def server(request: pytest.FixtureRequest) -> Iterator[AnyServer]:
    started = servers.start(request.param)
    try:
        admin = Client(
            host=started.host,
            port=started.port,
            user="postgres",
            password=PASSWORD,
            dbname="postgres",
            application_name="oncall",
        )
        admin.run(*SCHEMA.strip().split(";\n"))
        admin.close()
        yield started
    finally:
        started.remove()


@pytest.fixture
def connect(server: AnyServer) -> Iterator[Callable[..., Client]]:
    """Real sessions, by default of the ordinary role ``app``; closed after the test, and gone from the server."""
    opened: list[Client] = []

    def connect(
        user: str = "app", dbname: str = "postgres", application_name: str = "shop-api", **others: Any
    ) -> Client:
        opened.append(
            Client(
                **{
                    "host": server.host,
                    "port": server.port,
                    "user": user,
                    "password": PASSWORD,
                    "dbname": dbname,
                    "application_name": application_name,
                    **others,
                }
            )
        )
        return opened[-1]

    yield connect
    pids = [client.pid for client in opened]
    for client in opened:
        client.close()
    admin = Client(host=server.host, port=server.port, user="postgres", password=PASSWORD, dbname="postgres")
    try:  # a blocked backend does not notice that its client has gone
        admin.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY (ARRAY%s::int[])" % pids)
        servers.until(
            lambda: admin.run("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY (ARRAY%s::int[])" % pids) == [(0,)]
        )
    finally:
        admin.close()


@pytest.fixture
def admin(connect: Callable[..., Client]) -> Client:
    """A superuser to arrange things; it calls itself "oncall", so no snapshot counts it."""
    return connect("postgres", application_name="oncall")


Take = Callable[..., Snapshot]


@pytest.fixture
def snapshot(server: AnyServer) -> Iterator[Take]:
    """Take a snapshot (by libpq unless a session is given), and hold it to the contract's shape."""
    own = servers.libpq(server)

    def snapshot(
        session: Session | None = None,
        roles: tuple[str, ...] = (),
        databases: tuple[str, ...] = (),
        **thresholds: float,
    ) -> Snapshot:
        taken, _unused = take(session or own, Deadline(10), Thresholds(**thresholds), roles, databases)  # type: ignore[arg-type]
        assert problems(taken, Snapshot) == []
        return taken

    yield snapshot
    own.close()
