# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions cancelled and ended on a real server, through the module's own code from its options to its result."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import psycopg2.extras
import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    OncallError,
    OptionsError,
    RefusedError,
    UnprovenError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.target import open_target
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.sql.query import Query
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.prepared_transaction import run
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.prepared_transaction.sql import PREPARED
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.sessions import signal as _signal
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.sessions import sql as signal
from tests.embedded import Server
from tests.integration import servers
from tests.integration.servers import AnyServer, Client, until
from tests.integration.signalling import (
    IDLE,
    PASSWORD,
    STUBBORN,
    Between,
    Connect,
    activity,
    alive,
    as_watcher,
    call,
    connecting,
    declared,
    outcomes,
    serving,
    signalled,
    target_options,
)


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def opened(db: Server) -> Iterator[Connect]:
    with connecting(db) as connect:
        yield connect


def test_check_mode_predicts_and_touches_nothing_then_it_happens_once(db: Server, opened: Connect) -> None:
    idle, busy = [opened(), opened()], opened().start("SELECT pg_sleep(60)")
    opened(application="pg_dump")
    before = activity(db)
    predicted = signalled(db, check=True, **IDLE)
    assert activity(db) == before
    assert predicted["changed"]
    done = signalled(db, **IDLE)
    for key in ("changed", "diff", "msg", "slots"):
        assert done[key] == predicted[key]
    assert outcomes(done) == outcomes(predicted)
    assert [outcomes(done)[client.pid] for client in idle] == ["terminated", "terminated"]
    assert "1 left alone" in done["msg"] and "protected application pg_dump" in done["msg"]
    assert alive(db, busy) and not any(alive(db, client) for client in idle)
    assert done["slots"] == {"usable": 27, "used": 4, "used_after": 2}
    again = signalled(db, **IDLE)
    assert not again["changed"] and again["diff"] == {"before": {"sessions": []}, "after": {"sessions": []}}


def test_what_each_was_doing_is_told_without_its_secrets(db: Server, opened: Connect) -> None:
    opened().run("SELECT 'password=hush'")
    (session,) = signalled(db, **IDLE)["sessions"]
    assert session["user"] == "app" and session["application"] == "shop-api" and session["state"] == "idle"
    assert "SELECT" in session["query"] and "hush" not in session["query"]


def test_a_thousand_go_by_one_statement() -> None:
    with Server(settings={"max_connections": 1010, "log_statement": "all"}) as server, contextlib.ExitStack() as stack:
        server.sql("CREATE ROLE app LOGIN PASSWORD '%s'" % PASSWORD)
        login: dict[str, Any] = {
            "host": server.host,
            "port": server.port,
            "user": "app",
            "password": PASSWORD,
            "dbname": "postgres",
        }
        for _unused in range(1000):
            stack.callback(psycopg2.connect(**login).close)
        done = signalled(server, **IDLE, max_sessions=1000)
        assert done["slots"] == {"usable": 1007, "used": 1000, "used_after": 0}
        assert set(outcomes(done).values()) == {"terminated"}
        assert server.log.count("pg_terminate_backend(") == 1


@pytest.mark.parametrize("query", [signal.TERMINATE, signal.CANCEL], ids=lambda query: query.name)
def test_a_number_that_is_somebody_elses_by_now_is_left_alone(db: Server, opened: Connect, query: Query) -> None:
    client = opened().start("SELECT pg_sleep(60)")
    start = db.sql("SELECT backend_start - interval '1 microsecond' FROM pg_stat_activity WHERE pid = %d" % client.pid)
    arrays = {"pids": [str(client.pid)], "starts": [start], "changes": [None], "queries": [None], "named": ["f"]}
    session = open_target(target_options(db), "db").session
    assert session.query(query, Deadline(10), **arrays) == []
    assert alive(db, client)
    assert db.sql("SELECT state FROM pg_stat_activity WHERE pid = %d" % client.pid) == "active"
    arrays["starts"] = [db.sql("SELECT backend_start FROM pg_stat_activity WHERE pid = %d" % client.pid)]
    assert session.query(query, Deadline(10), **arrays) == [{"pid": client.pid, "spared": None, "sent": True}]


def test_whoever_goes_back_to_work_meanwhile_is_left_alone(db: Server, opened: Connect) -> None:
    first, second = opened(), opened()

    def work() -> None:
        first.start("SELECT pg_sleep(60)")
        second.close()
        until(lambda: not alive(db, second))

    done = signalled(db, between={"sessions_terminate": work}, **IDLE)
    assert outcomes(done) == {first.pid: "refused", second.pid: "gone_by_itself"}
    assert not done["changed"]
    assert alive(db, first)
    assert [one["reason"] for one in done["sessions"] if one["pid"] == first.pid] == [_signal.AT_WORK_AGAIN]


def test_only_the_query_that_was_seen_is_cancelled(db: Server, opened: Connect) -> None:
    client = opened().start("SELECT pg_sleep(0.5)")

    def another() -> None:
        client.finish()
        client.start("SELECT pg_sleep(60)")

    done = signalled(db, state="cancelled", pids=[client.pid], between={"sessions_cancel": another})
    assert outcomes(done) == {client.pid: "gone_by_itself"}
    assert db.sql("SELECT state FROM pg_stat_activity WHERE pid = %d" % client.pid) == "active"


def test_cancelling_leaves_the_session(db: Server, opened: Connect) -> None:
    busy, idle = opened().start("SELECT pg_sleep(60)"), opened()
    done = signalled(db, state="cancelled", pids=[busy.pid, idle.pid])
    assert outcomes(done) == {busy.pid: "cancelled", idle.pid: "refused"}
    with pytest.raises(psycopg2.Error) as caught:
        busy.finish()
    assert caught.value.pgcode == "57014"
    assert busy.run("SELECT 1") == [(1,)] and idle.run("SELECT 1") == [(1,)]


def test_one_that_ignores_the_cancelling_goes_only_where_it_is_to_be_absent(db: Server, opened: Connect) -> None:
    client = opened().start(STUBBORN)
    until(lambda: db.sql("SELECT wait_event FROM pg_stat_activity WHERE pid = %d" % client.pid) == "PgSleep")
    with pytest.raises(UnprovenError, match="state=absent ends them") as caught:
        signalled(db, state="cancelled", pids=[client.pid], timeout_seconds=0.5)
    assert outcomes(caught.value.details) == {client.pid: "still_there"}
    assert alive(db, client)
    done = signalled(db, state="absent", pids=[client.pid], cancel_wait_seconds=0.2)
    assert outcomes(done) == {client.pid: "terminated"}
    assert not alive(db, client)


def test_a_working_session_is_cancelled_before_it_is_ended(db: Server, opened: Connect) -> None:
    client = opened().start("SELECT pg_sleep(60)")
    assert outcomes(signalled(db, state="absent", pids=[client.pid])) == {client.pid: "terminated"}
    with pytest.raises(psycopg2.Error) as caught:
        client.finish()
    assert caught.value.pgcode == "57014"


def test_superusers_go_only_for_a_declared_client(db: Server, opened: Connect) -> None:
    application, person = opened("root"), opened("root", "psql")
    everything: dict[str, Any] = {"state": "absent", "user": "root", "max_percent": 100}
    assert set(outcomes(signalled(db, **everything)).values()) == {"refused"}
    done = signalled(db, clients=declared("root"), **everything)
    assert outcomes(done) == {application.pid: "terminated", person.pid: "refused"}
    assert alive(db, person)
    said = r"^Nothing was done: pid %d is a superuser's \(root\): ask that person\. If an app" % person.pid
    with pytest.raises(RefusedError, match=said):
        signalled(db, state="absent", pids=[person.pid])


def test_replication_is_never_touched(db: Server, opened: Connect) -> None:
    sender = psycopg2.connect(
        host=db.host, port=db.port, user="replica", password=PASSWORD, application_name="shop-api",
        connection_factory=psycopg2.extras.PhysicalReplicationConnection,
    )  # fmt: skip
    try:
        sender.cursor().start_replication(start_lsn=0)
        pid = int(until(lambda: db.sql("SELECT pid FROM pg_stat_replication")))
        ordinary = opened("replica")
        meant: tuple[dict[str, Any], ...] = ({"pids": [pid]}, {"application": "shop-api"}, {"user": "replica"})
        for options in meant:
            for state in ("absent", "cancelled"):
                with contextlib.suppress(RefusedError):
                    result = signalled(db, state=state, max_percent=100, **options)
                    assert not result["changed"] and outcomes(result)[pid] == "refused"
        assert db.sql("SELECT pid FROM pg_stat_replication") == str(pid)
        assert alive(db, ordinary)
    finally:
        sender.close()


def test_a_running_pg_dump_is_left_alone(db: Server, opened: Connect) -> None:
    opened().run("BEGIN", "LOCK TABLE items")
    arguments = ["-h", str(db.directory), "-p", str(db.port), "-U", "postgres", "-d", "postgres"]
    dump = threading.Thread(target=lambda: db.run("pg_dump", *arguments, "-f", "/dev/null", check=False))
    dump.start()
    try:
        find = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'"
        pid = int(until(lambda: db.sql(find)))
        result = signalled(db, state="absent", query_seconds=0, max_percent=100, clients=declared("postgres", None))
        assert outcomes(result) == {pid: "refused"} and db.sql(find) == str(pid)
        by_role: dict[str, Any] = {
            "application": "pg_dump",
            "clients": declared("postgres", None),
        }  # any superuser might be it
        assert outcomes(signalled(db, state="absent", max_percent=100, **by_role)) == {pid: "refused"}
        named = signalled(
            db, state="absent", application="pg_dump", clients=declared("postgres", "pg_dump"), max_percent=100
        )
        assert outcomes(named) == {pid: "cancelled"} and named["changed"]  # it left by itself then
    finally:
        dump.join(20)
    assert not dump.is_alive()


def test_caps_refuse_with_the_list_and_touch_nothing(db: Server, opened: Connect) -> None:
    clients = [opened() for _unused in range(4)]
    before = activity(db)
    caps: tuple[tuple[dict[str, Any], str], ...] = (
        ({"max_sessions": 3}, "4 sessions, more than max_sessions=3"),
        ({"max_percent": 50}, "4 of 4"),
    )
    for cap, words in caps:
        for check in (True, False):
            with pytest.raises(RefusedError, match=words) as caught:
                signalled(db, check, **{**IDLE, **cap})
            assert sorted(outcomes(caught.value.details)) == sorted(client.pid for client in clients)
    assert activity(db) == before


def test_root_blockers_first(db: Server, opened: Connect) -> None:
    root, victim, last = opened(), opened(), opened()
    root.run("BEGIN", "LOCK TABLE items IN ACCESS SHARE MODE")
    victim.run("BEGIN")
    victim.start("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
    until(lambda: db.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
    last.start("SELECT * FROM items")
    until(lambda: db.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "2")
    nothing = signalled(db, state="cancelled", blocking=True, max_percent=100)
    assert not nothing["changed"] and outcomes(nothing) == {root.pid: "refused"}  # idle: there is no query
    done = signalled(db, state="absent", blocking=True, max_percent=100)
    assert outcomes(done) == {root.pid: "terminated"}
    victim.finish()
    assert alive(db, last)


def test_nothing_asked_for_is_no_request_for_everything(db: Server) -> None:
    with pytest.raises(OptionsError, match="No sessions are selected"):
        signalled(db, state="absent")


def test_pids_that_are_gone_are_no_matter(db: Server) -> None:
    result = signalled(db, state="absent", pids=[999999])
    assert not result["changed"] and "not there: pid 999999" in result["msg"]


def test_privileges_are_told_before_anything_is_sent(db: Server, opened: Connect) -> None:
    client = opened()
    limited: dict[str, Any] = {
        "login_host": db.host,
        "login_port": db.port,
        "login_user": "watcher",
        "login_password": PASSWORD,
    }
    with pytest.raises(RefusedError, match="pg_signal_backend"):
        signalled(db, state="absent", pids=[client.pid], **limited)
    db.sql("GRANT pg_signal_backend TO watcher")
    try:
        assert outcomes(signalled(db, state="absent", pids=[client.pid], **limited)) == {client.pid: "terminated"}
    finally:
        db.sql("REVOKE pg_signal_backend FROM watcher")


def test_two_operators_at_once_both_end_well(db: Server, opened: Connect) -> None:
    clients = [opened() for _unused in range(20)]
    results: list[dict[str, Any]] = []
    errors: list[OncallError] = []
    both = threading.Barrier(2)

    def operator() -> None:
        try:
            results.append(signalled(db, between={"sessions_terminate": both.wait}, **IDLE))
        except OncallError as error:
            errors.append(error)

    threads = [threading.Thread(target=operator) for _unused in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == [] and len(results) == 2
    for client in clients:
        seen = {outcomes(result)[client.pid] for result in results}
        assert "terminated" in seen and seen <= {"terminated", "gone_by_itself"}


# --- when no slot is left ---------------------------------------------------------------------------------------------


@pytest.fixture
def full(db: Server, opened: Connect) -> Iterator[list[Client]]:
    """Every slot, the reserved ones too, held by an application that logs in as a superuser."""
    clients: list[Client] = []
    with pytest.raises(psycopg2.OperationalError):
        while True:
            clients.append(opened("root"))
    yield clients
    for client in clients[:3]:
        client.close()
    until(lambda: not refuses(db))


def refuses(db: Server) -> bool:
    try:
        db.sql("SELECT 1")
    except RuntimeError:
        return True
    return False


ROOT: dict[str, Any] = {"clients": declared("root")}


def test_the_first_slot_is_freed_by_its_title(db: Server, full: list[Client]) -> None:
    full[0].start("SELECT pg_sleep(60)")  # the oldest is at work
    predicted = signalled(db, check=True, **IDLE, **ROOT)
    assert predicted["changed"] and not predicted["reached"]
    assert [one["pid"] for one in predicted["freed"]] == [full[1].pid]
    assert refuses(db)  # nothing was touched
    done = signalled(db, **IDLE, **ROOT)
    assert done["reached"] and [one["pid"] for one in done["freed"]] == [full[1].pid]
    assert predicted["diff"]["before"]["sessions"][0] in done["diff"]["before"]["sessions"]
    assert set(outcomes(done).values()) == {"terminated"} and len(done["sessions"]) == len(full) - 2
    assert alive(db, full[0]) and not alive(db, full[1])


def test_a_role_that_has_no_session_when_no_slot_is_left(db: Server, full: list[Client]) -> None:
    """Whether it exists cannot be asked, and no client is restarted for it."""
    with pytest.raises(OptionsError, match="No connection slot is available for SQL, and no session of role rot") as no:
        signalled(db, **IDLE, user="rot", clients=declared("root"))
    assert no.value.hint == "Did you mean root?"
    assert refuses(db)


def test_as_many_as_it_takes_from_no_slot_on(db: Server, full: list[Client]) -> None:
    done = signalled(db, **IDLE, **ROOT, down_to_percent=50)
    assert done["reached"] and done["freed"][0]["pid"] == full[0].pid
    usable = done["slots"]["usable"]
    assert done["slots"]["used_after"] == usable // 2
    gone = [client for client in full if not alive(db, client)]
    assert gone == full[: len(full) - usable // 2]  # the longest idle
    again = signalled(db, **IDLE, **ROOT, down_to_percent=50)
    assert not again["changed"] and again["sessions"] == []


def test_as_many_as_it_takes_of_a_role_and_none_of_strangers(db: Server, opened: Connect) -> None:
    db.sql("ALTER ROLE app CONNECTION LIMIT 5")
    try:
        stranger, *clients = [opened(application="report"), *(opened() for _unused in range(4))]
        nobody = signalled(db, **IDLE, user="app", down_to_percent=60)
        assert not nobody["changed"] and nobody["sessions"] == []
        meant = {**IDLE, "clients": declared(), "user": "app", "down_to_percent": 60}
        planned = signalled(db, check=True, **meant)
        done = signalled(db, **meant)
        assert planned["diff"] == done["diff"]
        assert [one["pid"] for one in done["sessions"]] == [client.pid for client in clients[:2]]
        assert alive(db, stranger)
        with pytest.raises(OptionsError, match="down_to_percent"):
            signalled(db, **{**meant, "state": "cancelled"})
    finally:
        db.sql("ALTER ROLE app CONNECTION LIMIT -1")


def test_a_superuser_of_nobody_is_left_alone_even_then(db: Server, full: list[Client]) -> None:
    other = [{"service": "api", "application_name": "shop-api", "login": {"user": "app"}}]
    with pytest.raises(RefusedError, match="belongs to protected user root") as caught:
        signalled(db, **IDLE, clients=other, protect_users=["root"])
    assert caught.value.sqlstate == "53300" and caught.value.details["freed"] == []
    with pytest.raises(RefusedError, match="which is not a declared client's address: it may be a backup or a person"):
        signalled(db, **IDLE, clients=other)
    assert refuses(db)


@pytest.mark.parametrize(
    "options, words",
    [
        ({**IDLE, "free_slot": False}, "free_slot is false"),
        ({"state": "cancelled", "query_seconds": 1}, "cancelling a query frees none"),
    ],
)
def test_no_slot_is_freed_where_that_is_not_wanted(
    db: Server, full: list[Client], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        signalled(db, **options, **ROOT)
    assert refuses(db)


def test_from_afar_no_slot_can_be_freed(db: Server, full: list[Client]) -> None:
    afar = {"runtime": "remote", "data_directory": None, "bin_directory": None, **as_watcher(db), "login_user": "root"}
    with pytest.raises(RefusedError, match=r"No connection slot is available.*Nothing can be run beside") as caught:
        signalled(db, **IDLE, **ROOT, **afar)
    assert caught.value.sqlstate == "53300"
    assert refuses(db)


def test_nobody_young_is_taken_for_long_idle(db: Server, full: list[Client]) -> None:
    result = signalled(db, **IDLE, idle_seconds=1800, **ROOT)
    assert not result["changed"] and not result["reached"] and result["freed"] == []
    assert refuses(db)


def test_others_that_take_the_freed_slot_do_not_keep_us_out(db: Server, full: list[Client]) -> None:
    stop = threading.Event()
    grabbed: list[Any] = []

    def grab() -> None:
        while not stop.is_set() and len(grabbed) < 5:
            with contextlib.suppress(psycopg2.OperationalError):
                grabbed.append(psycopg2.connect(host=db.host, port=db.port, user="root", password=PASSWORD,
                                                dbname="postgres", application_name="shop-api"))  # fmt: skip
            time.sleep(0.01)

    thread = threading.Thread(target=grab)
    thread.start()
    try:
        done = signalled(db, **IDLE, **ROOT)
    finally:
        stop.set()
        thread.join(10)
        for one in grabbed:
            one.close()
    assert done["reached"] and done["freed"]
    assert not any(alive(db, client) for client in full)


def test_a_title_that_changed_is_not_signalled(db: Server, full: list[Client]) -> None:
    from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.sessions import free_slot

    target = open_target(target_options(db), "db")
    by_pid = {one.backend.pid: one for one in free_slot.roll(target, Deadline(10))}
    assert sorted(by_pid) == sorted(client.pid for client in full)
    first, second = by_pid[full[0].pid], by_pid[full[1].pid]
    full[0].start("SELECT pg_sleep(60)")
    until(
        lambda: {one.backend.pid: one for one in free_slot.roll(target, Deadline(10))}[full[0].pid].title != first.title
    )
    younger = dataclasses.replace(second, started=second.started + 1)
    assert free_slot.terminate(target, [first, younger], Deadline(10)) == []
    assert refuses(db)
    assert free_slot.terminate(target, [second], Deadline(10)) == [second]
    until(lambda: not refuses(db))


# --- prepared transactions --------------------------------------------------------------------------------------------

GID = "it's {{ 1 }} %s"


@pytest.fixture
def orphan(db: Server) -> Iterator[str]:
    """In a database of its own, with a table that it locks."""
    db.sql("CREATE TABLE IF NOT EXISTS orders (id int)", database="shop")
    db.sql("BEGIN; LOCK TABLE orders; INSERT INTO orders VALUES (1); PREPARE TRANSACTION '%s'" % GID.replace("'", "''"),
           database="shop")  # fmt: skip
    yield GID
    with contextlib.suppress(RuntimeError):
        db.sql("ROLLBACK PREPARED '%s'" % GID.replace("'", "''"), database="shop")
    db.sql("DROP TABLE orders", database="shop")


def finished(db: Server, check: bool = False, between: Between | None = None, **options: Any) -> dict[str, Any]:
    return call(run.Finish(), run.OPTIONS, db, options, check, between or {})


@pytest.mark.parametrize("state, rows", [("rolled_back", "0"), ("committed", "1")])
def test_an_orphan_is_finished(db: Server, opened: Connect, orphan: str, state: str, rows: str) -> None:
    victim = opened("root", dbname="shop").start("SELECT * FROM orders")
    until(lambda: db.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
    predicted = finished(db, True, gid=orphan, state=state, min_age_seconds=0)
    assert db.sql("SELECT count(*) FROM pg_prepared_xacts") == "1"
    done = finished(db, gid=orphan, state=state, min_age_seconds=0)
    assert (done["changed"], done["diff"]) == (predicted["changed"], predicted["diff"]) and done["changed"]
    assert (done["owner"], done["database"]) == ("postgres", "shop")
    assert [one["pid"] for one in done["blocks"]] == [victim.pid]
    victim.finish()
    assert db.sql("SELECT count(*) FROM orders", database="shop") == rows
    again = finished(db, gid=orphan, state=state)
    assert not again["changed"] and "There is no prepared transaction" in again["msg"]


def test_a_young_one_is_left_to_its_manager(db: Server, orphan: str) -> None:
    for check in (True, False):
        with pytest.raises(RefusedError, match="its transaction manager"):
            finished(db, check, gid=orphan)
    assert db.sql("SELECT count(*) FROM pg_prepared_xacts") == "1"


def test_only_its_owner_or_a_superuser_may(db: Server, orphan: str) -> None:
    limited: dict[str, Any] = {
        "login_host": db.host,
        "login_port": db.port,
        "login_user": "watcher",
        "login_password": PASSWORD,
    }
    with pytest.raises(RefusedError, match="only its owner or a superuser can"):
        finished(db, gid=orphan, min_age_seconds=0, **limited)


def test_one_that_somebody_else_finishes_is_no_matter(db: Server, orphan: str) -> None:
    target = open_target(target_options(db), "db")
    found = target.session.query(PREPARED, Deadline(10), gid=orphan)[0]
    db.sql("COMMIT PREPARED '%s'" % GID.replace("'", "''"), database="shop")
    options = {"gid": orphan, "state": "rolled_back", "min_age_seconds": 0}
    plan = run.Finish().plan(dict(found, blocked_seconds=30), options)
    assert run.Finish().apply(target, plan) is False
    assert db.sql("SELECT count(*) FROM orders", database="shop") == "1"


# --- every version ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [servers.psql, servers.libpq], ids=["psql", "libpq"])
def test_the_statements_of_every_version(
    server: AnyServer, connect: Callable[..., Client], kind: Callable[..., Any]
) -> None:
    root, victim = connect(), connect()
    root.run("BEGIN", "LOCK TABLE items")
    victim.start("SELECT * FROM items")
    session = kind(server)
    try:
        until(lambda: session.query(signal.LOOK_BLOCKING, Deadline(10))[0]["edges"])
        looked = session.query(signal.LOOK_BLOCKING, Deadline(10))[0]
        assert [(edge["blocked_pid"], edge["blocking_pid"]) for edge in looked["edges"]] == [(victim.pid, root.pid)]
        (row,) = [row for row in session.query(signal.LOOK, Deadline(10))[0]["rows"] if row["pid"] == root.pid]
        assert (row["user"], row["backend_type"], row["state"]) == ("app", "client backend", "idle in transaction")
        assert row["may_signal"] and not row["own"] and not row["superuser"]
        assert session.query(PREPARED, Deadline(10), gid="nobody")[0]["gid"] is None
        arrays = {
            "pids": [str(root.pid)],
            "starts": [row["backend_start"]],
            "changes": [row["state_change"]],
            "queries": [None],
            "named": ["f"],
        }
        assert session.query(signal.THERE, Deadline(10), **arrays) == [{"pid": root.pid}]
        assert session.query(signal.TERMINATE, Deadline(10), **arrays) == [
            {"pid": root.pid, "spared": None, "sent": True}
        ]
        victim.finish()
    finally:
        session.close()
