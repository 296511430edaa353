# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first match that we compute is the server's: each file is loaded, and everybody knocks."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List

import psycopg2
import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.hba import first_match, refuses
from tests.embedded import Server

FILES = [
    ["host all all all trust"],
    ["local all all trust"],
    ["host all all 127.0.0.1/32 reject", "host all all all trust"],
    ["host all +staff 127.0.0.0 255.0.0.0 trust"],
    ["host all +app samehost trust", "local all boss trust"],
    ["host sameuser all all trust", "host shop boss 0.0.0.0/0 trust"],
    ["host samerole all 127.0.0.1/32 trust", "local samerole app reject", "local all all trust"],
    ["host replication all all trust", "host all all ::/0 trust", "host all all 10.0.0.0/8 trust"],
    ["hostssl all all all trust", "hostnossl shop all all trust"],
    ["hostnogssenc app,staff app,boss all trust", "hostgssenc all all all trust"],
    ["host /^s.*p$ /^b all trust", "host staff /oss$ all trust", "local /^(shop|app)$ all trust"],
    ['host "replication" all all trust', "host shop app samenet trust"],
]
VIEW = "SELECT coalesce(json_agg(rule), '[]') FROM pg_hba_file_rules rule"


@pytest.fixture(scope="module", params=[15, 16, 18], ids=lambda version: "pg%d" % version)
def knocking(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param) as server:
        server.sql("CREATE ROLE staff; CREATE ROLE app LOGIN IN ROLE staff; CREATE ROLE boss LOGIN")
        for name in ("shop", "app", "staff"):
            server.sql("CREATE DATABASE " + name)
        yield server


def let_in(server: Server, local: bool, user: str, database: str) -> bool:
    host = str(server.directory) if local else server.host
    try:
        psycopg2.connect(host=host, port=server.port, user=user, dbname=database, sslmode="disable").close()
    except psycopg2.OperationalError as error:
        assert "pg_hba.conf" in str(error), error  # refused for this reason and for no other
        return False
    return True


@pytest.mark.parametrize("lines", FILES, ids=[lines[0] for lines in FILES])
def test_the_server_agrees(knocking: Server, lines: List[str]) -> None:
    knocking.hba(*lines)
    rules: List[Dict[str, Any]] = [
        dict({"rule_number": None, "file_name": None}, **rule) for rule in json.loads(knocking.sql(VIEW))
    ]
    assert len(rules) == len(lines) + 1
    expected, seen = {}, {}
    for local in (True, False):
        for user, member_of in (("app", ["staff"]), ("boss", [])):
            for database in ("shop", "app", "staff"):
                who = "%s to %s %s" % (user, database, "locally" if local else "by TCP")
                found = first_match(
                    rules,  # type: ignore[arg-type]
                    connection="local" if local else "host",
                    tls=False,
                    database=database,
                    user=user,
                    member_of=member_of,
                    address=None if local else "127.0.0.1",
                )
                expected[who] = not refuses(found)
                seen[who] = let_in(knocking, local, user, database)
    assert expected == seen
