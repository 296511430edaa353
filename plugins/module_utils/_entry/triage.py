# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All questions of the tree: look, judge, and hand back both."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Dict, Optional

from .._core.deadline import Deadline
from .._core.errors import OncallError
from .._gather import gather

if TYPE_CHECKING:
    from .._gather.target import Target
    from .._judge.tree import Judgement
    from .._model.facts import Facts

SCHEMA = 1


def triage(target: Target) -> Dict[str, Any]:
    """The result's schema is the design's."""
    started = time.monotonic()
    threading.Thread(target=_import, name="oncall-judge", daemon=True).start()
    facts, elapsed_ms = gather.gather(target)
    judgement = _judge(facts, target, started)
    total = round((time.monotonic() - started) * 1000, 1)
    return {
        "schema": SCHEMA,
        "target": facts["target"],
        "verdict": judgement["verdict"],
        "path": judgement["path"],
        "findings": judgement["findings"],
        "facts": facts,
        "facts_json": None,
        "elapsed_ms": dict(elapsed_ms, total=total),
    }


def _import() -> None:
    """A quarter of all code only judges: it is compiled while the server is asked. The import's own lock joins both."""
    from .._judge import tree  # noqa: F401


def _judge(facts: Facts, target: Target, started: float) -> Judgement:
    """Where network_repair is about to be recommended, what it would say to that is a fact of its own."""
    from .._judge.tree import judge, recommends_repair

    judgement = judge(facts, target.thresholds, target.host, target.playbook_options)
    if not recommends_repair(judgement):
        return judgement
    deadline = Deadline(target.deadline_seconds - (time.monotonic() - started))
    facts["repair_obstacle"] = _repair_obstacle(facts, target, deadline)
    return judge(facts, target.thresholds, target.host, target.playbook_options)


def _repair_obstacle(facts: Facts, target: Target, deadline: Deadline) -> Optional[str]:
    from .._gather.runtime.compose.places import look_and_read
    from .._gather.runtime.compose.runtime import ComposeRuntime
    from .._judge.attaching import obstacle
    from .._judge.checks import network

    runtime, answer = target.runtime, network.check(facts, target.thresholds)
    if not isinstance(runtime, ComposeRuntime):
        return "There are no containers to attach to a network: tell the team that runs it"
    try:
        scene = look_and_read(runtime.view(deadline), runtime.project, deadline)
    except OncallError as error:
        facts["errors"]["repair_obstacle"] = str(error)
        return "%s; whether network_repair can reattach them is not known: %s" % (answer.detail, error)
    return obstacle(scene, {**asdict(answer), "clients": facts["clients"]})
