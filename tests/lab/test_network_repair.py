# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers put back on their network for real, and all that is not the project's left as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .driving import LIGHT, Engine, everything, module
from .faults import detached, filtered, lost_alias
from .images import image
from .remedy import carry_out
from .stack import SECRETS, Stack, docker, playbook, run, wait_for, write_inventory


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("lab-netrepair") as made:
        made.up({"services": LIGHT}, scale=2)
        yield made


@pytest.fixture(autouse=True)
def as_it_was(stack: Stack) -> Iterator[None]:
    yield
    stack.netns("iptables", "-w", "-F", "OUTPUT", service="api")
    for service in ("api", "postgres"):
        for name in stack.names(service):
            if service not in aliases(stack, name):
                docker("network", "disconnect", stack.network(), name, check=False)
                docker("network", "connect", "--alias", service, stack.network(), name)


def aliases(stack: Stack, name: str) -> list[str]:
    found = stack.inspect(name)["NetworkSettings"]["Networks"].get(stack.network()) or {}
    return sorted(found.get("Aliases") or [])


def whole(stack: Stack) -> bool:
    return all(service in aliases(stack, name) for service in ("api", "postgres") for name in stack.names(service))


def kinds(result: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(step["kind"], step["container"]) for step in result["steps"]]


def test_nothing_to_do(stack: Stack) -> None:
    before = everything(stack)
    for options in ({}, {"recreate": True}, {"networks": ["default"]}):
        result = module(stack, "network", **options)
        assert not result["changed"] and result["steps"] == [] and result["diff"]["before"] == result["diff"]["after"]
        assert everything(stack) == before
    assert module(stack, "network")["source"] == "compose file"


@pytest.mark.parametrize("fault", ["client", "server", "both"])
def test_detached(stack: Stack, fault: str) -> None:
    lost = {"client": [stack.names("api")[1]], "server": [stack.name()]}.get(fault, [stack.name(), *stack.names("api")])
    for name in lost:
        docker("network", "disconnect", stack.network(), name)
    before = everything(stack)
    planned = module(stack, "network", check=True)
    assert everything(stack) == before
    result = module(stack, "network")
    assert not result["failed"], result["msg"]
    assert sorted(kinds(result)) == sorted(("connect", name) for name in lost) == sorted(kinds(planned))
    assert (planned["changed"], planned["diff"]) == (result["changed"], result["diff"]) and result["changed"]
    assert whole(stack) and result["detail"].startswith("reached from")
    after = everything(stack)
    for name in lost:
        assert stack.inspect(name)["Id"][:12] in aliases(stack, name)
    for id, one in before.items():  # nobody was restarted, nobody else was touched
        if "State" in one:
            assert after[id]["State"] == one["State"]
            if one["Name"].lstrip("/") not in lost:
                assert after[id]["NetworkSettings"] == one["NetworkSettings"]
    assert not module(stack, "network")["changed"]


def test_detached_and_no_compose_file_to_read(stack: Stack) -> None:
    """The labels name files that are not here: what the container was created with says where it belongs."""
    with Engine(stack.work, tcp=True) as engine:
        detached("api")(stack)
        result = module(stack, "network", docker_host=engine.docker_host)
    assert not result["failed"] and result["source"] == "labels" and whole(stack)


def test_lost_name(stack: Stack) -> None:
    lost_alias(stack)
    assert "postgres" not in aliases(stack, stack.name())
    before, others = everything(stack), [stack.inspect(name)["NetworkSettings"] for name in stack.names("api")]
    planned = module(stack, "network", check=True)
    assert everything(stack) == before and kinds(planned) == [("reconnect", stack.name())]
    result = module(stack, "network")
    assert kinds(result) == kinds(planned) and result["diff"] == planned["diff"] and whole(stack)
    assert [stack.inspect(name)["NetworkSettings"] for name in stack.names("api")] == others
    assert stack.state()["StartedAt"] == before[stack.inspect()["Id"]]["State"]["StartedAt"]


def test_a_lost_name_that_nobody_misses_breaks_no_connection(stack: Stack) -> None:
    lost_alias(stack)
    before = everything(stack)
    clients = [dict(stack.target()["clients"][0], login={"host": stack.name()})]
    result = module(stack, "network", clients=clients)
    assert not result["changed"] and everything(stack) == before


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (("-j", "DROP"), "drops the packets"),
        (("-j", "REJECT", "--reject-with", "tcp-reset"), "refuses the connection"),
        (("-m", "statistic", "--mode", "random", "--probability", "0.6", "-j", "DROP"), "packets get lost"),
    ],
)
def test_a_packet_filter_is_not_ours(stack: Stack, rule: tuple[str, ...], says: str) -> None:
    filtered(*rule)(stack)
    before = everything(stack)
    result = module(stack, "network")
    assert result["failed"] and says in result["msg"] and "firewall" in result["msg"]
    assert everything(stack) == before


def test_a_wrong_name_in_the_settings_is_not_ours(stack: Stack) -> None:
    before = everything(stack)
    clients = [dict(stack.target()["clients"][0], login={"host": "postgers"})]
    for options in ({}, {"recreate": True}):
        result = module(stack, "network", clients=clients, **options)
        assert result["failed"] and "cannot resolve postgers" in result["msg"] and "application's team" in result["msg"]
    assert everything(stack) == before


def test_a_foreign_network_is_never_touched(stack: Stack) -> None:
    foreign = stack.project + "_foreign"  # the name alone makes nothing the project's
    docker("network", "create", foreign)
    try:
        before = docker("network", "inspect", foreign), everything(stack)
        result = module(stack, "network", networks=[foreign])
        assert result["failed"] and "does not belong to project" in result["msg"]
        assert (docker("network", "inspect", foreign), everything(stack)) == before
    finally:
        docker("network", "rm", foreign)


def test_recreate(stack: Stack) -> None:
    """The engine's own rules were flushed: the bridge takes no packet. The network is made anew, and nothing else."""
    bridge = "br-" + json.loads(docker("network", "inspect", stack.network()))[0]["Id"][:12]
    before = everything(stack)
    old = json.loads(docker("network", "inspect", stack.network()))[0]
    addresses = {name: stack.address(name) for name in [stack.name(), *stack.names("api")]}
    run(["ip", "link", "set", bridge, "down"])
    refused = module(stack, "network")
    assert refused["failed"] and "recreate: true" in refused["msg"]
    planned = module(stack, "network", check=True, recreate=True)
    assert kinds(planned) == [("recreate", None)] and docker("network", "inspect", stack.network())
    assert json.loads(docker("network", "inspect", stack.network()))[0]["Id"] == old["Id"]
    result = module(stack, "network", recreate=True)
    assert not result["failed"], result["msg"]
    assert kinds(result) == kinds(planned) and result["diff"] == planned["diff"] and whole(stack)
    new = json.loads(docker("network", "inspect", stack.network()))[0]
    assert new["Id"] != old["Id"]
    for key in ("Name", "Driver", "IPAM", "Internal", "Attachable", "EnableIPv6", "Options", "Labels"):
        assert new[key] == old[key]
    assert {name: stack.address(name) for name in addresses} == addresses
    for id, one in everything(stack).items():
        if "State" in one:
            assert one["State"] == before[id]["State"]


def test_recreate_spares_a_network_that_others_use(stack: Stack) -> None:
    stranger = stack.project + "-stranger"
    docker("run", "-d", "--name", stranger, "--network", stack.network(), image("postgres:17"), "sleep", "9999")
    try:
        filtered("-j", "DROP")(stack)
        before, theirs = everything(stack), docker("inspect", stranger)
        result = module(stack, "network", recreate=True)
        assert result["failed"] and "also used by " + stranger in result["msg"]
        assert (everything(stack), docker("inspect", stranger)) == (before, theirs)
    finally:
        docker("rm", "-f", stranger)


def test_engine_that_goes_away_half_way(stack: Stack) -> None:
    """Taken off, and the engine is gone: what is left to do is said as commands; a second run does it."""
    lost_alias(stack)
    with Engine(stack.work, "/connect ", 0) as engine:
        result = module(stack, "network", docker_host=engine.docker_host)
    assert result["failed"] and result["changed"] and "docker network connect --alias" in result["msg"]
    assert [step["done"] for step in result["steps"]] == [False]
    assert stack.network() not in stack.inspect()["NetworkSettings"]["Networks"]
    result = module(stack, "network")
    assert kinds(result) == [("connect", stack.name())] and whole(stack)


def test_playbook(stack: Stack) -> None:
    """The command that the verdict names, for a client that is cut off: plan, repair, healthy."""
    detached("postgres")(stack)
    verdict = stack.triage()["verdict"]
    assert verdict["remedy"]["playbook"] == "oncall.postgresql.network_repair" and verdict["remedy"]["extra_vars"] == {}
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
    before = everything(stack)
    for words in (("-e", "oncall_plan=true"), ("--check",)):
        done = playbook("oncall.postgresql.network_repair", "-i", str(inventory), "--diff", *words)
        assert done.returncode == 0 and stack.network() in done.stdout and everything(stack) == before, done.stdout
    done = playbook("oncall.postgresql.network_repair", "-i", str(inventory), "-vvv", timeout=180)
    assert done.returncode == 0 and whole(stack), done.stdout
    assert not [secret for secret in SECRETS if secret in done.stdout]
    stack.wait_api()
    wait_for(lambda: stack.triage()["verdict"]["code"] == "healthy", 60)  # its own connection is still broken


def test_none_is_printed_for_a_name_that_the_server_has(stack: Stack) -> None:
    """The engine's DNS does not answer: attaching anew would be refused."""
    stack.netns("iptables", "-w", "-A", "OUTPUT", "-d", "127.0.0.11", "-j", "DROP", service="api")
    before = everything(stack)
    found = stack.triage()["verdict"]
    assert (found["cause"], found["remedy"]) == ("dns_failure", None), found
    assert "although the server has that name" in found["summary"] and "DNS fails" in found["summary"]
    result = module(stack, "network")
    assert result["failed"] and "although the server has that name" in result["msg"], result
    assert everything(stack) == before


def test_none_is_printed_for_a_client_outside_of_the_projects_networks(stack: Stack) -> None:
    """By network_mode: it would be refused."""
    with Stack("lab-aside") as other:
        other.start({"services": {"api": {**LIGHT["api"], "network_mode": "bridge"}}})
        other.wait_ready()
        before = everything(other)
        found = other.triage()["verdict"]
        assert (found["cause"], found["remedy"]) == ("no_shared_network", None), found
        assert "give both a common network in the Compose file" in found["summary"]
        result = module(other, "network")
        assert result["failed"] and "attached as configured, but share no network" in result["msg"], result
        assert everything(other) == before


@pytest.fixture(scope="module")
def edited() -> Iterator[Stack]:
    """A stack whose Compose file is edited after its containers were made."""
    with Stack("lab-netedited") as made:
        made.up({"services": LIGHT})
        yield made


def front(stack: Stack) -> None:
    """The client is on a network of the project that the server is not on, and its Compose file says so."""
    labels = ("com.docker.compose.project=" + stack.project, "com.docker.compose.network=front")
    words = [word for label in labels for word in ("--label", label)]
    docker("network", "create", *words, stack.project + "_front")
    docker("network", "connect", "--alias", "api", stack.project + "_front", stack.name("api"))


def pruned(stack: Stack) -> None:
    docker("network", "disconnect", stack.network(), stack.name())
    docker("network", "rm", stack.network())


@pytest.mark.parametrize(
    ("api", "networks", "more", "says"),
    [
        pytest.param(
            {"networks": {"default": {"ipv4_address": "${API_ADDRESS}"}}},
            {},
            None,
            "takes the address of .*-api-1 on .*_default from a variable, .* docker network connect .*--ip ADDRESS",
            id="an address by variable",
        ),
        pytest.param(
            {},
            {"default": {"external": True, "name": "{project}-external"}},
            lambda stack: docker("network", "create", stack.project + "-external"),
            r"should be on network \S+-external, which does not belong to project .* Tell the owner of that network",
            id="an external network",
        ),
        pytest.param(
            {"networks": ["front"]},
            {"front": {}},
            front,
            r"attached as configured, but share no network .* Give both services a common network in the Compose file",
            id="networks apart in the file",
        ),
        pytest.param({}, {}, pruned, "_default, which does not exist. Let Compose create it", id="pruned"),
    ],
)
def test_none_is_printed_that_would_be_refused(
    edited: Stack, api: Any, networks: Any, more: Callable[[Stack], object] | None, says: str
) -> None:
    named = json.loads(json.dumps(networks).replace("{project}", edited.project))
    as_made = {"services": LIGHT}
    override = {"services": {"api": {**LIGHT["api"], **api}}, "networks": named}
    docker("network", "disconnect", edited.network(), edited.name("api"), check=False)
    if more:
        more(edited)
    try:
        (edited.work / "override.yml").write_text(json.dumps(override))
        before = everything(edited)
        found = edited.triage()["verdict"]
        assert (found["cause"], found["remedy"]) == ("no_shared_network", None), found
        assert re.search(says, found["summary"]), found["summary"]
        result = module(edited, "network")
        assert result["failed"] and result["msg"].startswith(found["summary"]), (found["summary"], result["msg"])
        assert everything(edited) == before
    finally:
        (edited.work / "override.yml").write_text(json.dumps(as_made))
        for name in (edited.project + "_front", edited.project + "-external"):
            docker("network", "rm", "-f", name, check=False)
    if more is pruned:
        edited.compose("up", "-d", "--no-recreate", override=as_made)  # what the summary says
        carry_out(edited, edited.triage()["verdict"]["remedy"]["command"])
        wait_for(lambda: edited.triage()["verdict"]["code"] == "healthy", 60)


def test_none_is_printed_where_the_compose_file_cannot_be_read_in_time(
    edited: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "docker").chmod(0o755)
    detached("api")(edited)
    with monkeypatch.context() as slow:
        slow.setenv("PATH", str(tmp_path), prepend=":")
        found = module(edited, "triage")
    assert found["verdict"]["remedy"] is None, found["verdict"]
    says = "share no network; whether network_repair can reattach them is not known: docker compose did not read"
    assert says in found["verdict"]["summary"]
    assert "in time" in found["facts"]["errors"]["repair_obstacle"]


def test_a_runtime_without_networks(stack: Stack) -> None:
    result = module(stack, "network", runtime="remote", project=None, login_host=stack.address(stack.name()))
    assert result["failed"] and "runtime=remote" in result["msg"]


FIXED: dict[str, Any] = {
    "services": {
        "postgres": {
            "command": ["postgres", "-c", "max_connections=30"],
            "networks": {"default": {"ipv4_address": "10.214.78.5", "aliases": ["store"]}},
        },
        "api": {
            **LIGHT["api"],
            "links": ["postgres:database"],
            "mac_address": "02:aa:bb:cc:dd:ee",
            "ports": ["8000"],
            "networks": {
                "default": {"ipv4_address": "10.214.78.9", "ipv6_address": "fd00:214:78::9", "aliases": ["front"]}
            },
        },
    },
    "networks": {
        "default": {
            "enable_ipv6": True,
            "driver_opts": {"com.docker.network.driver.mtu": "1400"},
            "ipam": {"config": [{"subnet": "10.214.78.0/24"}, {"subnet": "fd00:214:78::/64"}]},
        }
    },
}


@pytest.mark.parametrize("fault", ["detached", "lost name", "recreated"])
def test_links_fixed_addresses_and_names_are_kept(fault: str) -> None:
    with Stack("lab-netkeep") as made:
        made.up(FIXED)
        places = {name: place(made, name) for name in (made.name(), made.name("api"))}
        before = chosen(made)
        assert places[made.name("api")]["links"] and places[made.name("api")]["addresses"]["IPv6Address"]
        if fault == "detached":
            for name in places:
                docker("network", "disconnect", made.network(), name)
        elif fault == "lost name":
            docker("network", "disconnect", made.network(), made.name())
            docker("network", "connect", "--alias", "store", "--ip", "10.214.78.5", made.network(), made.name())
            before = chosen(made)
        else:
            network = json.loads(docker("network", "inspect", made.network()))[0]
            run(["ip", "link", "set", "br-" + network["Id"][:12], "down"])
        planned = module(made, "network", check=True, recreate=fault == "recreated")
        result = module(made, "network", recreate=fault == "recreated")
        assert not result["failed"] and result["changed"], result.get("msg")
        off = {"detached": [], "lost name": [made.name()], "recreated": list(places)}[fault]
        for name, (inside, was) in before.items():
            text = "%s: port %s is published at " % (name, inside)
            assert (text + was + ", which the engine chose" in planned["detail"]) == (name in off), planned["detail"]
            said = text + "%s now, was %s" % (chosen(made)[name][1], was)
            assert (said in result["detail"]) == (name in off and was != chosen(made)[name][1]), result["detail"]
        assert {name: place(made, name) for name in places} == places


def chosen(stack: Stack) -> dict[str, tuple[str, str]]:
    """What the engine publishes where it chose: by container, the port inside and outside."""
    found = {}
    for name, inside in ((stack.name(), "5432/tcp"), (stack.name("api"), "8000/tcp")):
        # One for IPv4 and one for IPv6, which are nearly always the same.
        outside = {str(each["HostPort"]) for each in stack.inspect(name)["NetworkSettings"]["Ports"][inside]}
        found[name] = (inside, " and ".join(sorted(outside)))
    return found


def place(stack: Stack, name: str) -> dict[str, Any]:
    seen = stack.inspect(name)
    found = seen["NetworkSettings"]["Networks"][stack.network()]
    return {
        "names": sorted({*found["Aliases"]} - {seen["Id"][:12], name}),
        "links": sorted(found["Links"] or []),
        "addresses": found["IPAMConfig"],
        "hardware": found["MacAddress"],
        "address": found["IPAddress"],
    }
