# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of an incident that was healthy in between."""

from __future__ import annotations

from typing import List, Tuple

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import frame, timeline
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.state import fold
from ansible_collections.oncall.postgresql.plugins.plugin_utils._notify import channels, due

from .test_incident import HEALTHY, after, result

Step = Tuple[float, str]
LOOKS = {
    "down": result("server_down"),
    "healthy": HEALTHY,
    "warning": result("replication_lagging", "warning"),
    "another": result("pool_exhausted"),
}
SOLVED = [(0.0, "down"), (1.0, "begins"), (2.0, "healthy")]


def told(steps: List[Step]) -> List[List[str]]:
    """The notices of each step, of one channel that takes them all."""
    (pager,), _problems = channels.read([{"type": "pagerduty", "routing_key": "k" * 20}])
    events: List[timeline.Event] = [frame.opened("db", LOOKS["down"], after(0))]
    notices = []
    for minute, what in steps:
        at = after(minute)
        events.append(
            frame.look(LOOKS[what], "triage", at) if what in LOOKS else frame.begins("start", "here-1", "ann", at)
        )
        messages = due.due(fold("x", events), [pager], at)
        events += [each.event(due.SENT, at) for each in messages]
        notices.append([each.notice for each in messages])
    return notices


@pytest.mark.parametrize(
    ("then", "notices"),
    [
        # A page that is acknowledged in the same breath wakes nobody.
        ([(300, "down"), (301, "begins")], [["trigger", "escalate_dba"], ["acknowledge"]]),
        ([(300, "down"), (309, "down"), (310, "down")], [["trigger", "escalate_dba"], [], ["remind"]]),
        ([(30, "warning"), (40, "down")], [[], ["trigger", "escalate_dba"]]),
        # It has an incident of its own.
        ([(30, "another"), (40, "another"), (41, "healthy")], [[], [], []]),
    ],
    ids=["acknowledged before", "nobody responds", "a warning between", "another fault"],
)
def test_after_it_was_healthy(then: List[Step], notices: List[List[str]]) -> None:
    assert told([*SOLVED, *then]) == [["trigger"], ["acknowledge"], ["resolve"], *notices]


def test_why_somebody_is_reminded_counts_from_the_outbreak() -> None:
    looks = [(0, LOOKS["down"]), (2, HEALTHY), (300, LOOKS["down"])]
    events = [frame.opened("db", LOOKS["down"], after(0)), *(frame.look(found, "t", after(at)) for at, found in looks)]
    assert due.why(fold("x", events), due.REMIND, after(311)) == "nobody has responded for 11 minutes"
