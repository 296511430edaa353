# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room made for connections, and queries cancelled, on a real server whose clients are no containers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    OncallError,
    OptionsError,
    RefusedError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.cancel_queries import run as cancelling
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.pool_reset import run as resetting
from tests.embedded import Server
from tests.integration.servers import Client, until
from tests.integration.signalling import (
    STUBBORN,
    Between,
    Connect,
    activity,
    alive,
    call,
    connecting,
    declared,
    looked,
    outcomes,
    serving,
    signalled,
)


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def opened(db: Server) -> Iterator[Connect]:
    with connecting(db) as connect:
        yield connect


def reset(db: Server, check: bool = False, between: Between | None = None, **options: Any) -> dict[str, Any]:
    given = {"clients": declared(), **options}
    return call(resetting.PoolReset(), resetting.OPTIONS, db, given, check, between or {})


def cancelled(db: Server, check: bool = False, between: Between | None = None, **options: Any) -> dict[str, Any]:
    given = {"clients": declared(), "query_seconds": 3600.0, **options}
    return call(cancelling.CancelQueries(), cancelling.OPTIONS, db, given, check, between or {})


# --- pool_reset -------------------------------------------------------------------------------------------------------


def test_what_was_idle_for_long_goes_and_nothing_else(db: Server, opened: Connect) -> None:
    idle, busy = [opened() for _unused in range(26)], opened().start("SELECT pg_sleep(60)")  # 27 of 27
    before = activity(db)
    planned = reset(db, check=True, idle_minutes=0)
    assert activity(db) == before
    assert planned["room"] == {"before": False, "after": True}
    done = reset(db, idle_minutes=0)
    for key in ("changed", "diff", "msg", "slots", "room"):
        assert done[key] == planned[key]
    assert done["changed"] and set(outcomes(done)) == {client.pid for client in idle}
    assert done["slots"] == {"usable": 27, "used": 27, "used_after": 1}
    assert alive(db, busy) and done["clients"] == [] and done["freed"] == []
    again = reset(db, idle_minutes=0)
    assert not again["changed"] and again["room"] == {"before": True, "after": True}


def test_of_a_burst_only_as_many_as_it_takes_the_longest_idle_first(db: Server, opened: Connect) -> None:
    clients = [opened() for _unused in range(27)]
    for number, client in enumerate(clients):
        assert client.run("SELECT %d" % number) == [(number,)]
    planned = reset(db, check=True, connection_percent=90)
    done = reset(db, connection_percent=90)  # 24 of 27
    assert (done["diff"], done["slots"]) == (planned["diff"], planned["slots"])
    assert [one["pid"] for one in done["sessions"]] == [client.pid for client in clients[:3]]
    assert all(alive(db, client) for client in clients[3:])
    assert done["room"] == {"before": False, "after": True} and done["slots"]["used_after"] == 24


def test_the_targets_own_idle_minutes_count(db: Server, opened: Connect) -> None:
    opened()
    assert not reset(db)["changed"]  # 30 minutes
    assert reset(db, idle_minutes=0)["changed"]


def test_strangers_are_not_ended_to_make_room(db: Server, opened: Connect) -> None:
    strangers = [opened(application="report") for _unused in range(27)]
    for check in (True, False):
        with pytest.raises(RefusedError, match=r"server: 27 of 27.*no declared client has a session"):
            reset(db, check=check)
    assert all(alive(db, client) for client in strangers)
    found = looked(db, clients=declared())["verdict"]
    assert found["code"] == "pool_exhausted" and found["remedy"] is None and "ask who holds them" in found["summary"]
    found = looked(db, clients=declared(application="report"))["verdict"]
    assert found["remedy"]["playbook"] == "oncall.postgresql.pool_reset"


def test_the_limits_of_a_role_are_room_too(db: Server, opened: Connect) -> None:
    db.sql("ALTER ROLE app CONNECTION LIMIT 3")
    try:
        clients = [opened() for _unused in range(3)]
        assert not reset(db)["changed"]  # the server has room
        done = reset(db, user="app", connection_percent=70)
        assert [one["pid"] for one in done["sessions"]] == [clients[0].pid] and done["room"]["after"]
    finally:
        db.sql("ALTER ROLE app CONNECTION LIMIT -1")


def test_open_transactions(db: Server, opened: Connect) -> None:
    idle, left = opened(), opened()
    left.run("BEGIN", "SELECT 1")
    for state in ("idle_in_transaction", "idle in transaction"):
        assert list(outcomes(reset(db, check=True, session_state=state, idle_minutes=0))) == [left.pid]
    reset(db, session_state="idle_in_transaction", idle_minutes=0)
    assert alive(db, idle) and not alive(db, left)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"max_percent": 101.0}, "max_percent must be between 0 and 100"),
        ({"max_sessions": 0}, "max_sessions must be at least 1"),
        ({"most_connections": 0}, "most_connections must be at least 1"),
    ],
)
def test_numbers_that_cannot_be_meant(db: Server, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        reset(db, **options)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("options", "words", "hint"),
    [
        ({"user": "ap"}, "The server has no role ap; nothing was done", "Did you mean app?"),
        ({"database": "Shop"}, "The server has no database Shop; nothing was done", "Did you mean shop?"),
        ({"user": "nobody_like_that"}, "The server has no role nobody_like_that", "There are: app, "),
    ],
)
def test_a_name_that_the_server_does_not_know(
    db: Server, opened: Connect, check: bool, options: dict[str, Any], words: str, hint: str
) -> None:
    """It would match nobody, and look as if there were nothing to do."""
    client = opened()
    meant: dict[str, Any] = {"state": "absent", "idle_seconds": 0.0}
    for name, more in (("pool_reset", {"idle_minutes": 0.0}), ("sessions", meant)):
        with pytest.raises(OptionsError, match=words) as refused:
            reset(db, check, **more, **options) if name == "pool_reset" else signalled(db, check, **more, **options)
        assert refused.value.hint.startswith(hint)
    assert alive(db, client)
    assert not signalled(db, check, **meant, user="replica")["changed"]  # known, and not there


def test_caps_refuse_before_anything_is_touched(db: Server, opened: Connect) -> None:
    clients = [opened() for _unused in range(4)]
    before = activity(db)
    for cap in ({"max_sessions": 3}, {"max_percent": 50.0}):
        with pytest.raises(RefusedError, match="Refused: it would end 4") as caught:
            reset(db, idle_minutes=0, **cap)
        assert sorted(outcomes(caught.value.details)) == sorted(client.pid for client in clients)
    assert activity(db) == before


def test_clients_that_cannot_be_restarted_from_here(db: Server, opened: Connect) -> None:
    opened()
    before = activity(db)
    with pytest.raises(RefusedError, match="nothing here can stop or start api"):
        reset(db, restart_clients="always", idle_minutes=0)
    assert activity(db) == before


def test_no_slot_is_left(db: Server, opened: Connect) -> None:
    clients: list[Client] = []
    with pytest.raises(psycopg2.OperationalError):
        while True:
            clients.append(opened("root"))
    rooted: dict[str, Any] = {"clients": declared("root")}
    planned = reset(db, check=True, idle_minutes=0, **rooted)
    assert planned["changed"] and [one["pid"] for one in planned["freed"]] == [clients[0].pid]
    assert planned["room"] == {"before": False, "after": None} and "once a slot is free" in planned["msg"]
    with pytest.raises(RefusedError, match=r"No connection slot is available.*not a declared client"):
        reset(db, idle_minutes=0)  # nobody that we know
    done = reset(db, connection_percent=50, **rooted)  # none was idle for 30 minutes
    assert done["freed"][0]["pid"] == clients[0].pid and done["room"] == {"before": False, "after": True}
    assert [client for client in clients if not alive(db, client)] == clients[: len(clients) - 27 // 2]


# --- cancel_queries ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def blocked(db: Server, client: Client) -> Iterator[None]:
    client.start("SELECT count(*) FROM items")
    until(lambda: db.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
    yield
    client.finish()


def test_a_root_blockers_query_is_cancelled_and_its_session_stays(db: Server, opened: Connect) -> None:
    root, victim = opened(), opened()
    root.run("BEGIN", "LOCK TABLE items")
    root.start("SELECT pg_sleep(60)")
    with blocked(db, victim):
        planned = cancelled(db, check=True)
        assert planned["blocked"] == {"before": 1, "after": None} and alive(db, root)
        done = cancelled(db)
    assert done["diff"] == planned["diff"] and outcomes(done) == outcomes(planned) == {root.pid: "cancelled"}
    assert done["blocked"] == {"before": 1, "after": 0} and alive(db, root)
    assert cancelled(db)["msg"] == "No query blocks others or runs too long"


def test_an_idle_root_blocker_is_ended(db: Server, opened: Connect) -> None:
    root, victim = opened(), opened()
    root.run("BEGIN", "LOCK TABLE items")
    with blocked(db, victim):
        young = cancelled(db, blocked_seconds=3600)  # it goes on by itself
        assert not young["changed"] and outcomes(young) == {root.pid: "refused"}
        left = cancelled(db, blocked_seconds=0, end_blockers=False)
        assert not left["changed"] and "has no query to cancel" in left["msg"] and alive(db, root)
        planned = cancelled(db, check=True, pids=[root.pid], blocked_seconds=3600)  # named: however young
        done = cancelled(db, pids=[root.pid], blocked_seconds=3600)
    assert done["diff"] == planned["diff"] and outcomes(done) == {root.pid: "terminated"}
    assert not alive(db, root)


@pytest.mark.parametrize("end_blockers", [True, False])
def test_one_that_ignores_the_cancelling(db: Server, opened: Connect, end_blockers: bool) -> None:
    root, victim = opened(), opened()
    root.run("BEGIN", "LOCK TABLE items")
    root.start(STUBBORN)
    until(lambda: db.sql("SELECT wait_event FROM pg_stat_activity WHERE pid = %d" % root.pid) == "PgSleep")
    victim.start("SELECT count(*) FROM items")
    until(lambda: db.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
    meant: dict[str, Any] = {"end_blockers": end_blockers, "cancel_wait_seconds": 0.3, "timeout_seconds": 3}
    if end_blockers:
        assert outcomes(cancelled(db, **meant)) == {root.pid: "terminated"}
        victim.finish()
        return
    with pytest.raises(OncallError, match="still running the cancelled query") as caught:
        cancelled(db, **meant)
    assert outcomes(caught.value.details) == {root.pid: "still_there"} and alive(db, root)


def test_long_queries_and_only_those_that_are_named(db: Server, opened: Connect) -> None:
    first, second = (opened().start("SELECT pg_sleep(60)") for _unused in range(2))
    assert not cancelled(db)["changed"]
    assert not cancelled(db, pids=[first.pid])["changed"]  # not that long
    done = cancelled(db, pids=[first.pid], query_seconds=0)
    assert outcomes(done) == {first.pid: "cancelled"}
    assert outcomes(cancelled(db, query_seconds=None, long_query_seconds=0)) == {second.pid: "cancelled"}
    assert alive(db, first) and alive(db, second)


def test_no_pid_is_not_every_pid(db: Server, opened: Connect) -> None:
    client = opened().start("SELECT pg_sleep(60)")
    before = activity(db)
    for check in (True, False):
        with pytest.raises(OptionsError, match="pids is empty"):
            cancelled(db, check=check, pids=[], query_seconds=0)
    assert activity(db) == before and alive(db, client)


def test_who_is_protected_is_said(db: Server, opened: Connect) -> None:
    person = opened("root", "psql").start("SELECT pg_sleep(60)")
    with pytest.raises(RefusedError, match=r"is a superuser's \(root\): ask that person"):
        cancelled(db, pids=[person.pid], query_seconds=0)
    passed_over = cancelled(db, query_seconds=0)
    assert not passed_over["changed"] and outcomes(passed_over) == {person.pid: "refused"}


def test_what_comes_meanwhile_counts_towards_the_limit(db: Server, opened: Connect) -> None:
    first, *late = (opened() for _unused in range(4))
    first.start("SELECT pg_sleep(60)")
    root, victim = opened(), opened()
    root.run("BEGIN", "LOCK TABLE items")
    root.start("SELECT pg_sleep(60)")
    came: list[Client] = []

    def come() -> None:
        while late:
            came.append(late.pop().start("SELECT pg_sleep(60)"))

    with (
        blocked(db, victim),
        pytest.raises(OncallError, match="more queries block others or run too long by now") as caught,
    ):
        cancelled(db, query_seconds=0, max_sessions=3, between={"sessions_cancel": come})
    assert caught.value.details["changed"] and outcomes(caught.value.details) == {root.pid: "cancelled"}
    sleeping = db.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    assert len(came) == 3 and sleeping == "4"
