# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of an incident that was healthy in between."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

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
        events += [each.event(timeline.SENT, at) for each in messages]
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


def test_a_clock_that_was_an_hour_ahead_delays_no_escalation() -> None:
    notices = told([(0, "down"), (-60, "down"), (-50, "down"), (-40, "down")])
    assert notices == [["trigger"], [], ["remind"], ["escalate_dba"]]
    seen = fold("x", [frame.opened("db", LOOKS["down"], after(0)), frame.look(LOOKS["down"], "triage", after(0))])
    assert frame.is_news(seen, frame.look(LOOKS["down"], "triage", after(-60)))


def test_why_somebody_is_reminded_counts_from_the_outbreak() -> None:
    looks = [(0, LOOKS["down"]), (2, HEALTHY), (300, LOOKS["down"])]
    events = [frame.opened("db", LOOKS["down"], after(0)), *(frame.look(found, "t", after(at)) for at, found in looks)]
    assert due.why(fold("x", events), due.REMIND, after(311)) == "nobody has responded for 11 minutes"


def test_what_a_verdict_says_of_escalation_is_done() -> None:
    """A complete outage is an emergency after 20 minutes, suspected damage is the DBA's at once."""
    for code, cause, minutes, notice, why in (
        ("server_down", "out_of_memory", 20, "escalate_emergency", "complete outage, not resolved within 20 minutes"),
        ("data_corruption", "damaged_page", 0, "escalate_dba", "data corruption suspected"),
    ):
        found = result(code)
        found["verdict"]["cause"] = cause
        incident = fold("x", [frame.opened("db", found, after(0))])
        (pager,), _problems = channels.read([{"type": "pagerduty", "routing_key": "k" * 20}])
        if minutes:
            assert notice not in [each.notice for each in due.due(incident, [pager], after(minutes - 1))]
        assert notice in [each.notice for each in due.due(incident, [pager], after(minutes))]
        assert due.why(incident, notice, after(minutes)) == why


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*LOOKS, "begins"]),
            st.sampled_from([0.1, 0.5, 2.0, 15.0]),
            st.sampled_from(["arrives", "fails", "killed"]),
        ),
        max_size=12,
    )
)
def test_what_is_sent_again_sets_no_channel_back(steps: List[Tuple[str, float, str]]) -> None:
    """Whatever did not arrive, or was sent by a run that was killed before it kept that: the pager ends up right."""
    (pager,), _problems = channels.read([{"type": "pagerduty", "routing_key": "k" * 20}])
    events: List[timeline.Event] = [frame.opened("db", LOOKS["down"], after(0))]
    shown, minute = None, 0.0
    for what, minutes, outcome in [*steps, ("", 2.0, "arrives"), ("", 2.0, "arrives")]:
        minute += minutes
        at = after(minute)
        if what:
            events.append(
                frame.look(LOOKS[what], "triage", at) if what in LOOKS else frame.begins("start", "here-1", "ann", at)
            )
        incident = fold("x", events)
        for each in due.due(incident, [pager], at):
            events.append(each.event(timeline.QUEUED, at))
            if outcome == "fails":
                events.append(each.event(timeline.FAILED, at))
                continue
            if each.notice == due.RESOLVE:
                shown = "resolved"
            elif each.notice != due.ACKNOWLEDGE:
                shown = "triggered"
            if outcome == "arrives":
                events.append(each.event(timeline.SENT, at))
    assert shown in ((None, "resolved") if due.resolved(incident) else ("triggered",))


def test_alertmanager_is_told_again_every_hour_and_others_are_not() -> None:
    """It keeps alerts in memory only: one that was restarted would show none."""
    every = [each for each in channels.read(EVERY)[0] if each["name"] in ("alertmanager", "pagerduty")]
    events: List[timeline.Event] = [frame.opened("db", LOOKS["down"], after(0))]
    told = {}
    for minute in (0, 30, 61, 90, 122, 123, 300):
        if minute == 123:
            events.append(frame.look(HEALTHY, "triage", after(minute)))
        messages = due.due(fold("x", events), every, after(minute))
        events += [each.event(timeline.SENT, after(minute)) for each in messages]
        told[minute] = [each.notice for each in messages if each.channel == "alertmanager"]
        assert not [each for each in messages if each.channel == "pagerduty" and minute in (61, 122, 300)]
    again = ["trigger", "escalate_dba"]
    assert told == {
        0: ["trigger"],
        30: again[1:],
        61: ["trigger"],
        90: again[1:],
        122: ["trigger"],
        123: ["resolve"],
        300: [],
    }


def outage(hosts: int) -> List[requests.Told]:
    """The same on each of so many hosts, all told to those on call."""
    found = LOOKS["down"]
    return [
        (due.Message("it", due.TRIGGER, ("on_call",), 0), fold("x%d" % n, [frame.opened("db%d" % n, found, after(0))]))
        for n in range(hosts)
    ]


def test_a_large_outage_is_one_message_where_people_read_it() -> None:
    sent = {}
    for channel in channels.read(EVERY)[0]:
        found = requests.requests(outage(500), channel, "/incidents", after(0))
        assert sum(len(each.told) for each in found) == 500
        sent[channel["name"]] = found
    counts = {name: len(found) for name, found in sent.items()}
    assert counts == {"pagerduty": 500, "webhook": 500, "slack": 1, "alertmanager": 1, "mail": 1}
    assert len(sent["alertmanager"][0].body["body"]) == 500
    mail = sent["mail"][0].body
    assert mail["subject"] == "[CRITICAL] 500 incidents: server_down (500)"
    assert "db99: server_down: No slots | left\n... and 400 more\n" in mail["text"], mail["text"][-200:]
    few = requests.requests(outage(requests.ALONE), channels.read(EVERY)[0][-1], "/incidents", after(0))
    assert len(few) == requests.ALONE


def test_slack_takes_no_name_for_a_mention_or_a_link() -> None:
    found = result("authentication_failed")
    found["verdict"]["summary"] = 'role "<!channel> & <https://example.org|here>" is missing'
    told = (due.Message("slack", due.TRIGGER, ("on_call",), 0), fold("x", [frame.opened("db", found, after(0))]))
    (slack,), _problems = channels.read([EVERY[2]])
    for many in ([told], [told] * (requests.ALONE + 1)):
        (text, *_more) = [each.body["body"]["text"] for each in requests.requests(many, slack, "/x", after(0))]
        assert "&lt;!channel&gt; &amp; &lt;https" in text and "<" not in text, text


EVERY = [
    {"type": "pagerduty", "routing_key": "k" * 20},
    {"type": "webhook", "url": "http://localhost/"},
    {"type": "webhook", "name": "slack", "template": "slack", "url": "http://localhost/"},
    {"type": "alertmanager", "url": "http://localhost/"},
    {"type": "mail", "from": "a@b.c", "to": {"on_call": ["a@b.c"], "dba": ["d@b.c"], "emergency": ["e@b.c"]}},
]
others = st.builds(
    lambda kind, more: timeline.event(after(0), kind, **more),
    st.sampled_from(["escalated", "acknowledged", timeline.QUEUED, timeline.SENT, timeline.FAILED]),
    st.dictionaries(st.sampled_from(["to", "by", "round", "channel", "notice", "levels"]), values, max_size=4),
)


@settings(deadline=None)
@example(
    {"severity": None}, [timeline.event(after(0), timeline.SENT, channel="alertmanager", notice="trigger", round=0)], 61
)
@example({}, [timeline.event(after(0), timeline.FAILED, channel="mail", notice="a later version's", round=0)], 0)
@given(
    st.dictionaries(st.sampled_from(["cause", "summary", "impact", "code"]), values, max_size=3),
    st.lists(others | anything, max_size=4),
    st.integers(0, 60),
)
def test_a_record_by_another_hand_stops_nothing(opened: Dict[str, Any], more: List[timeline.Event], age: int) -> None:
    told = {"host": "db", "code": "server_down", "severity": "emergency"}
    first = {name: value for name, value in {**told, **opened}.items() if value is not None}
    events = [timeline.event(after(0), timeline.OPENED, **first), *more]
    incident = fold("x", timeline.read(b"".join(map(timeline.line, events))).events)
    every = {each["name"]: each for each in channels.read(EVERY)[0]}
    messages = due.due(incident, list(every.values()), after(age))
    due.escalations(incident, messages, after(age))
    for each in messages:
        for one in requests.requests([(each, incident)], every[each.channel], "/incidents", after(age)):
            json.dumps(one.body)
