# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's and the clients' containers back on their project's networks, and nothing else touched."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, RefusedError, UnprovenError
from ..._core.spec import Spec
from ..._core.wait import wait_for
from ..._gather import gather
from ..._gather.runtime.compose.places import look, look_and_read
from ..._gather.runtime.compose.runtime import ComposeRuntime
from ..._judge.attaching import decide, trouble_of
from ..._judge.checks import network as question
from ..._model.places import Scene
from ..procedure import Change, Options
from .attach import connect, disconnect, recreate
from .plan import Plan, absent, by_hand, foreseen, moved, taken_off

if TYPE_CHECKING:
    from ..._gather.target import Target

_APPLY_SECONDS = 60.0
_ASK_SECONDS = 6.0  # for one look at all clients

OPTIONS = Spec(
    {
        "networks": {"type": "list", "elements": "str"},
        "recreate": {"type": "bool", "default": False},
        "verify_seconds": {"type": "float", "default": 15},
    }
)


@dataclass(frozen=True)
class State:
    """``began``: seconds of the monotonic clock."""

    scene: Scene
    asked: Dict[str, Any]
    began: float


class Repair:
    """See the module ``network``."""

    def read(self, target: Target, options: Options) -> State:
        runtime, began = _compose(target), time.monotonic()
        asked = _ask(target)
        deadline = Deadline(_seconds(target))
        return State(look_and_read(runtime.view(deadline), options["project"], deadline), asked, began)

    def plan(self, state: State, options: Options) -> Plan:
        scene = state.scene
        decision = decide(scene, trouble_of(state.asked), options["networks"], options["recreate"])
        plan = Plan(
            **vars(decision),
            project=scene.project,
            engine=scene.engine,
            verify_seconds=float(options["verify_seconds"]),
            began=state.began,
            ports=taken_off(scene, decision),
        )
        return dataclasses.replace(plan, change=foreseen(scene, plan, state.asked))

    def apply(self, target: Target, plan: Plan) -> List[Dict[str, Any]]:
        """The steps, each with whether it is done."""
        steps: List[Dict[str, Any]] = plan.change.details["steps"]
        deadline = Deadline(_APPLY_SECONDS)
        engine = _compose(target).view(deadline).engine
        try:
            for step, record in zip(plan.steps, steps):
                if step.kind == "reconnect":
                    disconnect(engine, step.id, step.endpoint.network, deadline)
                connect(engine, step.id, step.endpoint, deadline)
                record["done"] = True
            for network, record in zip(plan.recreate, steps[len(plan.steps) :]):
                recreate(engine, network, deadline)
                record["done"] = True
        except OncallError as error:
            raise UnprovenError(
                "Network repair stopped halfway: %s" % str(error).rstrip("."),
                "To finish it by hand: %s" % "; ".join(by_hand(plan, steps)),
                details=_details(plan, changed=True),
            ) from error
        return steps

    def prove(self, target: Target, plan: Plan, done: List[Dict[str, Any]]) -> Change:
        """Every place is there, and every client that can be asked reaches the server, as it sees it itself."""

        def observe() -> Tuple[Scene, Dict[str, Any]]:
            runtime = _compose(target)
            runtime.forget()
            asked = _ask(target)
            deadline = Deadline(_seconds(target))
            return look(runtime.view(deadline), plan.project, deadline), asked

        def holds(seen: Tuple[Scene, Dict[str, Any]]) -> bool:
            return not absent(seen[0], plan) and seen[1]["answer"] != "no"

        try:
            waited = wait_for(observe, holds, plan.verify_seconds, 0.5)
        except OncallError as error:
            raise UnprovenError(
                "The containers were attached again, but whether the clients reach the server could not be checked: %s"
                % str(error).rstrip("."),
                details=_details(plan, changed=True),
            ) from error
        scene, asked = waited.last
        detail = "; ".join([asked["detail"], *moved(scene, plan)])
        details = _details(plan, detail=detail, clients=asked["clients"])
        if waited.ok:
            return dataclasses.replace(plan.change, details=details)
        missing = absent(scene, plan)
        acted = "%s was recreated" % " and ".join(plan.recreate) if plan.recreate else "The containers were attached"
        what = "%s is missing" % " and ".join(missing) if missing else asked["detail"]
        more = {key: asked[key] for key in ("answer", "cause", "evidence")}
        raise UnprovenError(
            "%s, but still not every client reaches the server: %s" % (acted, what),
            "Run triage again; tell the team that runs this host's network.",
            details=dict(details, changed=True, **more),
        )


def _details(plan: Plan, **more: Any) -> Dict[str, Any]:
    return dict(plan.change.details, seconds=round(time.monotonic() - plan.began, 3), **more)


def _compose(target: Target) -> ComposeRuntime:
    if not isinstance(target.runtime, ComposeRuntime):
        raise RefusedError(
            "With runtime=%s there are no containers to attach to a network" % target.runtime.name,
            "Tell the team that runs the network between the clients and the server.",
        )
    return target.runtime


def _seconds(target: Target) -> float:
    """A client that is cut off may keep its health page waiting for long, and that is not what is asked here."""
    return min(target.deadline_seconds, _ASK_SECONDS)


def _ask(target: Target) -> Dict[str, Any]:
    """The question ``network``, asked alone, and the clients' own views."""
    quick = dataclasses.replace(target, deadline_seconds=_seconds(target))
    facts, _elapsed = gather.gather(quick)
    answer = question.check(facts, target.thresholds)
    return {**dataclasses.asdict(answer), "evidence": list(answer.evidence), "clients": facts["clients"]}
