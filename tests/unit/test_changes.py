# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch of servers is changed: what is told, to which channels, and how much of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Dict, List, Sequence

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._notify import changes, channels, requests
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report import settings

AT = datetime(2026, 11, 29, 10, 41, 7, tzinfo=UTC)
PAGER: Dict[str, Any] = {"type": "pagerduty", "routing_key": "k" * 32}
LINKS = [{"href": "https://reports.example.org/", "text": None}]


def read(*given: Dict[str, Any]) -> List[channels.Channel]:
    found, problems = channels.read(list(given))
    assert problems == []
    return found


def rows(*given: Sequence[Any], state: str = "planned") -> List[settings.Setting]:
    return list(
        settings.read(
            [{"name": name, "before": before, "after": after, "state": state} for name, before, after in given]
        )
    )


def request(channel: Dict[str, Any], by_host: Dict[str, List[settings.Setting]], phase: str = "begun") -> Any:
    return changes.request(read(channel)[0], "tune", phase, by_host, LINKS, "here-1", AT)


@pytest.mark.parametrize(
    "alerts, url",
    [
        ("https://events.pagerduty.com/v2/enqueue", "https://events.pagerduty.com/v2/change/enqueue"),
        ("https://events.eu.pagerduty.com/v2/enqueue/", "https://events.eu.pagerduty.com/v2/change/enqueue"),
        ("https://proxy.example.org/pager/v2/enqueue", "https://proxy.example.org/pager/v2/change/enqueue"),
        ("https://proxy.example.org:8443/pager", "https://proxy.example.org:8443/v2/change/enqueue"),
    ],
)
def test_where_changes_go(alerts: str, url: str) -> None:
    assert request({**PAGER, "url": alerts}, {"db1": rows(("work_mem", None, "16MB"))})["url"] == url


def test_an_event() -> None:
    work_mem = ("work_mem", None, "16MB")
    by_host = {"db1": rows(work_mem), "db2": rows(work_mem), "db3": rows(("shared_buffers", "128MB", "1GB"))}
    body = request(PAGER, by_host)["body"]
    told = {"before": None, "after": "16MB", "state": "planned", "why": ""}
    assert body == {
        "routing_key": "k" * 32,
        "payload": {
            "summary": "tune has begun on db1, db2, db3: work_mem not set → 16MB, shared_buffers 128MB → 1GB",
            "timestamp": "2026-11-29T10:41:07.000Z",
            "source": "db1, db2, db3",
            "custom_details": {
                "verb": "tune",
                "phase": "begun",
                "run": "here-1",
                "changes": [
                    {"hosts": ["db1", "db2"], "settings": [{"name": "work_mem", **told}]},
                    {
                        "hosts": ["db3"],
                        "settings": [{**told, "name": "shared_buffers", "before": "128MB", "after": "1GB"}],
                    },
                ],
                "settings_left_out": 0,
            },
        },
        "links": [{"href": "https://reports.example.org/"}],
    }


@pytest.mark.parametrize(
    "phase, state, said",
    [
        ("begun", "planned", "tune has begun on db1: work_mem 4MB → 16MB"),
        ("ended", "tuned", "tune has ended on db1: work_mem 4MB → 16MB"),
        ("ended", "waits_for_restart", "tune has ended on db1: work_mem 4MB → 16MB (waits for a restart)"),
        ("rolled_back", "put_back", "tune was rolled back on db1: work_mem 4MB → 16MB"),
        ("rolled_back", "failed", "tune was rolled back on db1: work_mem 4MB → 16MB (failed)"),
    ],
)
def test_the_summary(phase: str, state: str, said: str) -> None:
    by_host = {"db1": rows(("work_mem", "4MB", "16MB"), state=state)}
    assert request(PAGER, by_host, phase)["body"]["payload"]["summary"] == said


def test_a_webhook_gets_the_same_without_the_key_and_slack_a_line() -> None:
    by_host = {"db1": rows(("search_path", None, "<!channel>"))}
    hook = request({"type": "webhook", "url": "https://h.example.org/", "headers": {"X-Token": "t"}}, by_host)
    pager = request(PAGER, by_host)["body"]
    assert hook["body"] == {name: value for name, value in pager.items() if name != "routing_key"}
    assert (hook["url"], hook["headers"]) == ("https://h.example.org/", {"X-Token": "t"})
    slack = request({"type": "webhook", "url": "https://h.example.org/", "template": "slack"}, by_host)["body"]
    assert slack == {"text": "tune has begun on db1: search_path not set → &lt;!channel&gt;"}


def test_a_large_batch_stays_below_the_limits() -> None:
    """1,024 characters of a summary, 512 kB of an event."""
    long = "pg-%04d." + "x" * 200
    by_host = {long % n: rows(*(("s%d.%s" % (m, "y" * 200), "z" * 300, str(n)) for m in range(2))) for n in range(1000)}
    body = request(PAGER, by_host)["body"]
    assert len(body["payload"]["summary"]) <= 1024 and len(body["payload"]["source"]) <= 255
    assert len(json.dumps(body)) < 512_000
    details = body["payload"]["custom_details"]
    told = sum(len(each["settings"]) for each in details["changes"])
    assert told == 100 and details["settings_left_out"] == 2000 - told and len(details["changes"]) == 1000


def test_a_secret_is_masked() -> None:
    by_host = {"db1": rows(("primary_conninfo", "password=s3cretOfTheStandby", "password=an0therSecret"))}
    said = json.dumps(request(PAGER, by_host)["body"], ensure_ascii=False)
    assert "s3cret" not in said and "an0ther" not in said
    assert "primary_conninfo ******** → ********" in said


def test_a_channel_is_told_once_whatever_it_is_called_and_whoever_is_told_by_it() -> None:
    dba = {**PAGER, "name": "dba", "levels": ["dba"]}
    other = {**PAGER, "name": "other", "routing_key": "o" * 32}
    mail = {"type": "mail", "from": "a@example.org", "to": {"dba": ["b@example.org"]}}
    by_host = {"db1": read(PAGER, dba, mail), "db2": read(other, mail), "db3": read(mail), "db4": read(dba, other)}
    found = channels.distinct(by_host, changes.TYPES)
    assert [(channel["routing_key"][0], hosts) for channel, hosts in found] == [
        ("k", ["db1", "db4"]),
        ("o", ["db2", "db4"]),
    ]


def test_the_hosts_of_a_batch_are_one_silence_of_the_time_that_is_given() -> None:
    (channel,) = read({"type": "alertmanager", "url": "https://a.example.org", "silence_minutes": 5})
    for minutes, ends in ((None, "2026-11-29T10:46:07.000Z"), (75, "2026-11-29T11:56:07.000Z")):
        body = requests.silence(channel, ["db1", "db2"], "tune", "here-1", AT, minutes)["body"]
        assert body["endsAt"] == ends and body["comment"] == "tune of db1, db2, run here-1"
        assert body["matchers"][0]["value"] == "db1(:[0-9]+)?|db2(:[0-9]+)?"
