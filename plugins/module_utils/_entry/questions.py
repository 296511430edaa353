# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each module of one question asks: the steps it gathers, the check that answers, the facts it hands back."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, Tuple

from .._gather import gather
from .._judge.checks import accepting, activity, connections, login, network, running

if TYPE_CHECKING:
    from .._gather.target import Target
    from .._model.answers import Answer, Thresholds
    from .._model.facts import Facts


@dataclass(frozen=True)
class Question:
    """One question of the tree, asked alone."""

    steps: Tuple[str, ...]
    check: Callable[[Facts, Thresholds], Answer]
    select: Callable[[Facts], Dict[str, Any]]

    def __call__(self, target: Target) -> Dict[str, Any]:
        started = time.monotonic()
        facts, elapsed_ms = gather.gather(target, self.steps)
        answer = asdict(self.check(facts, target.thresholds))
        total = round((time.monotonic() - started) * 1000, 1)
        return {
            "target": facts["target"],
            "question": answer["question"],
            "answer": answer["answer"],
            "detail": answer["detail"],
            "reason": answer["reason"],
            "code": answer["code"],
            "cause": answer["cause"],
            "evidence": list(answer["evidence"]),
            "findings": [dict(finding, evidence=list(finding["evidence"])) for finding in answer["findings"]],
            "errors": facts["errors"],
            "elapsed_ms": dict(elapsed_ms, total=total),
            **self.select(facts),
        }


def _configured(facts: Facts) -> Dict[str, Any]:
    snapshot = facts["snapshot"]
    return {
        "wire": facts["wire"],
        "configured": snapshot["configured"] if snapshot else None,
        "started_at": snapshot["started_at"] if snapshot else None,
        "listening": facts["server"]["listening"] if facts["server"] else None,
        "lock_file": facts["server"]["lock_file"] if facts["server"] else None,
    }


def _connections(facts: Facts) -> Dict[str, Any]:
    snapshot, server = facts["snapshot"], facts["server"]
    return {
        "connections": snapshot["connections"] if snapshot else None,
        "limits": snapshot["limits"] if snapshot else None,
        "processes": server["processes"] if server else [],
    }


def _access(facts: Facts) -> Dict[str, Any]:
    snapshot = facts["snapshot"]
    return {
        "clients": facts["clients"],
        "roles": snapshot["roles"] if snapshot else None,
        "databases": snapshot["databases"] if snapshot else None,
        "hba_rules": snapshot["configured"]["hba_rules"] if snapshot else None,
    }


server_info = Question((gather.SERVER,), running.check, lambda facts: {"server": facts["server"]})
readiness_info = Question(gather.EVERYTHING, accepting.check, _configured)
network_info = Question(
    gather.EVERYTHING,
    network.check,
    lambda facts: {
        "clients": facts["clients"],
        "networks": facts["server"]["networks"] if facts["server"] else [],
    },
)
connections_info = Question(gather.EVERYTHING, connections.check, _connections)
login_info = Question(gather.EVERYTHING, login.check, _access)
activity_info = Question(
    gather.EVERYTHING,
    activity.check,
    lambda facts: {"activity": facts["snapshot"]["activity"] if facts["snapshot"] else None},
)
