# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools of another size: what is to be changed, what is refused, and what is said of it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OptionsError, RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.options import TARGET
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.budget import Pool, Room
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.client_pool.plan import (
    Held,
    Plan,
    Request,
    Seen,
    decide,
    needed,
    planned,
    requested,
    shared,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.client_pool.run import (
    OPTIONS as CLIENT_POOL,
)
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.checking import check

from .facts import change, client, healthy, sql

OPTIONS: Dict[str, Any] = {
    "services": None,
    "service": "postgres",
    "env_file": "/srv/.env",
    "pool_size": 10,
    "max_overflow": 20,
    "pool_timeout_seconds": 30,
    "pool_recycle_seconds": 3600,
    "pool_pre_ping": True,
    "names": None,
    "allow_over_budget": False,
}
VALUES = {
    "DATABASE_POOL_SIZE": "10",
    "DATABASE_MAX_OVERFLOW": "20",
    "DATABASE_POOL_TIMEOUT": "30",
    "DATABASE_POOL_RECYCLE": "3600",
    "DATABASE_POOL_PRE_PING": "True",
}
TEXT = "# by hand\nDATABASE_POOL_SIZE=5 # x\nDB=y\n"
DONE = TEXT.replace("=5", "=10") + "".join("%s=%s\n" % each for each in list(VALUES.items())[1:])
ROOM = Room(87, "max_connections 100", (Pool("api", 10, 20, 2),))


def request(**options: Any) -> Request:
    return requested({**OPTIONS, **options}, ["api", "worker"])


def seen(text: str = TEXT, held: Optional[Dict[str, str]] = None, **more: Any) -> Seen:
    values = {**VALUES, "DATABASE_POOL_SIZE": "5"} if held is None else held
    containers = [Held("api", "api-1", values), Held("api", "api-2", VALUES)]
    return Seen(text, **{"containers": containers, "rooms": [ROOM], "given": {"api": VALUES}, **more})


def api(**options: Any) -> Request:
    return request(services=["api"], **options)


def plan(text: str = TEXT, held: Optional[Dict[str, str]] = None, **more: Any) -> Plan:
    return decide(api(), seen(text, held, **more))


def test_the_runbooks_values_under_their_names() -> None:
    assert request().values == VALUES
    assert list(request().services) == ["api", "worker"]


def test_other_names() -> None:
    names = {"pool_size": "DB_SIZE", "max_overflow": None, "pool_recycle_seconds": "", "pool_pre_ping": "PING"}
    found = request(names=names, pool_pre_ping=False).values
    assert found == {
        "DB_SIZE": "10",
        "DATABASE_MAX_OVERFLOW": "20",
        "DATABASE_POOL_TIMEOUT": "30",
        "PING": "False",
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pool_size": 0}, "pool_size is 0: it must be at least 1"),
        ({"max_overflow": -1}, "max_overflow is -1: it must be at least 0"),
        ({"pool_recycle_seconds": -2}, "pool_recycle_seconds is -2"),
        ({"names": {"pool_size": "A B"}}, "names.pool_size is A B, which is no name"),
        ({"names": {"pool_size": "X", "max_overflow": "X"}}, "names gives X twice"),
        ({"names": dict.fromkeys(list(OPTIONS)[3:8], "")}, "names leaves out every variable"),
        ({"services": []}, "services is empty"),
        ({"services": ["db"]}, "services names db, which clients does not declare"),
        ({"service": "api"}, "api is the server itself"),
    ],
)
def test_options_that_make_no_sense(options: Dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError) as raised:
        request(**options)
    assert says in str(raised.value)


def test_file_and_containers() -> None:
    found = plan()
    assert (found.text, found.recreate) == (DONE, ["api"])
    assert list(found.variables)[:2] == [("DATABASE_POOL_SIZE", "5", "10"), ("DATABASE_MAX_OVERFLOW", None, "20")]
    assert "DB=y" not in repr(found)


def test_what_is_so_already_is_left_alone() -> None:
    assert plan(DONE, VALUES, given=None).empty
    assert not needed(api(), DONE, seen(held=VALUES).containers)
    assert needed(api(), TEXT, seen(held=VALUES).containers) and needed(api(), DONE, seen().containers)
    only_file, only_containers = plan(held=VALUES), plan(DONE, {})
    assert (only_file.text, only_file.recreate) == (DONE, [])
    assert (only_containers.text, only_containers.recreate) == (None, ["api"])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"containers": []}, "api has no container. Create it from its Compose file: docker compose up -d api."),
        ({"unknown": ["cron"]}, "clients: [{service: cron, pool: {size: N, overflow: M}}]"),
        (
            {"rooms": [Room(50, "max_connections 63", (Pool("api", 10, 20, 2), Pool("worker", 5, 0, 1)))]},
            "The pools do not fit. api 2 x (10 + 20) = 60, worker 1 x (5 + 0) = 5: 65 of 50 connections "
            "(max_connections 63). The largest pool that fits for api: pool_size 7, max_overflow 15.",
        ),
        (
            {"rooms": [Room(5, "x", (Pool("api", 10, 20, 2), Pool("worker", 5, 0, 1)))]},
            "No pool fits for api: make the others smaller, or max_connections larger.",
        ),
        (
            {"given": {"api": {**VALUES, "DATABASE_POOL_SIZE": "5"}}},
            "write under environment of api: DATABASE_POOL_SIZE: ${DATABASE_POOL_SIZE}. Bring it up once",
        ),
        ({"text": "DATABASE_POOL_SIZE=postgres://u:p@h/d\n"}, "DATABASE_POOL_SIZE of /srv/.env is neither a number"),
    ],
)
def test_refused(more: Dict[str, Any], says: str) -> None:
    with pytest.raises(RefusedError) as refused:
        plan(**more)
    assert says in str(refused.value) and "u:p" not in str(refused.value)


def test_a_service_that_reads_the_whole_file_is_judged_when_it_is_written() -> None:
    assert plan(given={"api": {}}, direct=["api"]).text == DONE


def test_a_default_is_not_shown() -> None:
    found = plan("DATABASE_POOL_SIZE=${SIZE:-secret}\n")
    assert next(iter(found.variables)) == ("DATABASE_POOL_SIZE", "a variable", "10")


def test_the_pools_that_are_to_be() -> None:
    """Containers that are made anew are started, stopped ones too; the other services are as they are."""
    clients = [client("api"), client("api"), client("worker")]
    change(clients[1], state="exited")
    change(clients[2], state="exited")
    facts = healthy(lambda facts: change(facts, clients=clients))
    rooms, unknown, _others = shared(planned(facts["clients"], request(), {}), None, sql(facts), 10)
    assert str(rooms[0]).startswith("api 2 x (10 + 20) = 60, worker 1 x (10 + 20) = 30: 90 of 87 ") and not unknown
    rooms, unknown, _others = shared(planned(facts["clients"], api(), {"api": 3}), None, sql(facts), 10)
    assert rooms[0].most == 90 and not unknown
    change(clients[2], state="running")
    assert shared(planned(facts["clients"], api(), {}), None, sql(facts), 10)[1] == ["worker"]
    change(sql(facts), pooled=True)
    assert shared(planned(facts["clients"], api(), {}), None, sql(facts), 10) == ((), (), ())
    assert "pooler" in plan(rooms=[]).warnings[0]


def test_who_logs_in_to_a_pooler_is_not_in_the_budget() -> None:
    facts = healthy(lambda facts: change(facts, clients=[client("api"), client("worker")]))
    for one in facts["clients"]:
        change(one["login"], host="pgbouncer", port=6432)
        change(one["resolution"], addresses=["172.18.0.9"])
    rooms, unknown, others = shared(planned(facts["clients"], api(pool_size=500), {}), facts["server"], sql(facts), 10)
    assert rooms[0].most == 0 and not unknown  # nor is the pool of worker, which is not known
    found = plan(rooms=rooms, unknown=unknown, others=others)
    assert found.text == DONE and next(iter(found.warnings)) == (
        "not in the budget: api logs in to pgbouncer:6432, which is no address of the server, so a pooler's size counts"
    )


def test_pools_that_are_better_than_those_of_now_and_still_do_not_fit() -> None:
    """Refused with the way out, and taken where that is asked for: two services get there one after the other."""

    def room(most: int) -> Room:
        return Room(50, "max_connections 63", (Pool("api", most // 2, 0, 2), Pool("worker", 40, 0, 1)))

    with pytest.raises(RefusedError, match="Now it is 100, which is no better: allow_over_budget takes it"):
        plan(rooms=[room(40)], now=[room(60)])
    allowed = api(allow_over_budget=True)
    for now in (60, 40):  # and the second run finds it as it is to be
        found = decide(allowed, seen(rooms=[room(40)], now=[room(now)]))
        assert found.text == DONE and "the pools still do not fit: api 2 x (20 + 0) = 40, worker" in found.warnings[0]
        assert found.warnings[0].endswith("80 of 50 connections (max_connections 63); before: %d" % (now + 40))
    for known in ([room(38)], []):  # worse than now, or not known
        with pytest.raises(RefusedError) as refused:
            decide(allowed, seen(rooms=[room(40)], now=known))
        assert "allow_over_budget" not in str(refused.value)


def test_a_room_of_others_alone_is_no_reason_to_refuse() -> None:
    job = Room(5, "CONNECTION LIMIT of role job", (Pool("worker", 10, 0, 1, "job"),))
    assert plan(rooms=[ROOM, job]).text == DONE


@pytest.mark.parametrize(
    ("value", "says"), [(-1, []), ("-1", []), (-2, ["pool_recycle_seconds is -2. It must be at least -1."])]
)
def test_never_is_a_time_after_which_to_replace_a_connection(value: Any, says: List[str]) -> None:
    """-1, which the task's check on the controller lets through."""
    found = check(TARGET + CLIENT_POOL, {"project": "shop", "env_file": "/srv/.env", "pool_recycle_seconds": value})
    assert [one.text for one in found.problems] == says
