# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom network_repair attaches where, and why it refuses. Triage asks before it prints that command. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.errors import RefusedError
from .._model.places import Attached, Endpoint, Scene, Wanted

_SHORT = 12  # characters of a container's id that Compose uses as a name
_ASIDE = ("host", "none", "container:", "service:", "bridge")  # modes in which a container has no place on a network
# What can take a variable -> what it is called, and how the engine's command is given it.
_UNKNOWN = {
    "IPAMConfig": ("the address", "--ip ADDRESS"),
    "MacAddress": ("the MAC address", ""),
    "DriverOpts": ("driver_opts", "--driver-opt NAME=VALUE"),
    "aliases": ("an alias", "--alias NAME"),
    "links": ("a link", "--link CONTAINER:NAME"),
}
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
class Decision:
    steps: Tuple[Step, ...] = ()
    recreate: Tuple[str, ...] = ()  # networks
    expected: Tuple[Tuple[str, Tuple[str, ...]], ...] = ()  # container -> networks it should be on
    source: str = ""  # options | compose file | labels
    foreign: Tuple[str, ...] = ()  # what is missing on networks that are not the project's

    @property
    def empty(self) -> bool:
        return not self.steps and not self.recreate


@dataclass(frozen=True)
class Trouble:
    """What keeps the clients from the server, as the question ``network`` answers it; ``unresolved``: only a name."""

    cause: str
    evidence: Tuple[str, ...] = ()
    host: str = ""  # the name that the client asks for
    client: str = ""


def obstacle(scene: Scene, asked: Mapping[str, Any]) -> Optional[str]:
    """Why network_repair would refuse, and what to do instead; ``asked`` as for ``trouble_of``. None: it would not."""
    try:
        decide(scene, trouble_of(asked))
    except RefusedError as error:
        return str(error)
    return None


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


def decide(
    scene: Scene, trouble: Optional[Trouble], networks: Optional[Sequence[str]] = None, recreate_networks: bool = False
) -> Decision:
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
        return Decision(tuple(steps), expected=known, source=source, foreign=left)
    _refuse_foreign(scene, foreign)
    broken = _to_recreate(scene, trouble, expected)
    if not recreate_networks or not broken:
        _refuse(scene, trouble, broken)
    return Decision((), broken, known, source)


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
        raise _refuse_unknown(scene, one, wanted)
    links = _links(scene, wanted)
    return Endpoint(wanted.network, tuple(sorted(names)), (*wanted.settings, *((("Links", links),) if links else ())))


def _refuse_unknown(scene: Scene, one: Attached, wanted: Wanted) -> RefusedError:
    """A value that is not known is asked for, never left out."""
    flags = [flag for name in wanted.unknown for flag in [_UNKNOWN[name][1]]]
    words = " ".join("--alias %s" % name for name in (one.service, *wanted.aliases))
    command = "%s network connect %s %s %s %s" % (scene.engine, words, " ".join(flags), wanted.network, one.name)
    hint = "Ask whoever deploys this project for the value, then attach it by hand: %s." % command
    if not all(flags):
        hint = "Ask whoever deploys this project to recreate %s: by hand no container is given that." % one.name
    return RefusedError(
        "The Compose file takes %s of %s on %s from a variable, which is not known here"
        % (" and ".join(_UNKNOWN[name][0] for name in wanted.unknown), one.name, wanted.network),
        hint,
    )


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
