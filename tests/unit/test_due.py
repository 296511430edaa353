# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of an incident that was healthy in between."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.action import notification
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import frame, timeline
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.state import fold
from ansible_collections.oncall.postgresql.plugins.plugin_utils._notify import channels, due, requests

from .test_incident import HEALTHY, after, anything, result, values

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


def test_why_a_mail_did_not_arrive_when_its_module_crashed() -> None:
    outcry = 'Traceback (most recent call last):\n  File "x"\nConnectionRefusedError: [Errno 111] Connection refused\n'
    crashed = {"msg": "MODULE FAILURE: No start of json char found", "module_stderr": outcry}
    why = notification._problem(crashed, {"mail": {}, "secrets": []})
    assert why == "ConnectionRefusedError: [Errno 111] Connection refused"


EVERY = [
    {"type": "pagerduty", "routing_key": "k" * 20},
    {"type": "webhook", "url": "http://localhost/"},
    {"type": "webhook", "name": "slack", "template": "slack", "url": "http://localhost/"},
    {"type": "alertmanager", "url": "http://localhost/"},
    {"type": "mail", "from": "a@b.c", "to": {"on_call": ["a@b.c"], "dba": ["d@b.c"], "emergency": ["e@b.c"]}},
]
others = st.builds(
    lambda kind, more: timeline.event(after(0), kind, **more),
    st.sampled_from(["escalated", "acknowledged", due.QUEUED, due.SENT, due.FAILED]),
    st.dictionaries(st.sampled_from(["to", "by", "round", "channel", "notice", "levels"]), values, max_size=4),
)


@given(
    st.dictionaries(st.sampled_from(["cause", "summary", "impact", "code"]), values, max_size=3),
    st.lists(others | anything, max_size=4),
    st.integers(0, 60),
)
def test_a_record_by_another_hand_stops_nothing(opened: Dict[str, Any], more: List[timeline.Event], age: int) -> None:
    told = {"host": "db", "code": "server_down", "severity": "emergency"}
    events = [timeline.event(after(0), timeline.OPENED, **{**told, **opened}), *more]
    incident = fold("x", timeline.read(b"".join(map(timeline.line, events))).events)
    every = {each["name"]: each for each in channels.read(EVERY)[0]}
    messages = due.due(incident, list(every.values()), after(age))
    due.escalations(incident, messages, after(age))
    for each in messages:
        json.dumps(requests.request(each, every[each.channel], incident, "/page.md", after(age)))
