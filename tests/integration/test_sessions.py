# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ways of SQL: equal rows, equal errors, in time, and nothing changed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from psycopg2 import extras

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    DeadlineError,
    SessionError,
    TargetError,
    VersionError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._gather import snapshot
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import Completed
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session import libpq, psql
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.base import Session
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.bind import identifier
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.sql.query import Query
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from tests.integration import servers
from tests.integration.servers import AnyServer, Client, Container, until

Connect = Callable[..., Client]
NASTY = [
    "it's",
    "back\\slash \\gset \\! id",
    "100 %% %(x)s",
    ":name :'name' :\"name\" ::int",
    "two\nlines",
    "${HOME} `id` $$",
    "gr\u00fc\u00dfe \U0001f600",
    "",
    "--",
    "/* */;",
]


def ask(text: str, name: str = "test") -> Query:
    return Query(name, {130000: text})


def alone(text: str) -> Query:
    return Query("test", {130000: text}, alone=True)


@pytest.fixture(params=["psql", "libpq"])
def session(request: pytest.FixtureRequest, server: AnyServer) -> Iterator[Session]:
    opened: Session = servers.psql(server) if request.param == "psql" else servers.libpq(server)
    yield opened
    opened.close()


def test_equal_queries_give_equal_rows(server: AnyServer) -> None:
    query = ask("""SELECT %(a)s::text AS text, %(b)s::int AS int, %(c)s::float8 AS float, %(d)s::bool AS bool,
        %(e)s::text AS nothing, %(f)s::text[] AS list, %(g)s::text[] AS empty, 5 -%(b)s AS minus, '%%' AS percent,
        now() - now() AS span, 'x'::"char" AS c, '{"a": [1]}'::json AS j, n
        FROM generate_series(1, 3) n ORDER BY n DESC""")
    rows = []
    for opened in (servers.psql(server), servers.libpq(server)):
        rows.append(
            [
                opened.query(query, Deadline(10), a=text, b=-3, c=1.5e300, d=True, e=None, f=NASTY, g=[])
                for text in NASTY
            ]
        )
        assert opened.query(ask("SELECT 1 AS x WHERE false"), Deadline(10)) == []
        opened.close()
    assert rows[0] == rows[1]
    for text, found in zip(NASTY, rows[0], strict=True):
        assert [row["n"] for row in found] == [3, 2, 1]
        assert found[0] == {
            "text": text,
            "int": -3,
            "float": 1.5e300,
            "bool": True,
            "nothing": None,
            "list": NASTY,
            "empty": [],
            "minus": 8,
            "percent": "%",
            "span": "00:00:00",
            "c": "x",
            "j": {"a": [1]},
            "n": 3,
        }


def test_the_text_for_the_servers_version_is_sent(server: AnyServer, session: Session) -> None:
    query = Query("versions", {130000: "SELECT 13 AS v", 150000: "SELECT 15 AS v", 170000: "SELECT 17 AS v"})
    expected = max(v for v in (13, 15, 17) if v <= server.version)
    assert session.query(query, Deadline(10)) == [{"v": expected}]


def test_over_the_network_nothing_that_was_set_is_left(server: AnyServer) -> None:
    """A pooler hands the connection on: to the application, which wants to write, and for longer than we look."""
    with contextlib.closing(servers.libpq(server)) as session:
        session.query(ask("SELECT 1 AS x"), Deadline(10))
        session.execute(ask("SELECT 1"), Deadline(10))
        with session._connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FILTER (WHERE name = 'application_name'), json_agg(name) FILTER (WHERE name NOT IN"
                " ('application_name', 'client_encoding')) FROM pg_settings WHERE source IN ('client', 'session')"
            )
            extras.wait_select(session._connection)
            assert cursor.fetchone() == (1, None)


def test_the_session_sets_what_safety_needs(session: Session) -> None:
    expected = {
        "application_name": "oncall",
        "lock_timeout": "500",
        "transaction_read_only": "on",
        "search_path": "pg_catalog",
        "jit": "off",
        "TimeZone": "UTC",
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
    }
    query = ask("SELECT name, setting FROM pg_settings WHERE name = ANY (%(names)s)")
    rows = session.query(query, Deadline(10), names=list(expected))
    assert {row["name"]: row["setting"] for row in rows} == expected
    query = ask("SELECT setting::int AS ms FROM pg_settings WHERE name = 'statement_timeout'")
    (row,) = session.query(query, Deadline(3))
    assert 2000 < row["ms"] < 3000


@pytest.mark.parametrize(
    "text, sqlstate",
    [
        ("SELECT 1 / 0 AS x", "22012"),
        ("SELECT FROM nowhere", "42P01"),
        ("SELECT nextval('public.numbers')", "25006"),  # read-only: nothing can be changed
        ("this is no SQL", "42601"),
    ],
)
def test_a_failed_statement_gives_its_sqlstate(session: Session, text: str, sqlstate: str) -> None:
    with pytest.raises(SessionError) as caught:
        session.query(ask(text), Deadline(10))
    assert caught.value.sqlstate == sqlstate
    assert session.query(ask("SELECT 1 AS x"), Deadline(10)) == [{"x": 1}]  # and the session is still good


def test_nothing_localised_decides(server: AnyServer, admin: Client) -> None:
    if server.version == 17:  # the image with translations
        admin.run("ALTER ROLE watcher SET lc_messages = 'de_DE.UTF-8'")
    for opened in (servers.psql(server, user="watcher"), servers.libpq(server, "watcher")):
        with pytest.raises(SessionError) as caught:
            opened.query(ask("SELECT rolpassword FROM pg_authid"), Deadline(10))
        opened.close()
        assert caught.value.sqlstate == "42501"
        assert ("keine Berechtigung" in str(caught.value)) == (server.version == 17)


def test_a_lock_is_not_waited_for(session: Session, connect: Connect) -> None:
    holder = connect("postgres").run("BEGIN", "LOCK TABLE pg_auth_members IN ACCESS EXCLUSIVE MODE")
    assert holder == []
    started = time.monotonic()
    with pytest.raises(SessionError) as caught:
        snapshot.take(session, Deadline(30), Thresholds(), ["app"], ["shop"])
    assert caught.value.sqlstate == "55P03"
    assert time.monotonic() - started < 20


def test_a_locked_pg_authid_holds_nobody_beyond_the_deadline(session: Session, connect: Connect) -> None:
    """Even to log in takes a lock on pg_authid: no setting can help, so our own clock has to."""
    connect("postgres").run("BEGIN", "LOCK TABLE pg_authid IN ACCESS EXCLUSIVE MODE")
    started = time.monotonic()
    with pytest.raises((SessionError, DeadlineError)):
        snapshot.take(session, Deadline(1.5), Thresholds(), ["app"], ["shop"])
    assert time.monotonic() - started < 20


def test_a_slow_statement_ends_with_the_deadline_on_both_sides(session: Session, admin: Client) -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineError) as caught:
        session.query(ask("SELECT pg_sleep(30)", "slow"), Deadline(1))
    assert time.monotonic() - started < 20
    assert "'slow'" in str(caught.value)
    until(
        lambda: (
            admin.run(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' "
                "AND state = 'active' AND pid <> pg_backend_pid()"
            )
            == [(0,)]
        ),
        2,
    )


def test_a_terminated_session_is_an_error_and_the_next_query_connects_anew(session: Session, admin: Client) -> None:
    admin.run(
        "CREATE OR REPLACE FUNCTION public.die() RETURNS bool LANGUAGE sql AS "
        "'SELECT pg_terminate_backend(pg_backend_pid())'"
    )
    with pytest.raises(SessionError) as caught:
        session.query(ask("SELECT public.die(), pg_sleep(1)"), Deadline(10))
    assert caught.value.sqlstate in ("57P01", "08006")  # psycopg2 gives no code with a connection's end
    assert session.query(ask("SELECT 1 AS x"), Deadline(10)) == [{"x": 1}]


def test_no_connection_gives_08001_and_no_secret(server: AnyServer) -> None:
    for opened in (
        servers.libpq(server, password="wrong-but-secret"),
        servers.libpq(server, port=1),
        servers.libpq(server, host="no-such-host.invalid"),
        servers.libpq(server, database="no_such_database"),
        servers.psql(server, database="no_such_database"),
        servers.psql(server, user="no_such_role"),
        servers.psql(server, port=1),
        servers.psql(server, socket_directory="/nowhere"),
    ):
        with pytest.raises(SessionError) as caught:
            opened.query(ask("SELECT 1 AS x"), Deadline(5))
        assert caught.value.sqlstate == "08001"
        assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_server_that_is_too_old_is_named(
    server: AnyServer, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (libpq, psql):
        monkeypatch.setattr(module, "OLDEST", 990000)
    with pytest.raises(VersionError, match=r"PostgreSQL %d\..*; oncall.postgresql needs 13 or newer" % server.version):
        session.query(ask("SELECT 1 AS x"), Deadline(5))


def test_psql_finds_its_way_without_being_told(server: AnyServer) -> None:
    """Only the data directory, in a container not even that: port, socket and programs stand in the server's files."""
    assert set(server.settings) <= {"data_directory", "user"}
    query = ask("SELECT current_setting('port')::int AS port, inet_server_addr() AS address")
    (row,) = servers.psql(server).query(query, Deadline(10))
    assert row == {"port": server.port, "address": None}


@pytest.mark.parametrize("server", [17], ids=["pg17"], indirect=True)
def test_where_nothing_says_where_it_is_the_one_that_runs_is_asked(server: Container) -> None:
    """Never another one that has the default socket."""

    def unaware(argv: Sequence[str], *more: Any, **named: Any) -> Completed:
        return server.run_beside(["env", "-u", "PGDATA", *argv], *more, **named)

    query = ask("SELECT current_setting('port')::int AS port, current_setting('data_directory') AS place")
    session = psql.PsqlSession(unaware, {"user": "postgres"})
    own = {"port": 5432, "place": "/var/lib/postgresql/data"}
    assert session.query(query, Deadline(10)) == [own]
    make = "initdb -D /tmp/other --no-sync >/dev/null && pg_ctl -D /tmp/other -o '-p 5433 -k /tmp' -l /tmp/log -w start"
    assert server.beside("sh", "-c", make).code == 0
    try:
        with pytest.raises(SessionError, match=r"not asked.*several servers run here: .*") as refused:
            session.query(query, Deadline(10))
        assert "/tmp/other" in refused.value.msg and "/var/lib/postgresql/data" in refused.value.msg
        known = psql.PsqlSession(unaware, {"user": "postgres", "data_directory": own["place"]})
        assert known.query(query, Deadline(10)) == [own]
    finally:
        server.beside("pg_ctl", "-D", "/tmp/other", "-m", "fast", "-w", "stop")
    assert session.query(query, Deadline(10)) == [own]


@pytest.mark.parametrize("server", [17], ids=["pg17"], indirect=True)
def test_a_missing_psql_is_said(server: Container) -> None:
    everywhere = "for f in $(find / -xdev -name psql%s \\( -type f -o -type l \\)); do mv $f %s; done"
    server.beside("sh", "-c", everywhere % ("", "$f.away"), user="root")
    try:
        with pytest.raises(TargetError, match=r"psql cannot be run beside the server.*login_host"):
            servers.psql(server).query(ask("SELECT 1 AS x"), Deadline(5))
    finally:
        server.beside("sh", "-c", everywhere % (".away", "${f%.away}"), user="root")
    assert servers.psql(server).query(ask("SELECT 1 AS x"), Deadline(5)) == [{"x": 1}]


def test_what_changes_something_is_executed(admin: Client, session: Session) -> None:
    nasty = "wei\"rd %s :name \\ 'role' "
    try:
        session.execute(ask("CREATE ROLE %(role)s"), Deadline(10), role=identifier(nasty))
        session.execute(
            ask("COMMENT ON ROLE %(role)s IS %(text)s -- the end"), Deadline(10), role=identifier(nasty), text=NASTY[0]
        )
        found = session.query(
            ask("SELECT shobj_description(oid, 'pg_authid') AS t FROM pg_roles WHERE rolname = %(r)s"),
            Deadline(10),
            r=nasty,
        )
        assert found == [{"t": NASTY[0]}]
    finally:
        admin.run('DROP ROLE IF EXISTS "%s"' % nasty.replace('"', '""'))


def test_what_may_not_run_in_a_transaction_block_is_executed(admin: Client, session: Session) -> None:
    admin.run("BEGIN", "PREPARE TRANSACTION 'it''s'")
    session.execute(alone("ROLLBACK PREPARED %(gid)s"), Deadline(10), gid="it's")
    assert admin.run("SELECT count(*) FROM pg_prepared_xacts") == [(0,)]
    session.execute(alone("CHECKPOINT"), Deadline(20))
    session.execute(alone("ALTER SYSTEM RESET %(name)s"), Deadline(10), name=identifier("work_mem"))
    session.execute(ask("SELECT 'oncall:failed 1', pg_reload_conf() FROM generate_series(1, 3)"), Deadline(10))


def test_a_failed_execution_keeps_its_sqlstate_and_reading_stays_read_only(session: Session) -> None:
    with pytest.raises(SessionError) as caught:
        session.execute(alone("ROLLBACK PREPARED %(gid)s"), Deadline(10), gid="nobody's")
    assert caught.value.sqlstate == "42704"
    with pytest.raises(DeadlineError):
        session.execute(ask("SELECT pg_sleep(10)"), Deadline(1))
    session.execute(ask("SELECT 1"), Deadline(10))
    with pytest.raises(SessionError) as caught:
        session.query(ask("SELECT nextval('public.numbers') AS x"), Deadline(10))
    assert caught.value.sqlstate == "25006"


def test_another_database_is_reached_the_same_way(session: Session) -> None:
    other = session.in_database("shop")
    query = ask("SELECT current_database() AS d")
    assert other.query(query, Deadline(10)) == [{"d": "shop"}]
    assert session.query(query, Deadline(10)) == [{"d": "postgres"}]
    other.close()


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        identifier(name)
