# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers are attached to which networks under which names, and what is left to others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.compose_file import read
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.attaching import (
    Decision,
    Trouble,
    decide,
    obstacle,
    trouble_of,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._model.places import (
    Attached,
    Endpoint,
    Net,
    Scene,
    Wanted,
)

NET = "shop_default"
ID = {"db": "d" * 64, "api-1": "a" * 64, "api-2": "b" * 64}


def container(service: str, name: str, *networks: str, mode: str = NET, aliases: Sequence[str] = ()) -> Attached:
    names = tuple(aliases) or (ID[name][:12], service)
    return Attached(service, name, ID[name], "running", mode, tuple(Endpoint(net, names) for net in networks))


def scene(
    server: Optional[Attached] = None,
    clients: Optional[List[Attached]] = None,
    networks: Tuple[Net, ...] = (Net(NET, "default"),),
    wanted: Optional[Mapping[str, Sequence[Wanted]]] = None,
) -> Scene:
    there = [container("api", "api-1", NET)] if clients is None else clients
    server = server or container("postgres", "db", NET)
    return Scene("shop", server, tuple(there), networks, ("bridge", "proxy"), wanted)


def steps(plan: Decision) -> List[Tuple[str, str, str, Tuple[str, ...]]]:
    return [(step.kind, step.container, step.endpoint.network, step.endpoint.aliases) for step in plan.steps]


API = ("connect", "api-1", NET, ("a" * 12, "api"))
DB = ("connect", "db", NET, ("d" * 12, "postgres"))


@pytest.mark.parametrize(
    ("there", "expected", "source"),
    [
        (scene(), [], "labels"),
        (scene(clients=[container("api", "api-1")]), [API], "labels"),
        (scene(container("postgres", "db")), [DB], "labels"),
        # what the container was created with says nothing: its replica does
        (scene(clients=[container("api", "api-1", mode="x"), container("api", "api-2", NET)]), [API], "labels"),
        # nothing says anything: the project's default network
        (scene(clients=[container("api", "api-1", mode="gone")]), [API], "labels"),
        (
            scene(
                clients=[container("api", "api-1")],
                wanted={"postgres": [Wanted(NET)], "api": [Wanted(NET, ("backend",))]},
            ),
            [("connect", "api-1", NET, ("a" * 12, "api", "backend"))],
            "compose file",
        ),
        # a service that the file does not know: then the file is not this project's word
        (scene(clients=[container("api", "api-1")], wanted={"postgres": [Wanted(NET)]}), [API], "labels"),
        (scene(clients=[container("api", "api-1", mode="host")]), [], "labels"),
        (scene(clients=[container("api", "api-1", mode="container:abc")]), [], "labels"),
    ],
)
def test_who_is_attached(there: Scene, expected: List[Any], source: str) -> None:
    plan = decide(there, None)
    assert (steps(plan), plan.source, plan.recreate) == (expected, source, ())


def test_fixed_addresses_come_from_the_compose_file() -> None:
    fixed = Wanted(NET, (), (("IPAMConfig", {"IPv4Address": "10.5.0.9"}),))
    there = scene(container("postgres", "db"), wanted={"postgres": [fixed], "api": [Wanted(NET)]})
    (step,) = decide(there, None).steps
    assert step.endpoint.settings == (("IPAMConfig", {"IPv4Address": "10.5.0.9"}),)


@pytest.mark.parametrize("name", ["back", "shop_back"])
def test_networks_that_were_asked_for(name: str) -> None:
    plan = decide(scene(networks=(Net(NET, "default"), Net("shop_back", "back"))), None, [name])
    assert [(step.container, step.endpoint.network) for step in plan.steps] == [
        ("db", "shop_back"),
        ("api-1", "shop_back"),
    ]


@pytest.mark.parametrize(("name", "says"), [("proxy", "does not belong to project shop"), ("x", "has no network x")])
def test_foreign_networks_that_were_asked_for(name: str, says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        decide(scene(), None, [name])


def test_a_foreign_network_is_left_to_its_owner() -> None:
    wanted = {"postgres": [Wanted(NET)], "api": [Wanted(NET), Wanted("proxy")]}
    plan = decide(scene(clients=[container("api", "api-1")], wanted=wanted), None)
    assert (steps(plan), plan.foreign) == ([API], ("api-1 on proxy",))


APART = Trouble("no_shared_network", ("they share no network",), "postgres", "api-1")
UNKNOWN = Trouble("dns_failure", ("cannot resolve",), "postgres", "api-1")
TYPO = Trouble("dns_failure", ("cannot resolve",), "postgers", "api-1")
TIMEOUT = Trouble("timeout", ("0 of 20 answered",), "postgres", "api-1")
NAMELESS = container("postgres", "db", NET, aliases=["d" * 12])


def test_a_lost_name_is_given_back_only_where_it_is_missed() -> None:
    assert decide(scene(NAMELESS), None).empty
    assert steps(decide(scene(NAMELESS), UNKNOWN)) == [("reconnect", "db", NET, ("d" * 12, "postgres"))]


@pytest.mark.parametrize(
    ("there", "trouble", "more", "says"),
    [
        (Scene("shop", None, (), ()), None, {}, "docker compose up -d"),
        (scene(), TYPO, {}, "not a name of the server.*application's team"),
        (scene(NAMELESS), TYPO, {}, "not a name of the server"),
        (scene(), UNKNOWN, {}, "another container has it too"),
        (scene(), APART, {}, "share no network"),
        (scene(), TIMEOUT, {}, "drops the packets.*firewall.*recreate: true"),
        (scene(), Trouble("refused"), {"recreate_networks": True}, "refuses the connection"),
        (scene(), Trouble("packet_loss"), {"recreate_networks": True}, "packets get lost"),
        (scene(), TYPO, {"recreate_networks": True}, "not a name of the server"),
        (scene(NAMELESS), TIMEOUT, {}, "drops the packets"),
        (
            scene(networks=(Net(NET, "default", ("stranger",)),)),
            TIMEOUT,
            {"recreate_networks": True},
            "also used by stranger",
        ),
        (
            scene(clients=[container("api", "api-1")], wanted={"postgres": [Wanted(NET)], "api": [Wanted("proxy")]}),
            APART,
            {},
            "docker network connect --alias api proxy api-1",
        ),
        (
            scene(clients=[container("api", "api-1")], wanted={"postgres": [Wanted(NET)], "api": [Wanted("gone")]}),
            APART,
            {},
            "does not exist",
        ),
    ],
)
def test_refusals(there: Scene, trouble: Optional[Trouble], more: Dict[str, Any], says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        decide(there, trouble, **more)


def test_recreate_only_as_a_last_resort() -> None:
    assert decide(scene(), TIMEOUT, recreate_networks=True).recreate == (NET,)
    assert decide(scene(), None, recreate_networks=True).empty
    assert decide(scene(clients=[container("api", "api-1")]), TIMEOUT, recreate_networks=True).recreate == ()


def asked(**clients: Dict[str, Any]) -> Dict[str, Any]:
    blank = {"login": {"host": "postgres"}, "resolution": None, "reach": None, "attempt": None}
    rows = [{**blank, "name": name, **facts} for name, facts in clients.items()]
    return {"answer": "no", "cause": "dns_failure", "evidence": ["why"], "clients": rows}


@pytest.mark.parametrize(
    ("answer", "client"),
    [
        (asked(a={}, b={"resolution": {"error": "not_found"}}), "b"),
        (asked(a={"reach": {"outcome": "timeout", "loss_percent": 100}}, b={}), "a"),
        (asked(a={"attempt": {"succeeded": True}}, b={"attempt": {"succeeded": False}}), "b"),
        (asked(a={"login": None, "resolution": {"error": "x"}}), "this host"),
    ],
)
def test_trouble(answer: Dict[str, Any], client: str) -> None:
    trouble = trouble_of(answer)
    assert trouble is not None and trouble.client == client
    assert trouble_of(dict(answer, answer="not_asked")) is None


def test_compose_file() -> None:
    document = {
        "networks": {"default": {"name": "shop_default"}, "back": {"name": "other", "external": True}},
        "services": {
            "postgres": {"networks": {"default": None, "back": {"aliases": ["db"], "ipv4_address": "10.0.0.2"}}},
            "api": {"networks": ["back"], "links": ["postgres:store"], "mac_address": "${MAC}"},
            "cron": {},
            "agent": {"network_mode": "host"},
        },
    }
    assert read(document, "shop") == {
        "postgres": [Wanted("shop_default"), Wanted("other", ("db",), (("IPAMConfig", {"IPv4Address": "10.0.0.2"}),))],
        "api": [
            Wanted("other", links=("postgres:store",), unknown=("MacAddress",), settings=(("MacAddress", "${MAC}"),))
        ],
        "cron": [Wanted("shop_default")],
        "agent": [],
    }


def test_a_link_names_the_containers_of_its_service() -> None:
    wanted = {"postgres": [Wanted(NET)], "api": [Wanted(NET, links=("postgres:store",))]}
    there = replace(
        scene(clients=[container("api", "api-1")], wanted=wanted), members={"postgres": ["shop-postgres-1"]}
    )
    (step,) = decide(there, None).steps
    links = ["shop-postgres-1:postgres-1", "shop-postgres-1:shop-postgres-1", "shop-postgres-1:store"]
    assert dict(step.endpoint.settings) == {"Links": links}


@pytest.mark.parametrize(
    ("unknown", "says"),
    [
        (("IPAMConfig",), "the address of api-1 on shop_default.*connect --alias api --ip ADDRESS shop_default api-1"),
        (("aliases", "links"), "an alias and a link of.*--alias api --alias NAME --link CONTAINER:NAME shop_default"),
        (("MacAddress",), "the MAC address of.*Ask whoever deploys this project to recreate api-1"),
    ],
)
def test_what_takes_a_variable_is_not_left_out(unknown: Tuple[str, ...], says: str) -> None:
    wanted = {"postgres": [Wanted(NET)], "api": [Wanted(NET, unknown=unknown)]}
    there = scene(clients=[container("api", "api-1")], wanted=wanted)
    with pytest.raises(RefusedError, match="takes " + says):
        decide(there, None)
    assert decide(scene(wanted=wanted), None).empty
    found = obstacle(there, asked(api={"resolution": {"error": "not_found"}}))
    assert found is not None and found.startswith("The Compose file takes")
    assert obstacle(replace(there, wanted=None), asked(api={"resolution": {"error": "not_found"}})) is None


def test_a_compose_file_with_a_variable_in_a_name_says_nothing() -> None:
    document = {"networks": {"default": {"name": "${NET}"}}, "services": {"api": {"networks": {"default": None}}}}
    assert read(document, "shop") is None
