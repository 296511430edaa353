# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a rollout as servers of their clusters: who comes first, and what has to be left for its sake. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Sequence

from ...module_utils._core.text import names
from ...module_utils._model.standby import OF_STANDBYS
from .fleet import Member, Order, arrange
from .outcomes import leave
from .registered import Variables, identifier, mapping, ready_standbys


def together(hosts: Mapping[str, Dict[str, Any]], variables: Mapping[str, Variables]) -> Order:
    """The order of those that are to be changed; what has to be left for its sake is taken out of ``hosts``."""
    members = _members(hosts, variables)
    order = arrange(members)
    for host, left in order.left.items():
        hosts[host].update(leave(hosts[host], left))
    sizes = Counter(each.identifier for each in members)
    for each in members:
        if each.in_recovery or each.strangers or (each.identifier and sizes[each.identifier] > 1):
            hosts[each.host]["held"] = _held(mapping(variables[each.host], "oncall_foreseen"), hosts[each.host])
    placed = set(order.hosts)  # of the others, such as one that is down, nobody knows the cluster
    return replace(order, hosts=[*(host for host in hosts if host not in placed), *order.hosts])


def not_yet(mine: Mapping[str, Any], tuned: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    """``mine`` without what must not be written down yet: a crash is a restart, too, and may come before the one of
    the servers that have to run with it first."""
    slow: Dict[str, List[str]] = {}
    for host in mine["after"]:
        for name in tuned.get(host, {}).get("waiting") or ():
            if name in OF_STANDBYS and name in mine["settings"]:
                slow.setdefault(name, []).append(host)
    return leave(mine, {name: "%s must be restarted first: run it again then" % names(h) for name, h in slow.items()})


def _held(foreseen: Mapping[str, Any], mine: Mapping[str, Any]) -> List[str]:
    """Of the settings of standbys, those that somebody has written down and a restart would bring into force, whatever
    the other servers of its cluster have."""
    rows = {each["name"]: each for each in foreseen.get("settings") or []}
    return [
        name
        for name in foreseen.get("pending_restart") or []
        if name in OF_STANDBYS
        and name not in mine["waiting"]
        and (name not in rows or rows[name]["before"] != rows[name]["in_use"])
    ]


def _members(hosts: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Variables]) -> List[Member]:
    clusters: Dict[str, List[str]] = {}
    for host in hosts:
        cluster = mapping(mapping(variables[host], "oncall_foreseen"), "cluster")
        if cluster.get("of_standbys") is not None:
            clusters.setdefault(cluster["system_identifier"] or " " + host, []).append(host)
    strangers = {
        host: [*_strangers(same, variables), *_asleep(name, same, variables)]
        for name, same in clusters.items()
        for host in same
    }
    found: Dict[str, Member] = {}
    for host, theirs in strangers.items():
        cluster = variables[host]["oncall_foreseen"]["cluster"]
        wanted = {
            each["name"]: int(each["after"])
            for each in hosts[host]["rows"]
            if each["name"] in OF_STANDBYS and each["after"]
        }
        found[host] = Member(
            host, cluster["system_identifier"], cluster["in_recovery"], cluster["of_standbys"], wanted, theirs
        )
    return [found[host] for host in hosts if host in found]


def _strangers(hosts: Sequence[str], variables: Mapping[str, Variables]) -> Sequence[str]:
    """What may be a standby of this cluster and is no host of this run: all that streams from one of ``hosts``, where
    that is more than those of them that receive; and the slots of what is away."""
    names_: List[str] = []
    away: List[str] = []
    known = 0
    for host in hosts:
        streams = mapping(variables[host], "oncall_streams")
        ready = ready_standbys(variables[host])
        names_ += [each for each in streams.get("names") or [] if each not in ready]
        away += ["the slot %s" % each for each in streams.get("away") or [] if each not in ready]
        known += int(bool(streams.get("receives"))) + int(streams.get("logical") or 0)
    return (names_ if len(names_) > known else []) + away


def _asleep(cluster: str, hosts: Sequence[str], variables: Mapping[str, Variables]) -> Sequence[str]:
    """Hosts of this run that are standbys of the cluster by their control file, and are down: what they have is not
    known."""
    ready = {each for host in hosts for each in ready_standbys(variables[host])}
    return [
        "%s, whose values are not known," % host
        for host, mine in variables.items()
        if host not in hosts and host not in ready
        if mapping(mine, "oncall_streams").get("was_standby") and identifier(mine) == cluster
    ]
