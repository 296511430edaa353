# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Question 3: can its clients reach it, each from its own place?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Tuple

from ..._core.text import count, line, milliseconds, names
from ..._model.answers import NO, WARNING, YES, Answer, Finding, Thresholds, Values
from . import unfinished
from .readings import down, looked, not_asked, socket_path, wire_line

if TYPE_CHECKING:
    from ..._model.facts import ClientFacts, Facts, Reach, ServerFacts

QUESTION = "network"
_ASIDE = ("bridge", "none")  # the engine's own, by network_mode
LOSS_PERCENT = 30  # more than this and logins hang; TCP hides what is below, at a price
LOSS_NOTICED_PERCENT = 10
CAUSES = ("no_shared_network", "dns_failure", "refused", "timeout", "packet_loss")  # the first explains the later ones


class Trouble(NamedTuple):
    cause: str
    client: ClientFacts
    evidence: List[str]
    repair_helps: bool = False
    advice: str = ""  # where it does not


def check(facts: Facts, thresholds: Thresholds) -> Answer:
    findings = tuple(_findings(facts))
    if down(facts):
        return not_asked(QUESTION, "the server is down", findings)
    troubles = [trouble for client in facts["clients"] for trouble in [_trouble(facts, client)] if trouble]
    if troubles:
        return _no(facts, troubles, findings)
    tried = [client for client in facts["clients"] if looked(client) and (client["reach"] or _by_socket(client))]
    if tried:
        return Answer(QUESTION, YES, _reached(tried), findings=findings)
    if not facts["clients"] or all(client["login"] is None for client in facts["clients"]):
        lost = _lost_from_here(facts)
        if lost:
            return lost
    elif facts["clients"]:
        why = names("%s: %s" % (client["name"], client["error"] or client["state"]) for client in facts["clients"])
        return not_asked(QUESTION, line(why), findings)
    return not_asked(QUESTION, "no client is declared, or its login settings are unknown", findings)


def _trouble(facts: Facts, client: ClientFacts) -> Optional[Trouble]:
    login, resolution, reach = client["login"], client["resolution"], client["reach"]
    if not looked(client) or login is None or socket_path(login["host"]):
        return None
    if client["attempt"] and client["attempt"]["succeeded"] and not (reach and reach["loss_percent"] >= LOSS_PERCENT):
        return None  # it got in: a proxy, a published port, whatever the way
    server = facts["server"]
    if resolution and resolution["error"]:
        apart = _apart(server, client)
        text = "%s cannot resolve %s: %s" % (client["name"], login["host"], resolution["error"].replace("_", " "))
        asked = " (asked %s)" % resolution["nameserver"] if resolution["nameserver"] else ""
        if apart:
            return Trouble("no_shared_network", client, [*apart, text + asked], _placeable(server, client))
        return _nameless(server, client, login["host"], [text + asked, *_aliases(server, login["host"])])
    if reach is None or (reach["outcome"] == "open" and reach["loss_percent"] < LOSS_PERCENT):
        return None
    numbers = _numbers(client, reach)
    if reach["answered"] and reach["outcome"] != "refused":
        return Trouble("packet_loss", client, [numbers]) if reach["loss_percent"] >= LOSS_PERCENT else None
    if reach["outcome"] == "open":
        return None
    apart = _apart(server, client)
    if apart and _ours(server, login["host"]):
        return Trouble("no_shared_network", client, [*apart, numbers], _placeable(server, client))
    astray = _astray(server, client)
    if astray:
        return _nameless(server, client, login["host"], [*astray, numbers])
    cause = "refused" if reach["outcome"] == "refused" else "timeout"
    return Trouble(cause, client, [numbers])


def _apart(server: Optional[ServerFacts], client: ClientFacts) -> List[str]:
    """Evidence that the client's container and the server's have no network in common."""
    if server is None or client["name"] == "here" or client["shared_networks"]:
        return []
    if not server["networks"] and not client["networks"]:
        return []  # not containers at all
    if any(network["name"] == "host" for network in client["networks"] + server["networks"]):
        return []
    return [
        "%s and %s share no network" % (client["name"], server["name"]),
        "%s is attached to: %s" % (client["name"], _attached(client["networks"])),
        "%s is attached to: %s" % (server["name"], _attached(server["networks"])),
    ]


def _nameless(server: Optional[ServerFacts], client: ClientFacts, host: str, evidence: List[str]) -> Trouble:
    """network_repair attaches what is detached, and gives back a name that the server has lost on a network."""
    if server is None or not _ours(server, host):
        advice = "which is not a name of the server: correct the client's setting or DNS"
        return Trouble("dns_failure", client, evidence, False, advice)
    known = {server["service"], *(alias for network in server["networks"] for alias in network["aliases"])}
    lost = host in known and any(host not in network["aliases"] for network in server["networks"])
    helps = lost or not all(network["attached"] for network in [*server["networks"], *client["networks"]])
    advice = "although the server has that name: another container has it too, or the engine's DNS fails"
    return Trouble("dns_failure", client, evidence, helps, advice)


def _placeable(server: Optional[ServerFacts], client: ClientFacts) -> bool:
    """Neither was made outside of the project's networks: network_repair attaches no such container to one."""
    both = [client["networks"], server["networks"] if server else []]
    return not any(networks and all(network["name"] in _ASIDE for network in networks) for networks in both)


def _attached(networks: object) -> str:
    rows = [network for network in networks if isinstance(network, dict)] if isinstance(networks, list) else []
    on = names(str(network["name"]) for network in rows if network["attached"]) or "none"
    off = names(str(network["name"]) for network in rows if not network["attached"])
    return on + (" (detached from %s)" % off if off else "")


def _ours(server: Optional[ServerFacts], host: str) -> bool:
    """``host`` is a name the server should have: then putting it back on its network brings the name back."""
    if server is None:
        return False
    aliases = [alias for network in server["networks"] for alias in network["aliases"]]
    addresses = [network["address"] for network in server["networks"]]
    return host in (server["service"], server["name"], *aliases, *addresses)


def _aliases(server: Optional[ServerFacts], host: str) -> List[str]:
    if server is None or not server["networks"]:
        return []
    found = []
    for network in server["networks"]:
        if network["attached"] and host not in network["aliases"]:
            known = names(network["aliases"]) or "none"
            found.append("%s has no alias %s on %s (its aliases: %s)" % (server["name"], host, network["name"], known))
    return found


def _astray(server: Optional[ServerFacts], client: ClientFacts) -> List[str]:
    """The name leads somewhere else, though it is the server's own."""
    login, resolution = client["login"], client["resolution"]
    if server is None or login is None or resolution is None or not resolution["addresses"]:
        return []
    own = [network["address"] for network in server["networks"] if network["address"]]
    if not own or not _ours(server, login["host"]) or set(own) & set(resolution["addresses"]):
        return []
    return [
        "%s resolves %s to %s, but the server has %s"
        % (client["name"], login["host"], names(resolution["addresses"]), names(own))
    ]


def elsewhere(server: Optional[ServerFacts], client: ClientFacts) -> bool:
    """Its login leads to no address of the server's, as far as these are known: to a pooler, or to another server."""
    login, resolution = client["login"], client["resolution"]
    own = {network["address"] for network in server["networks"] if network["address"]} if server else set()
    if not own or login is None or resolution is None or not resolution["addresses"]:
        return False
    return not _ours(server, login["host"]) and not own & set(resolution["addresses"])


def _numbers(client: ClientFacts, reach: Reach) -> str:
    median = ", median %s" % milliseconds(reach["latency_ms"]) if reach["latency_ms"] is not None else ""
    where = reach["address"] or "the server"
    if reach["outcome"] == "refused":  # which is an answer, and nothing was lost
        return "%s to %s: refused, %s" % (client["name"], where, count(reach["probes"], "probe"))
    return "%s to %s: %s, %d of %s answered (%.0f %% lost)%s" % (
        client["name"],
        where,
        reach["outcome"],
        reach["answered"],
        count(reach["probes"], "probe"),
        reach["loss_percent"],
        median,
    )


def _no(facts: Facts, troubles: List[Trouble], findings: Tuple[Finding, ...]) -> Answer:
    first = min(troubles, key=lambda trouble: CAUSES.index(trouble.cause))
    rest = [trouble for trouble in troubles if trouble is not first]
    evidence = first.evidence + [text for trouble in rest for text in trouble.evidence]
    login = first.client["login"]
    affected = names(trouble.client["name"] for trouble in troubles)
    reach = first.client["reach"]
    values = Values(
        client=affected,
        host=login["host"] if login else "the server",
        address="%s:%s" % (login["host"], login["port"]) if login else "the server",
        server=facts["server"]["name"] if facts["server"] else "the server",
        loss="%.0f" % reach["loss_percent"] if reach else None,
        advice=first.advice,
        repair_helps=any(trouble.repair_helps for trouble in troubles if trouble.cause == first.cause),
    )
    return Answer(
        QUESTION,
        NO,
        first.evidence[0],
        "network_unreachable",
        first.cause,
        tuple(dict.fromkeys(evidence)),
        findings,
        values,
    )


def client_down(facts: Facts) -> Optional[Answer]:
    """A declared client of which no container runs; asked where nothing is wrong with the server."""
    by_service: Dict[str, List[ClientFacts]] = {}
    for client in facts["clients"]:
        by_service.setdefault(client["service"], []).append(client)
    down = [clients for clients in by_service.values() if not any(_runs(client) for client in clients)]
    if not down:
        return None
    first = down[0][0]
    evidence = tuple(
        text for clients in down for one in clients for text in (_how(one), *unfinished.evidence_of(facts, one["name"]))
    )
    server = facts["server"]
    values = Values(client=first["name"], engine=(server and server["engine_command"]) or "docker")
    return Answer(QUESTION, NO, evidence[0], "client_down", _down_cause(first), evidence, values=values)


def _runs(client: ClientFacts) -> bool:
    return client["name"] == "here" or client["state"] in ("running", "unknown")


def _down_cause(client: ClientFacts) -> str:
    if client["state"] in ("paused", "restarting"):
        return client["state"]
    ended_well = client["exit_code"] in (None, 0, 130, 143) and not client["out_of_memory"]
    return "stopped" if ended_well and client["state"] != "dead" else "crashed"


def _how(client: ClientFacts) -> str:
    if client["state"] == "missing":
        return "%s has no container" % client["name"]
    parts = ["%s is %s" % (client["name"], client["state"])]
    if client["exit_code"] is not None:
        parts.append("exit code %d" % client["exit_code"])
    if client["out_of_memory"]:
        parts.append("out of memory")
    if client["finished_at"] and client["state"] == "exited":
        parts.append("since %s" % client["finished_at"])
    return ", ".join(parts)


def _lost_from_here(facts: Facts) -> Optional[Answer]:
    """No client to speak for the network: then it is the target's own address that nothing answers at."""
    wire = [answer for answer in facts["wire"] if answer["kind"] == "login_host"]
    lost = [answer for answer in wire if answer["outcome"] in ("timeout", "unreachable")]
    if not lost or len(lost) < len(wire) or facts["snapshot"]:
        return None
    address = lost[0]["address"]
    values = Values(client="this host", host=address, address=address, server=address, loss="100")
    evidence = tuple(wire_line(answer) for answer in lost)
    return Answer(QUESTION, NO, evidence[0], "network_unreachable", "timeout", evidence, values=values)


def _by_socket(client: ClientFacts) -> bool:
    return client["login"] is not None and socket_path(client["login"]["host"])


def _reached(clients: List[ClientFacts]) -> str:
    slowest = max((client["reach"]["latency_ms"] or 0 for client in clients if client["reach"]), default=None)
    text = names(client["name"] for client in clients)
    how = "in at most %s" % milliseconds(slowest) if slowest is not None else "over the Unix socket"
    return "reached from %s %s" % (text, how)


def _findings(facts: Facts) -> List[Finding]:
    found = unfinished.findings(facts)
    for client in facts["clients"]:
        reach = client["reach"]
        if reach and reach["answered"] and LOSS_NOTICED_PERCENT <= reach["loss_percent"] < LOSS_PERCENT:
            text = "%s loses %.0f %% of its connection attempts" % (client["name"], reach["loss_percent"])
            found.append(Finding("packet_loss", WARNING, text, (_numbers(client, reach),)))
        if client["name"] != "here" and client["state"] not in ("running", "unknown"):
            text = "%s (%s)" % (client["name"], client["state"])
            found.append(Finding("client_down", WARNING, "A client is not running: %s" % text, (text,)))
    return found
