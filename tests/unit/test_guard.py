# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may be signalled: every rule by a table, and each once where it lets go."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._judge import titles
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.declared import Declared
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.sessions.by_title import Titled, choose
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.sessions.guard import (
    ABSENT,
    CANCELLED,
    Looked,
    Request,
    Row,
    Rules,
    Selection,
    counted,
    needed,
    select,
    states,
)

SHOP = Declared("app", "shop-api", frozenset({"10.0.0.7"}))
ROOTED = Declared("postgres", "shop-api", frozenset({"10.0.0.7"}))
LAX = Rules(max_percent=100)


def row(pid: int = 1, **more: Any) -> Row:
    known: Dict[str, Any] = {
        "pid": pid,
        "backend_start": "2026-01-01T00:00:00+00:00",
        "backend_type": "client backend",
        "user": "app",
        "database": "shop",
        "application": "shop-api",
        "client_address": "10.0.0.7",
        "state": "idle",
        "state_change": "2026-01-01T00:00:00+00:00",
        "query_start": "2026-01-01T00:00:00+00:00",
        "state_seconds": 100.0,
        "transaction_seconds": None,
        "query_seconds": None,
        "wait_event_type": None,
        "wait_event": None,
        "superuser": False,
        "replication": False,
        "own": False,
        "may_signal": True,
        "sync": None,
        "task": None,
        "query": "SELECT 1",
    }
    known.update(more)
    return known  # type: ignore[return-value]


def choice(rows: Sequence[Row], request: Request, rules: Rules = LAX, at_most: Optional[int] = None) -> Selection:
    return select(Looked(tuple(rows)), request, rules, at_most)


def taken(rows: List[Row], request: Request, rules: Rules = LAX, blockers: Tuple[int, ...] = ()) -> List[int]:
    edges = tuple(
        {"blocked_pid": 1000 + at, "blocking_pid": pid, "blocking_gid": None, "blocked_seconds": 90.0 - at}
        for at, pid in enumerate(blockers)
    )
    return [one["pid"] for one in select(Looked(tuple(rows), edges=edges), request, rules).take]


POSTGRES = {"user": "postgres", "superuser": True}


@pytest.mark.parametrize(
    ("session", "rules", "asked", "reason"),
    [
        ({}, {}, {}, None),
        ({"own": True}, {}, {}, "oncall.postgresql itself"),
        ({"backend_type": "walsender"}, {}, {}, "not a client backend (walsender)"),
        ({"backend_type": "autovacuum worker"}, {}, {}, "not a client backend (autovacuum worker)"),
        ({"backend_type": "parallel worker"}, {}, {}, "not a client backend"),
        ({"backend_type": None, "backend_start": None, "state": None}, {}, {}, "pg_monitor"),
        (POSTGRES, {}, {}, "is a superuser's (postgres): ask that person"),
        (POSTGRES, {"clients": (ROOTED,)}, {}, None),  # the application logs in as a superuser
        ({**POSTGRES, "application": "psql"}, {"clients": (ROOTED,)}, {}, None),  # by its address
        ({**POSTGRES, "client_address": None}, {"clients": (ROOTED,)}, {}, None),  # by its name
        ({**POSTGRES, "application": "psql", "client_address": None}, {"clients": (ROOTED,)}, {}, "superuser"),
        ({**POSTGRES, "application": "psql", "client_address": "10.0.0.8"}, {"clients": (ROOTED,)}, {}, "superuser"),
        (
            {**POSTGRES, "application": "", "client_address": None},
            {"clients": (Declared("postgres", ""),)},
            {},
            "superus",
        ),
        # A role is not enough to tell a superuser's sessions: people and tools log in as such, too.
        ({**POSTGRES, "application": "psql"}, {"clients": (Declared("postgres"),)}, {}, "ask that person"),
        ({**POSTGRES, "client_address": None}, {"clients": (Declared("postgres"),)}, {}, "ask that person"),
        ({"replication": True, "application": "x"}, {"clients": (Declared("app"),)}, {}, None),
        (POSTGRES, {"clients": (SHOP,)}, {}, "superuser"),
        ({"replication": True}, {}, {}, "replication role app"),
        ({"replication": True}, {"clients": (SHOP,)}, {}, None),
        ({"application": "pg_dump"}, {}, {}, "protected application pg_dump"),
        ({"application": "pg_dumpall"}, {}, {}, "protected application"),
        ({"application": "pgBackRest [backup]"}, {}, {}, "protected application"),
        ({"application": "barman_receive_wal"}, {}, {}, "protected application"),
        ({"application": "WAL-G"}, {}, {}, "protected application"),
        ({"application": "my pg_dump"}, {}, {}, None),
        ({"application": "pg_dump"}, {}, {"application": "pg_dump"}, None),  # asked for by its name
        ({"application": "pg_dump"}, {}, {"user": "app"}, "protected application"),
        ({"application": "pg_dump"}, {"protect_applications": ()}, {}, None),
        ({"application": "etl-7"}, {"protect_applications": ("etl",)}, {}, "protected application etl-7"),
        ({}, {"protect_users": ("app",)}, {}, "protected user app"),
        ({}, {"protect_users": ("app",)}, {"user": "app"}, None),
        ({"may_signal": False}, {}, {}, "pg_signal_backend"),
        ({"sync": "waits", "wait_event": "SyncRep"}, {}, {}, "is waiting for a synchronous standby"),
        (
            {"sync": "commits"},
            {"clients": (SHOP,), "protect_applications": ()},
            {"user": "app"},
            "may be about to commit",
        ),
    ],
)
def test_who_is_protected(
    session: Dict[str, Any], rules: Dict[str, Any], asked: Dict[str, Any], reason: Optional[str]
) -> None:
    for state in (ABSENT, CANCELLED):
        one = row(**{"state": "active", "query_seconds": 5.0, **session})
        plan = choice([one], Request(state, pids=frozenset({1}), **asked), Rules(max_percent=100, **rules))
        if reason is None:
            assert (plan.take, plan.refused) == ((one,), ())
        else:
            assert plan.take == ()
            assert [(refused["pid"], reason in why) for refused, why in plan.refused] == [(1, True)], plan.refused


ALL = [
    row(1, state_seconds=10.0),
    row(2, state_seconds=4000.0, user="web", application="web", client_address="10.0.1.1"),
    row(3, state="idle in transaction", state_seconds=50.0),
    row(4, state="idle in transaction (aborted)", state_seconds=5.0, database="other"),
    row(5, state="active", state_seconds=700.0, query_seconds=700.0, client_address=None),
    row(6, state="active", state_seconds=0.0, query_seconds=0.0),
    row(7, state="fastpath function call", state_seconds=1.0),
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"session_states": ("idle",)}, [2, 1]),  # the longest first
        ({"session_states": ("idle in transaction",)}, [3, 4]),
        ({"idle_seconds": 50.0}, [2, 3]),
        ({"idle_seconds": 0.0}, [2, 3, 1, 4]),
        ({"idle_seconds": 50.0, "session_states": ("idle",)}, [2]),
        ({"query_seconds": 300.0}, [5]),
        ({"query_seconds": 0.0}, [5, 6]),
        ({"application": "web"}, [2]),
        ({"application": "WEB"}, []),
        ({"application": ""}, []),
        ({"user": "web"}, [2]),
        ({"database": "other"}, [4]),
        ({"client_address": "10.0.1.1"}, [2]),
        ({"client_address": "10.0.1.0/24"}, [2]),
        ({"client_address": "local"}, [5]),
        ({"client_address": "::/0"}, []),
        ({"client_address": "nonsense"}, []),
        ({"pids": frozenset({3, 99})}, [3]),
        ({"pids": frozenset()}, []),
        ({"user": "app", "session_states": ("active",)}, [5, 6]),
    ],
)
def test_who_is_meant(asked: Dict[str, Any], expected: List[int]) -> None:
    assert taken(ALL, Request(ABSENT, **asked)) == expected


def test_only_what_runs_can_be_cancelled() -> None:
    assert taken(ALL, Request(CANCELLED, user="app")) == [5, 7, 6]
    plan = choice(ALL, Request(CANCELLED, pids=frozenset({1, 3, 5})), LAX)
    assert ([one["pid"] for one in plan.take], [one["pid"] for one in plan.idle]) == ([5], [1, 3])


def test_root_blockers_in_their_order() -> None:
    assert taken(ALL, Request(ABSENT, blocking=True), blockers=(6, 2)) == [6, 2]
    assert taken(ALL, Request(ABSENT, blocking=True, user="web"), blockers=(6, 2)) == [2]
    assert taken(ALL, Request(ABSENT, blocking=True)) == []


def test_pids_that_are_not_there_are_told() -> None:
    assert choice(ALL, Request(ABSENT, pids=frozenset({3, 99, 98})), LAX).absent_pids == (98, 99)


def test_our_own_sessions_are_not_even_mentioned_unless_named() -> None:
    plan = choice([row(1, own=True, application="oncall")], Request(ABSENT, user="app"), LAX)
    assert (plan.take, plan.refused) == ((), ())


@pytest.mark.parametrize(
    ("number", "asked", "rules", "over"),
    [
        (4, {"user": "app"}, {"max_sessions": 4, "max_percent": 100}, None),
        (4, {"user": "app"}, {"max_sessions": 3, "max_percent": 100}, "4 sessions, more than max_sessions=3"),
        (4, {"user": "app"}, {"max_percent": 40}, None),
        (4, {"user": "app"}, {"max_percent": 39.9}, "4 of 10 client sessions, more than max_percent=39.9"),
        (1, {"user": "app"}, {"max_percent": 0}, "1 of 10"),
        (0, {"user": "app"}, {"max_percent": 0}, None),
        (2, {"pids": frozenset({0, 1})}, {"max_percent": 1}, None),  # each of them was named
        (2, {"pids": frozenset({0, 1})}, {"max_sessions": 1}, "max_sessions=1"),
    ],
)
def test_caps(number: int, asked: Dict[str, Any], rules: Dict[str, Any], over: Optional[str]) -> None:
    rows = [row(pid, user="app" if pid < number else "other") for pid in range(10)]
    rows += [row(100, backend_type="walsender"), row(101, own=True)]  # nobody's clients
    plan = choice(rows, Request(ABSENT, **asked), Rules(**rules))
    assert plan.over == over if over is None else over in str(plan.over)


def test_something_must_be_asked_for() -> None:
    assert not Request(ABSENT).names_something()
    given: List[Dict[str, Any]] = [{"pids": frozenset()}, {"blocking": True}, {"user": ""}, {"idle_seconds": 0.0}]
    for asked in given:
        assert Request(ABSENT, **asked).names_something()


@pytest.mark.parametrize("task", ["VACUUM", "CREATE INDEX CONCURRENTLY", "a base backup"])
def test_maintenance_and_backups_are_stopped_by_pid_only(task: str) -> None:
    one = row(1, state="active", query_seconds=900.0, task=task, application="backup.sh")
    for request in (
        Request(ABSENT, user="app"),
        Request(ABSENT, application="backup.sh"),
        Request(CANCELLED, query_seconds=300.0),
    ):
        plan = choice([one], request)
        assert plan.take == () and "is running %s;" % task in plan.refused[0][1]
    assert choice([one], Request(CANCELLED, pids=frozenset({1}))).take == (one,)


# --- by process titles ------------------------------------------------------------------------------------------------


def titled(pid: int, title: str, started: int = 0, age_seconds: float = 3600, programs: Tuple[str, ...] = ()) -> Titled:
    (backend,) = titles.backends([{"pid": pid, "state": "S", "title": "postgres: " + title}])
    return Titled(backend, "postgres: " + title, started, age_seconds, programs)


TITLES = [
    titled(1, "app shop 10.0.0.7(1) SELECT", 1),
    titled(2, "web shop 10.0.1.1(2) idle", 2),
    titled(3, "app shop 10.0.0.7(3) idle in transaction", 3),
    titled(4, "app shop 10.0.0.7(4) idle", 5),
    titled(5, "app shop 10.0.0.7(5) idle", 4, 100),
    titled(6, "postgres postgres [local] idle", 0),
    titled(7, "barman postgres 10.0.2.1(7) idle", 0),
    titled(8, "app shop 10.0.0.7(8) idle in transaction (aborted)", 9),
    titled(9, "app shop 10.0.0.7(9) authentication", 9),
    titled(10, "app shop 10.0.0.7(10) COMMIT waiting for 0/3000148", 0),
    titled(11, "app shop 10.0.0.9(11) idle", 0),  # the role's, from where no client is
]
ONLY_ROLE = Declared("app", "shop-api")  # where from is not known


@pytest.mark.parametrize(
    ("asked", "rules", "expected", "refused"),
    [
        # idle first, the oldest first; then aborted, then in a transaction
        ({"pids": frozenset(range(20))}, {"clients": (SHOP,)}, [5, 4, 8, 3], [1, 2, 6, 7, 9, 10, 11]),
        ({"session_states": ("idle",)}, {}, [], [2, 4, 5, 6, 7, 11]),  # no client is declared: a pg_dump looks alike
        ({"session_states": ("idle",)}, {"clients": (ONLY_ROLE,)}, [], [2, 4, 5, 6, 7, 11]),
        ({"session_states": ("idle",), "idle_seconds": 1800.0}, {"clients": (SHOP,)}, [4], [2, 6, 7, 11]),
        ({"idle_seconds": 1800.0, "user": "app"}, {"clients": (SHOP,)}, [4, 8, 3], [11]),
        ({"idle_seconds": 7200.0}, {"clients": (SHOP,)}, [], []),  # nobody can be that idle
        ({"user": "postgres"}, {"clients": (ROOTED,)}, [], [6]),  # not from there
        ({"user": "postgres"}, {"clients": (Declared("postgres", "shop-api", here=True),)}, [], [6]),  # the socket
        ({"session_states": ("idle",), "application": "shop-api"}, {"clients": (SHOP,)}, [5, 4], [2, 6, 7, 11]),
        ({"session_states": ("idle",), "application": "other"}, {"clients": (SHOP,)}, [], [2, 4, 5, 6, 7, 11]),
        ({"user": "app"}, {"clients": (SHOP,), "protect_users": ("app",)}, [5, 4, 8, 3], [1, 9, 10, 11]),
        ({"database": "shop"}, {"clients": (SHOP,), "protect_users": ("app",)}, [], [1, 2, 3, 4, 5, 8, 9, 10, 11]),
        # at work only where that is asked for; one that waits for a standby never
        ({"session_states": ("active",)}, {"clients": (SHOP,)}, [1], [10]),
        ({"client_address": "10.0.1.0/24"}, {"clients": (SHOP,)}, [], [2]),
        ({"database": "nowhere"}, {"clients": (SHOP,)}, [], []),
        ({"session_states": ("idle",), "only_clients": True}, {"clients": (SHOP,)}, [5, 4], []),
    ],
)
def test_whose_slot_is_freed(
    asked: Dict[str, Any], rules: Dict[str, Any], expected: List[int], refused: List[int]
) -> None:
    chosen = choose(TITLES, Request(ABSENT, **asked), Rules(**rules))
    assert [one.backend.pid for one in chosen.take] == expected
    assert sorted(one.backend.pid for one, _unused in chosen.refused) == refused


@pytest.mark.parametrize(
    ("address", "programs", "reason"),
    [
        ("10.0.0.7(1)", (), None),
        ("10.0.0.7(1)", ("gunicorn",), None),
        ("10.0.0.7(1)", ("pg_dump",), "pg_dump, the name of a protected application"),  # in the client's container
        ("10.0.0.7(1)", ("psql",), "which a person uses"),
        ("127.0.0.1(1)", ("gunicorn",), None),
        ("::1(1)", ("gunicorn",), None),
        ("127.0.0.1(1)", (), "cannot be identified"),
        ("127.0.0.1(1)", ("pgbackrest",), "protected application"),
        ("127.0.0.1(1)", ("psql",), "which a person uses"),
        ("[local]", (), "from the Unix socket"),
        ("10.9.9.9(1)", ("gunicorn",), "from 10.9.9.9"),
    ],
)
def test_who_may_hide_behind_a_title(address: str, programs: Tuple[str, ...], reason: Optional[str]) -> None:
    one = titled(1, "app shop %s idle" % address, programs=programs)
    here = Declared("app", "shop-api", here=True)
    chosen = choose([one], Request(ABSENT, user="app"), Rules((SHOP, here)))
    if reason is None:
        assert chosen.take == (one,)
    else:
        assert chosen.take == () and reason in chosen.refused[0][1]


def test_what_is_counted() -> None:
    rows = (row(1), row(2), row(3, user="root", superuser=True), row(4, backend_type="walsender"), row(5, own=True))
    looked = Looked(rows, 97, {"app": 5, "root": 1, "web": 3}, {"shop": 10})
    assert counted(looked, ("app", "root", None), ("shop", "other")) == {
        "server": (3, 97),
        "role app": (2, 5),
        "database shop": (3, 10),
    }


@pytest.mark.parametrize(
    ("counted", "percent", "number"),
    [
        ([(17, 17)], 80, 4),  # 13 of 17 are 76 %, 14 are 82 %
        ([(13, 17)], 80, 0),
        ([(17, 17)], 0, 17),
        ([(17, 17)], 100, 0),
        ([(18, 17)], 100, 1),
        ([(50, 97), (5, 5)], 80, 1),  # the role's own limit
        ([(97, 97), (5, 5)], 80, 20),
        ([(2, 0)], 80, 2),  # CONNECTION LIMIT 0
    ],
)
def test_how_many_sessions_have_to_go(counted: List[Tuple[int, int]], percent: float, number: int) -> None:
    assert needed(counted, percent) == number


def test_as_many_as_it_takes_are_those_of_clients_that_are_idle_longest() -> None:
    rules = Rules(clients=(SHOP,), max_percent=100)
    rows = [
        row(1, state_seconds=1.0),
        row(2, state_seconds=30.0),
        row(3, state_seconds=20.0),
        row(4, state_seconds=900.0, application="report", client_address="10.0.0.9"),
        row(5, state="active", state_seconds=900.0),
    ]
    request = Request(ABSENT, session_states=("idle",), only_clients=True)
    for at_most, pids in ((0, []), (2, [2, 3]), (9, [2, 3, 1])):
        assert [one["pid"] for one in choice(rows, request, rules, at_most).take] == pids
    assert choice(rows, request, Rules(max_percent=100), 9).take == ()


def test_a_state_may_be_given_as_one_word() -> None:
    assert states(["idle", "idle_in_transaction"]) == ("idle", "idle in transaction")
