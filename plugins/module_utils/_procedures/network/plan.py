# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repair does and shows, made of who is attached where. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ..._judge.attaching import Decision
from ..._model import ports
from ..._model.places import Endpoint, Scene
from ..procedure import Change


@dataclass(frozen=True)
class Plan(Decision):
    change: Change = field(default_factory=lambda: Change(False))
    project: str = ""
    engine: str = "docker"  # the engine's command
    verify_seconds: float = 15
    began: float = 0  # by the monotonic clock
    ports: Tuple[Tuple[str, Mapping[str, str]], ...] = ()  # by container, what is published where the engine chose

    def foreseen(self) -> Change:
        return self.change


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


def taken_off(scene: Scene, plan: Decision) -> Tuple[Tuple[str, Mapping[str, str]], ...]:
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
