# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All pools of the clients against the slots that there are for them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.pool import resolve_pool
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.budget import (
    Pool,
    Room,
    findings,
    largest,
    pools,
    rooms,
    split,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import ClientFacts, Facts

from .facts import change, client, healthy, set_login, sql


def pooled(service: str, size: int, overflow: int, replicas: Optional[int] = None, **more: Any) -> ClientFacts:
    found = client(service)
    change(found, pool={"size": size, "overflow": overflow, "replicas": replicas, "source": "options"}, **more)
    return found


def shop(*clients: ClientFacts) -> Facts:
    """97 usable slots; everybody is role app of database shop."""
    return healthy(lambda facts: change(facts, clients=list(clients)))


def summaries(facts: Facts, **thresholds: Any) -> List[str]:
    return [one.summary for one in findings(facts, sql(facts), Thresholds(**thresholds))]


@pytest.mark.parametrize(
    ("option", "env", "found"),
    [
        ({}, {"DATABASE_POOL_SIZE": "10", "DATABASE_MAX_OVERFLOW": "20"}, (10, 20, None, "DATABASE_POOL_SIZE")),
        ({}, {"DB_POOL_SIZE": "5"}, (5, 0, None, "DB_POOL_SIZE")),
        ({}, {"DATABASE_POOL_SIZE": "", "SQLALCHEMY_POOL_SIZE": "7"}, (7, 0, None, "SQLALCHEMY_POOL_SIZE")),
        ({}, {"DATABASE_POOL_SIZE": "5", "DATABASE_MAX_OVERFLOW": ""}, (5, 0, None, "DATABASE_POOL_SIZE")),
        ({"replicas": 4}, {"DATABASE_POOL_SIZE": "5"}, (5, 0, 4, "DATABASE_POOL_SIZE")),
        ({"size": 3, "overflow": 1}, {"DATABASE_POOL_SIZE": "10"}, (3, 1, None, "options")),
        ({"size": 3}, {}, (3, 0, None, "options")),
        ({"replicas": 4}, {}, None),
        ({}, {"DATABASE_POOL_SIZE": "0"}, None),
        ({}, {"DATABASE_POOL_SIZE": "5", "DATABASE_MAX_OVERFLOW": "-1"}, None),
        ({}, {"DATABASE_POOL_SIZE": "many"}, None),
        ({}, {}, None),
    ],
)
def test_what_a_client_says_of_its_pool(
    option: Mapping[str, Any], env: Mapping[str, str], found: Optional[Tuple[int, int, Optional[int], str]]
) -> None:
    pool = resolve_pool(option, env)
    assert (tuple(pool.values()) if pool else None) == found


def test_replicas_are_running_containers_unless_declared() -> None:
    clients = [
        pooled("api", 10, 20),
        pooled("api", 10, 20),
        pooled("api", 10, 20, state="exited"),
        pooled("worker", 5, 0, 3),
        pooled("cron", 1, 0, 0),
        client("report"),
        client("down"),
    ]
    change(clients[-1], state="exited")
    known, unknown = pools(clients)
    assert [str(one) for one in known] == [
        "api 2 x (10 + 20) = 60",
        "worker 3 x (5 + 0) = 15",
        "cron 0 x (1 + 0) = 0",
    ]
    assert unknown == ["report"]


def test_declared_replicas_count_once() -> None:
    """Those of the service: containers differ while the pools are changed, and one that is stopped has no login."""
    clients = [pooled("api", 10, 20, 4), pooled("api", 5, 5, 4), pooled("api", 5, 5, 4, state="exited", login=None)]
    assert [str(one) for one in pools(clients)[0]] == ["api 4 x (10 + 20) = 120"]
    assert [str(one) for one in pools(clients[2:])[0]] == ["api 4 x (5 + 5) = 40"]


def test_a_pooler_in_the_servers_own_network_namespace() -> None:
    facts = shop(pooled("api", 500, 0), pooled("worker", 88, 0))
    change(facts["clients"][0]["login"], port=6432)
    (found,) = findings(facts, sql(facts), Thresholds())
    assert found.summary == "Client pools may open 88 connections; there is room for 87"
    assert "not counted: api logs in to postgres:6432, while the server listens on port 5432" in found.evidence


@pytest.mark.parametrize(
    ("clients", "thresholds", "says"),
    [
        ([], {}, []),
        ([client()], {}, []),
        ([pooled("api", 10, 20, 2), pooled("worker", 27, 0)], {}, []),
        (
            [pooled("api", 10, 20, 2), pooled("worker", 28, 0)],
            {},
            ["Client pools may open 88 connections; there is room for 87"],
        ),
        ([pooled("api", 10, 20, 2), pooled("worker", 28, 0)], {"pool_reserve": 9}, []),
        (
            [pooled("api", 1, 0)],
            {"pool_reserve": 500},
            ["Client pools may open 1 connections; there is room for 0"],
        ),
    ],
)
def test_the_servers_slots(clients: List[ClientFacts], thresholds: Dict[str, Any], says: List[str]) -> None:
    assert summaries(shop(*clients), **thresholds) == says


def test_the_sum_is_written_out_with_what_is_not_in_it() -> None:
    facts = shop(pooled("api", 10, 20, 3), pooled("worker", 5, 0), client("report"))
    (found,) = findings(facts, sql(facts), Thresholds())
    assert (found.code, found.severity) == ("pool_budget_exceeded", "warning")
    assert found.evidence == (
        "api 3 x (10 + 20) = 90, worker 1 x (5 + 0) = 5: 95 of 87 connections (max_connections 100, less 3 reserved "
        "for superusers and others, less pool_reserve 10)",
        "not counted, since their pools are not known: report",
    )


def test_reserved_connections_count() -> None:
    facts = shop(pooled("api", 87, 0))
    assert summaries(facts) == []
    change(sql(facts)["connections"], reserved=1)
    assert len(summaries(facts)) == 1


@pytest.mark.parametrize("kind", ["roles", "databases"])
def test_the_limit_of_a_role_or_database(kind: str) -> None:
    name = {"roles": "app", "databases": "shop"}[kind]
    facts = shop(pooled("api", 10, 5), pooled("worker", 5, 1))
    set_login(user="app", database="shop")(facts)
    change(sql(facts)["limits"], **{kind: [{"name": name, "limit": 20, "used": 3}]})
    (found,) = findings(facts, sql(facts), Thresholds())
    assert found.summary == "Client pools may open 21 connections; there is room for 20"
    assert found.evidence[0].endswith("(CONNECTION LIMIT of %s %s)" % (kind[:-1], name))
    set_login(**{kind[:-1].replace("role", "user"): "other"})(facts)
    assert findings(facts, sql(facts), Thresholds()) == []


def test_behind_a_pooler_nothing_is_said() -> None:
    facts = shop(pooled("api", 1000, 0))
    assert len(summaries(facts)) == 1
    change(sql(facts), pooled=True)
    assert summaries(facts) == []


@pytest.mark.parametrize(
    ("host", "addresses", "counts"),
    [
        ("pgbouncer", ["172.18.0.9"], False),
        ("172.18.0.9", ["172.18.0.9"], False),
        ("postgres", ["172.18.0.9"], True),  # the server's own name, which leads astray
        ("db", ["172.18.0.2"], True),
        ("gone", [], True),  # not known
    ],
)
def test_pools_that_lead_to_a_pooler_do_not_count(host: str, addresses: List[str], counts: bool) -> None:
    facts = shop(pooled("api", 90, 0), pooled("worker", 88, 0))
    (api, _worker) = facts["clients"]
    change(api["login"], host=host)
    change(api["resolution"], addresses=addresses)
    (found,) = findings(facts, sql(facts), Thresholds())
    said = "not counted: api logs in to %s:5432, which is no address of the server" % host
    assert (found.evidence[0].startswith("api 1 x (90 + 0) = 90"), said in found.evidence) == (counts, not counts)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.integers(1, 4)), min_size=1, max_size=6),
    st.integers(0, 120),
    st.integers(0, 40),
)
def test_the_largest_pool_fits_and_one_more_does_not(rows: List[Tuple[str, int, int]], slots: int, limit: int) -> None:
    known = [Pool(service, most, 0, replicas, service) for service, most, replicas in rows]
    mine = known[0].service

    def having(most: int) -> List[Room]:
        changed = [Pool(one.service, most if one.service == mine else one.size, 0, one.replicas) for one in known]
        own = [one for one in changed if one.service == mine]
        return [Room(slots, "", tuple(changed)), Room(limit, "", tuple(own))]

    most = largest(having(0), [mine])
    others = sum(one.most for one in known if one.service != mine)
    assert most == 0 or all(room.fits for room in having(most))
    assert others > slots or not all(room.fits for room in having(most + 1))


@given(st.integers(0, 200), st.integers(1, 50), st.integers(0, 50))
def test_the_largest_pool_is_split_in_proportion(most: int, size: int, overflow: int) -> None:
    kept, more = split(most, size, overflow)
    assert kept + more == most and more >= 0 and (kept >= 1 or not most)
    assert split(size + overflow, size, overflow) == (size, overflow)


def test_rooms_are_in_order() -> None:
    facts = shop(pooled("api", 1, 0))
    change(sql(facts)["limits"], roles=[{"name": "app", "limit": 2, "used": 0}, {"name": "x", "limit": 1, "used": 0}])
    found = rooms(sql(facts), pools(facts["clients"])[0], 10)
    assert [room.slots for room in found] == [87, 2]
