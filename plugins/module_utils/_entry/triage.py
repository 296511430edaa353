# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All questions of the tree: look, judge, and hand back both."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Dict

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
    judgement = _judge(facts, target)
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


def _judge(facts: Facts, target: Target) -> Judgement:
    from .._judge.tree import judge

    return judge(facts, target.thresholds, target.host, target.playbook_options)
