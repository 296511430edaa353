# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a slot, read from process titles: no client is missed, nobody else is taken for one."""

from __future__ import annotations

from typing import Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.titles import backends, parse, startup
from tests.unit.facts import process, titles


@pytest.mark.parametrize(
    ("title", "user", "database", "address", "port", "state", "waiting"),
    [
        ("postgres: app shop 10.0.0.7(51234) idle", "app", "shop", "10.0.0.7", 51234, "idle", False),
        ("postgres: main: app shop 10.0.0.7(5123) idle", "app", "shop", "10.0.0.7", 5123, "idle", False),
        (
            "postgres: 15/main: app shop [local] idle in transaction",
            "app",
            "shop",
            None,
            None,
            "idle in transaction",
            False,
        ),
        ("postgres: a: b: app shop [local] idle", "app", "shop", None, None, "idle", False),
        (
            "postgres: app shop ::1(40000) idle in transaction (aborted)",
            "app",
            "shop",
            "::1",
            40000,
            "idle in transaction (aborted)",
            False,
        ),
        ("postgres: app shop fe80::1%eth0(40000) SELECT", "app", "shop", "fe80::1%eth0", 40000, "active", False),
        (
            "postgres: app shop web-1.example.com(40000) INSERT",
            "app",
            "shop",
            "web-1.example.com",
            40000,
            "active",
            False,
        ),
        ("postgres: app shop 10.0.0.7(51234) UPDATE waiting", "app", "shop", "10.0.0.7", 51234, "active", True),
        (
            "postgres: app shop 10.0.0.7(51234) authentication",
            "app",
            "shop",
            "10.0.0.7",
            51234,
            "authentication",
            False,
        ),
        ("postgres: app shop [local] startup waiting", "app", "shop", None, None, "authentication", True),
        ("postgres: app shop [local]", "app", "shop", None, None, None, False),
        ("postgres: app my shop [local] idle", "app", "my shop", None, None, "idle", False),
        ("postgres: postgres postgres [local] CREATE INDEX", "postgres", "postgres", None, None, "active", False),
        ("postgres: startup_app shop [local] idle", "startup_app", "shop", None, None, "idle", False),
    ],
)
def test_client_backends(
    title: str,
    user: str,
    database: str,
    address: Optional[str],
    port: Optional[int],
    state: Optional[str],
    waiting: bool,
) -> None:
    found = parse(process(4711, title))
    assert found is not None
    assert (found.pid, found.user, found.database) == (4711, user, database)
    assert (found.address, found.port, found.state, found.waiting) == (address, port, state, waiting)


@pytest.mark.parametrize(
    "title",
    [
        "postgres",
        "/usr/lib/postgresql/17/bin/postgres -D /var/lib/postgresql/17/main",
        "postgres: checkpointer ",
        "postgres: 15/main: checkpointer ",
        "postgres: background writer ",
        "postgres: walwriter ",
        "postgres: walsummarizer ",
        "postgres: autovacuum launcher ",
        "postgres: autovacuum worker shop",
        "postgres: logical replication launcher ",
        "postgres: logical replication apply worker for subscription 16390 ",
        "postgres: walsender replicator 10.0.0.9(40100) streaming 0/3000148",
        "postgres: main: walsender replicator shop 10.0.0.9(40100) START_REPLICATION",
        "postgres: walreceiver streaming 0/3000148",
        "postgres: startup recovering 000000010000000000000003",
        "postgres: archiver last was 000000010000000000000002",
        "postgres: stats collector ",
        "postgres: logger ",
        "postgres: io worker 0",
        "postgres: slotsync worker ",
        "postgres: parallel worker for PID 4711 ",
        "postgres: bgworker: pg_cron launcher",
        "python3 -m uvicorn app:app 10.0.0.7(80) idle",
        "",
    ],
)
def test_others_hold_no_slot(title: str) -> None:
    assert parse(process(1, title)) is None


def test_zombies_hold_no_slot() -> None:
    alive = process(1, "postgres: app shop [local] idle")
    dead = process(2, "postgres: app shop [local] idle", "Z")
    assert [one.pid for one in backends([alive, dead])] == [1]
    assert len(backends(titles("postgres: app shop [local] idle", "postgres: app shop 1.2.3.4(5) SELECT"))) == 2


@pytest.mark.parametrize(
    ("title", "at"),
    [
        ("postgres: startup recovering 000000010000000000000003", "recovering 000000010000000000000003"),
        ("postgres: main: startup waiting for 000000010000000000000003", "waiting for 000000010000000000000003"),
        ("postgres: startup ", ""),
        ("postgres: checkpointer ", None),
        ("postgres: startup shop [local] idle", None),
    ],
)
def test_startup_process(title: str, at: Optional[str]) -> None:
    assert startup([process(1, title)]) == at
