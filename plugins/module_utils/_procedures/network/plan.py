# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom to attach where, and why not. Pure: what is attached and what the clients see in, a plan out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import RefusedError
from ..._model import ports
from ..procedure import Change
from .scene import Attached, Endpoint, Scene, Wanted

_SHORT = 12  # characters of a container's id that Compose uses as a name
_ASIDE = ("host", "none", "container:", "service:", "bridge")  # modes in which a container has no place on a network
_NOT_OURS = {
    "refused": "something refuses the connection although the server is listening: a firewall that rejects, or a wrong "
    "port in the client's settings",
    "timeout": "something drops the packets: a firewall, a route, or a host that is down",
    "packet_loss": "packets get lost on the way: the network below the containers",
}


@dataclass(frozen=True)
class Step:
    """``connect`` a detached container, or ``reconnect`` one that lacks its names (its connections there break)."""

    kind: str
    container: str
    id: str
    endpoint: Endpoint


@dataclass(frozen=True)
class Plan:
    steps: Tuple[Step, ...] = ()
    recreate: Tuple[str, ...] = ()  # networks
    expected: Tuple[Tuple[str, Tuple[str, ...]], ...] = ()  # container -> networks it should be on
    source: str = ""  # options | compose file | labels
    foreign: Tuple[str, ...] = ()  # what is missing on networks that are not the project's
    change: Change = field(default_factory=lambda: Change(False))
    project: str = ""
    engine: str = "docker"  # the engine's command
    verify_seconds: float = 15
    began: float = 0  # by the monotonic clock
    ports: Tuple[Tuple[str, Mapping[str, str]], ...] = ()  # by container, what is published where the engine chose

    @property
    def empty(self) -> bool:
        return not self.steps and not self.recreate

    def foreseen(self) -> Change:
        return self.change


@dataclass(frozen=True)
class Trouble:
    """What keeps the clients from the server, as the question ``network`` answers it; ``unresolved``: only a name."""

    cause: str
    evidence: Tuple[str, ...] = ()
    host: str = ""  # the name that the client asks for
    client: str = ""


def decide(
    scene: Scene, trouble: Optional[Trouble], networks: Optional[Sequence[str]] = None, recreate_networks: bool = False
) -> Plan:
    """Whom to attach where. Raises RefusedError for what attaching cannot fix, or must not touch."""
    server = scene.server
    if server is None:
        raise RefusedError(
            "The server's service has no container, so there is nothing to attach",
            "Create it from its Compose file: %s compose up -d SERVICE." % scene.engine,
        )
    expected, source = _expected(scene, networks)
    steps: List[Step] = []
    for one in (server, *scene.clients):
        for endpoint in expected.get(one.name, ()):
            if one.on(endpoint.network) is None:
                steps.append(Step("connect", one.name, one.id, endpoint))
    own = {net.name for net in scene.networks}
    foreign = [step for step in steps if step.endpoint.network not in own]
    steps = [step for step in steps if step.endpoint.network in own]
    left = tuple("%s on %s" % (step.container, step.endpoint.network) for step in foreign)
    known = tuple((name, tuple(endpoint.network for endpoint in row)) for name, row in sorted(expected.items()))
    if not steps and trouble is not None:
        steps = _nameless(server, expected.get(server.name, ()), trouble)
    if steps or trouble is None:
        return Plan(tuple(steps), expected=known, source=source, foreign=left)
    _refuse_foreign(scene, foreign)
    broken = _to_recreate(scene, trouble, expected)
    if not recreate_networks or not broken:
        _refuse(scene, trouble, broken)
    return Plan((), broken, known, source)


def _expected(scene: Scene, networks: Optional[Sequence[str]]) -> Tuple[Dict[str, List[Endpoint]], str]:
    """By container: the places it should have. The option is first, then the Compose file, then what labels tell."""
    containers = [one for one in (scene.server, *scene.clients) if one is not None]
    if networks is not None:
        names = [_by_name(scene, name) for name in networks]
        given = {
            one.name: [_endpoint(scene, one, _wanted(scene, one, name)) for name in names]
            for one in containers
            if _placeable(one)
        }
        return given, "options"
    if scene.wanted is not None and all(one.service in scene.wanted for one in containers):
        rows = {}
        for one in containers:
            if _placeable(one):
                rows[one.name] = [_endpoint(scene, one, wanted) for wanted in scene.wanted[one.service]]
        return rows, "compose file"
    own = {net.name for net in scene.networks}
    defaults = [net.name for net in scene.networks if net.key == "default"] or sorted(own)
    rows = {}
    for one in containers:
        if not _placeable(one):
            continue
        mates = [mate for mate in containers if mate.service == one.service]
        found = {mate.mode for mate in mates} | {place.network for mate in mates for place in mate.endpoints}
        mine = sorted(found & own) or (defaults if len(defaults) == 1 else [])
        rows[one.name] = [_endpoint(scene, one, Wanted(name)) for name in mine]
    return rows, "labels"


def _by_name(scene: Scene, name: str) -> str:
    """A network by its real name, or by its name in the Compose file."""
    for net in scene.networks:
        if name in (net.name, net.key):
            return net.name
    if name in scene.others:
        raise RefusedError(
            "Network %s does not belong to project %s, so nothing is attached to it" % (name, scene.project),
            "By hand: %s network connect --alias SERVICE %s CONTAINER." % (scene.engine, name),
        )
    raise RefusedError(
        "Project %s has no network %s" % (scene.project, name),
        "Its networks: %s." % (", ".join(net.name for net in scene.networks) or "none"),
    )


def _placeable(one: Attached) -> bool:
    return not one.mode.startswith(_ASIDE) and one.mode != "default"


def _wanted(scene: Scene, one: Attached, network: str) -> Wanted:
    known = (scene.wanted or {}).get(one.service) or ()
    return next((each for each in known if each.network == network), Wanted(network))


def _endpoint(scene: Scene, one: Attached, wanted: Wanted) -> Endpoint:
    """Its place as it is now with the names it should have, or the one that Compose would have given it."""
    now = one.on(wanted.network)
    names = {one.service, one.id[:_SHORT], *wanted.aliases, *(now.aliases if now else ())}
    if now is not None:
        return Endpoint(wanted.network, tuple(sorted(names)), now.settings)
    if wanted.unknown:
        raise RefusedError(
            "The Compose file takes %s of %s on %s from a variable, which is not known here"
            % (" and ".join(wanted.unknown), one.name, wanted.network),
            "Attach it by hand: %s network connect (--ip, --link, --alias %s) %s %s."
            % (scene.engine, one.service, wanted.network, one.name),
        )
    links = _links(scene, wanted)
    return Endpoint(wanted.network, tuple(sorted(names)), (*wanted.settings, *((("Links", links),) if links else ())))


def _links(scene: Scene, wanted: Wanted) -> List[str]:
    """As Compose gives them to the engine: each container of a linked service by its alias and both of its names."""
    found = [one if ":" in one else "%s:%s" % (one, one) for one in wanted.external_links]
    for link in wanted.links:
        service, _colon, alias = link.partition(":")
        for name in scene.members.get(service, ()):
            short = name[len(scene.project) + 1 :] if name.startswith(scene.project + "-") else name
            found += ["%s:%s" % (name, each) for each in (alias or service, short, name)]
    return sorted(set(found))


def _nameless(server: Attached, places: Sequence[Endpoint], trouble: Trouble) -> List[Step]:
    """Names cannot be added to a place that a container has: it must be taken off, and its connections break.

    So only where a client is in trouble over exactly such a name.
    """
    if trouble.cause not in ("dns_failure", "no_shared_network"):
        return []
    steps = []
    for place in places:
        now = server.on(place.network)
        if now is not None and trouble.host in place.aliases and trouble.host not in now.aliases:
            steps.append(Step("reconnect", server.name, server.id, place))
    return steps


def _refuse_foreign(scene: Scene, foreign: Sequence[Step]) -> None:
    for step in foreign:
        network = step.endpoint.network
        if network in scene.others:
            raise RefusedError(
                "%s should be on network %s, which does not belong to project %s: nothing was touched"
                % (step.container, network, scene.project),
                "Tell the owner of that network, or: %s network connect --alias %s %s %s."
                % (scene.engine, _alias(step), network, step.container),
            )
        raise RefusedError(
            "%s should be on network %s, which does not exist" % (step.container, network),
            "Let Compose create it: %s compose up -d --no-recreate." % scene.engine,
        )


def _alias(step: Step) -> str:
    names = [name for name in step.endpoint.aliases if name != step.id[:_SHORT]]
    return names[0] if names else step.container


def _to_recreate(scene: Scene, trouble: Trouble, expected: Mapping[str, Sequence[Endpoint]]) -> Tuple[str, ...]:
    """The project's networks that both sides are on, where all names are right and still nothing gets through."""
    server = scene.server
    if server is None or trouble.cause != "timeout":
        return ()
    both = {place.network for client in scene.clients for place in client.endpoints}
    both &= {place.network for place in server.endpoints}
    nets = [net for net in scene.networks if net.name in both]
    for net in nets:
        if net.strangers:
            raise RefusedError(
                "Network %s is also used by %s, which is not project %s: it is not recreated"
                % (net.name, " and ".join(net.strangers), scene.project),
                "Detach them from that network first, together with their owners.",
            )
    return tuple(net.name for net in nets)


def _refuse(scene: Scene, trouble: Trouble, broken: Sequence[str]) -> None:
    server = scene.server
    proof = " (%s)" % trouble.evidence[0] if trouble.evidence else ""
    if trouble.cause == "no_shared_network":
        raise RefusedError(
            "%s and the server are attached as configured, but share no network%s" % (trouble.client, proof),
            "Give both services a common network in the Compose file, or name it with the option networks.",
        )
    if trouble.cause == "dns_failure":
        named = server is not None and any(trouble.host in place.aliases for place in server.endpoints)
        if named:
            why = "although the server has that name: another container has it too, or the engine's DNS fails"
            who = "Find out what answers (%s network inspect) before you restart anything; tell the platform team."
            who %= scene.engine
        else:
            why = "which is not a name of the server: a wrong host in the client's settings"
            who = "Ask the application's team to correct it; a network repair cannot."
        raise RefusedError("%s cannot resolve %s, %s%s" % (trouble.client, trouble.host, why, proof), who)
    hint = "Tell the team that runs this host's firewall or network; the containers are attached correctly."
    if broken:
        hint += " If the engine's own rules were flushed, recreate: true recreates %s." % " and ".join(broken)
    what = _NOT_OURS.get(trouble.cause, "attaching containers does not fix this")
    raise RefusedError("%s cannot reach the server: %s%s" % (trouble.client, what, proof), hint)


# --- to look and to act ----------------------------------------------------------------------------------------------


def foreseen(scene: Scene, plan: Plan, asked: Mapping[str, Any]) -> Change:
    """The result as far as the plan tells it: ``asked`` is the answer of the question ``network``."""
    before, after = _shown(scene, plan)
    steps = [
        {
            "kind": step.kind,
            "container": step.container,
            "network": step.endpoint.network,
            "aliases": list(step.endpoint.aliases),
            "done": False,
        }
        for step in plan.steps
    ]
    steps += [
        {"kind": "recreate", "container": None, "network": name, "aliases": [], "done": False} for name in plan.recreate
    ]
    details = {
        "steps": steps,
        "expected": {name: list(networks) for name, networks in plan.expected},
        "source": plan.source,
        "foreign_networks": list(plan.foreign),
        "detail": "; ".join([asked["detail"], *(line for each in plan.ports for line in ports.moving(*each))]),
        "clients": asked["clients"],
        "seconds": 0.0,
    }
    return Change(not plan.empty, before, after, details)


def taken_off(scene: Scene, plan: Plan) -> Tuple[Tuple[str, Mapping[str, str]], ...]:
    """Containers that lose their place for a moment, and with it the ports that the engine chose."""
    off = {step.container for step in plan.steps if step.kind == "reconnect"}
    return tuple(
        (one.name, one.chosen_ports)
        for one in (scene.server, *scene.clients)
        if one is not None and (one.name in off or any(one.on(network) for network in plan.recreate))
    )


def moved(scene: Scene, plan: Plan) -> List[str]:
    now = {one.name: one.chosen_ports for one in (scene.server, *scene.clients) if one is not None}
    return [line for name, before in plan.ports for line in ports.moved(name, before, now.get(name, {}))]


def trouble_of(asked: Mapping[str, Any]) -> Optional[Trouble]:
    """From the answer of the question ``network``; None where it is yes, or cannot be given."""
    if asked["answer"] != "no":
        return None
    client = next((one for failed in _FAILED for one in asked["clients"] if one["login"] and failed(one)), None)
    name, host = (client["name"], client["login"]["host"]) if client else ("this host", "")
    return Trouble(str(asked["cause"]), tuple(asked["evidence"]), host, name)


# Who is in trouble, surest sign first.
_FAILED: Tuple[Callable[[Mapping[str, Any]], bool], ...] = (
    lambda one: bool(one["resolution"] and one["resolution"]["error"]),
    lambda one: bool(one["reach"] and one["reach"]["outcome"] != "open"),
    lambda one: bool(one["attempt"] and not one["attempt"]["succeeded"]),
    lambda one: bool(one["reach"] and one["reach"]["loss_percent"]),
)


def by_hand(plan: Plan, done: Sequence[Mapping[str, Any]]) -> List[str]:
    lines = []
    for step, record in zip(plan.steps, done):
        if not record["done"]:
            words = " ".join([*("--alias %s" % name for name in step.endpoint.aliases), *_flags(step.endpoint)])
            lines.append("%s network connect %s %s %s" % (plan.engine, words, step.endpoint.network, step.container))
    return lines + ["%s compose up -d" % plan.engine for record in done[len(plan.steps) :] if not record["done"]]


def _flags(endpoint: Endpoint) -> List[str]:
    """The command has no word for a hardware address."""
    settings = dict(endpoint.settings)
    addresses = settings.get("IPAMConfig") or {}
    flags = [
        "%s %s" % (flag, addresses[name])
        for name, flag in (("IPv4Address", "--ip"), ("IPv6Address", "--ip6"))
        if addresses.get(name)
    ]
    flags += ["--link %s" % link for link in settings.get("Links") or ()]
    return flags + ["--driver-opt %s=%s" % item for item in sorted((settings.get("DriverOpts") or {}).items())]


def absent(scene: Scene, plan: Plan) -> List[str]:
    """What the plan attached and the engine does not show."""
    found = {one.name: one for one in (scene.server, *scene.clients) if one is not None}
    lost = []
    for step in plan.steps:
        now = found[step.container].on(step.endpoint.network) if step.container in found else None
        if now is None or not set(step.endpoint.aliases) <= set(now.aliases):
            lost.append("%s on %s" % (step.container, step.endpoint.network))
    return lost


def _shown(scene: Scene, plan: Plan) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Names by container and network, before and (by the plan) after; what is made anew is said beside them."""
    before: Dict[str, Any] = {}
    for one in (scene.server, *scene.clients):
        if one is not None:
            before[one.name] = {place.network: list(place.aliases) for place in one.endpoints}
    after = {name: dict(places) for name, places in before.items()}
    for step in plan.steps:
        after[step.container][step.endpoint.network] = list(step.endpoint.aliases)
    if plan.recreate:
        before["networks"] = dict.fromkeys(plan.recreate, "as it is")
        after["networks"] = dict.fromkeys(plan.recreate, "recreated")
    return before, after
