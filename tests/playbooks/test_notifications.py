# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of an incident, as the playbooks do it: real receivers on loopback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.store import Store
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.timeline import event, time_of, written
from tests.embedded import Server
from tests.receivers import Dribble, Http, Mailbox, alertmanager, free_port

from .test_real_servers import Controller, beside

SECRETS = ("R0utingKey4711Secret", "T0kenInTheAddress8812", "H3aderOfTheHook5521", "Alertm4nagersPassword")


@pytest.fixture
def down() -> Iterator[Server]:
    with Server(16) as server:
        server.stop("fast")
        yield server


def book(verb: str, *more: str) -> list[str]:
    return ["ansible-playbook", "oncall.postgresql.%s" % verb, "-vvv", *more]


def controller(
    directory: Path, server: Server, channels: list[dict[str, Any]], others: dict[str, Server] | None = None
) -> Controller:
    """``others`` come first, and have no channels."""
    servers = {**(others or {}), "db": server}
    found = Controller(directory, {name: beside(each, clients=[]) for name, each in servers.items()})
    inventory = json.loads((directory / "inventory.json").read_text())
    inventory["postgresql"]["vars"].update(oncall_incident_dir=str(directory / "incidents"))
    inventory["postgresql"]["hosts"]["db"].update(oncall_notify=channels)
    (directory / "inventory.json").write_text(json.dumps(inventory))
    return found


def record(directory: Path) -> Path:
    (file,) = (directory / "incidents").glob("*.jsonl")
    return file


def told(directory: Path, kind: str) -> list[tuple[str, str]]:
    events = [json.loads(each) for each in record(directory).read_text().splitlines()]
    return [(each["channel"], each["notice"]) for each in events if each["kind"] == kind]


def age(directory: Path, minutes: int) -> None:
    """As if all of it had happened that much earlier."""
    lines = []
    for each in map(json.loads, record(directory).read_text().splitlines()):
        at = time_of(each["at"])
        assert at
        lines.append(json.dumps({**each, "at": written(at - timedelta(minutes=minutes))}))
    record(directory).write_text("\n".join(lines) + "\n")


def holds_no_secret(directory: Path, out: str) -> None:
    texts = [out, *(file.read_text() for file in (directory / "incidents").glob("*.[jm]*"))]
    assert [secret for secret in SECRETS for text in texts if secret in text] == []


def test_from_the_alarm_to_health(tmp_path: Path, down: Server) -> None:
    with Http() as http, Mailbox() as mailbox, alertmanager(tmp_path) as alerts:
        channels: list[dict[str, Any]] = [
            {"type": "pagerduty", "routing_key": SECRETS[0], "url": http.url + "/v2/enqueue"},
            {"type": "webhook", "name": "slack", "template": "slack", "url": http.url + "/" + SECRETS[1]},
            {"type": "webhook", "url": http.url + "/hook", "headers": {"X-Token": SECRETS[2]}},
            {"type": "alertmanager", "url": alerts.url, "username": "oncall", "password": SECRETS[3]},
            {
                "type": "mail",
                "host": "127.0.0.1",
                "port": mailbox.port,
                "secure": "never",
                "from": "oncall@example.org",
                "to": {"on_call": ["ann@example.org"], "dba": ["dba@example.org"]},
            },
        ]
        run = controller(tmp_path, down, channels)
        code, out = run.run(*book("triage", "--check"))
        assert code == 0 and not http.got and not mailbox.got, out
        code, out = run.run(*book("triage"))
        assert code == 0, out
        holds_no_secret(tmp_path, out)
        (first,) = http.bodies("/v2/enqueue")
        assert (first["event_action"], first["routing_key"]) == ("trigger", SECRETS[0]), out
        assert first["dedup_key"] == record(tmp_path).stem and first["payload"]["source"] == "db"
        (alert,) = alerts.get("alerts")
        assert alert["labels"]["incident"] == record(tmp_path).stem and alert["status"]["state"] == "active"
        ((subject, to),) = mailbox.got
        assert subject.startswith("[CRITICAL] db: server_down / stopped: ") and to == ["ann@example.org"]
        assert "server_down" in http.bodies("/" + SECRETS[1])[0]["text"]
        assert http.got[-1][1]["X-Token"] == SECRETS[2] or http.got[-2][1].get("X-Token") == SECRETS[2]
        run.run(*book("triage"))  # the same again: nobody is told twice
        assert len(http.got) == 3 and len(mailbox.got) == 1
        code, out = run.run(*book("respond", "-e", "oncall_auto_remedies=start"))
        assert code == 0 and down.sql("SELECT 1") == "1", out
        holds_no_secret(tmp_path, out)
        actions = [each["event_action"] for each in http.bodies("/v2/enqueue")]
        assert actions == ["trigger", "acknowledge", "resolve"], out
        assert len({each["dedup_key"] for each in http.bodies("/v2/enqueue")}) == 1
        assert [subject.partition(":")[0] for subject, _to in mailbox.got[1:]] == ["ACKNOWLEDGED", "RESOLVED"]
        assert alerts.get("alerts") == []
        run.run(*book("triage"))
        assert len(http.got) == 9 and len(mailbox.got) == 3
        assert told(tmp_path, "failed") == [] and sorted(told(tmp_path, "sent")) == sorted(told(tmp_path, "queued"))


def test_what_could_not_be_sent_is_sent_by_the_next_run_and_the_dba_after_20_minutes(
    tmp_path: Path, down: Server
) -> None:
    gone = free_port()
    with Http() as http, Mailbox() as mailbox, Server() as sound:
        http.status = 500
        channels: list[dict[str, Any]] = [
            {"type": "webhook", "name": "hook", "url": http.url + "/hook"},
            {"type": "pagerduty", "routing_key": SECRETS[0], "url": "http://127.0.0.1:%d/" % gone},
            {
                "type": "mail",
                "host": "127.0.0.1",
                "port": mailbox.port,
                "secure": "never",
                "from": "oncall@example.org",
                "to": {"dba": ["dba@example.org"], "emergency": ["cto@example.org"]},
            },
        ]
        run = controller(tmp_path, down, channels, {"a-sound-one": sound})
        code, out = run.run(*book("triage"))
        assert code == 0, out
        shown = " ".join(out.split())  # ansible-core 2.18 wraps it
        for why in ("hook: not sent, the next run tries again: HTTP status 500", "Connection refused"):
            assert why in shown, out
        holds_no_secret(tmp_path, out)
        assert sorted(told(tmp_path, "failed")) == [("hook", "trigger"), ("pagerduty", "trigger")]
        http.status = 202
        code, out = run.run(*book("triage"))
        assert told(tmp_path, "sent") == [("hook", "trigger")] and not mailbox.got, out
        age(tmp_path, 20)
        code, out = run.run(*book("triage"))
        assert [to for _subject, to in mailbox.got] == [["dba@example.org"]], out
        assert mailbox.got[0][0].startswith("DBA NEEDED: [CRITICAL] db: server_down"), mailbox.got
        assert [each["notice"] for each in http.bodies("/hook")][2:] == ["remind", "escalate_dba"]
        events = [json.loads(each) for each in record(tmp_path).read_text().splitlines()]
        assert [(each["to"], each["why"]) for each in events if each["kind"] == "escalated"] == [
            ("dba", "unresolved for 20 minutes")
        ]
        run.run(*book("triage"))
        assert len(mailbox.got) == 1 and len(http.bodies("/hook")) == 4


def test_a_channel_that_never_ends_its_answer_stops_no_recovery(tmp_path: Path, down: Server) -> None:
    with Http() as http, Dribble() as dribble:
        channels: list[dict[str, Any]] = [
            {"type": "webhook", "url": http.url + "/hook"},
            {"type": "webhook", "name": "endless", "url": "http://127.0.0.1:%d/" % dribble.port},
        ]
        run = controller(tmp_path, down, channels)
        inventory = json.loads((tmp_path / "inventory.json").read_text())
        # Whatever the inventory says of localhost, it is the controller that sends.
        elsewhere = {"ansible_connection": "ssh", "ansible_host": "203.0.113.1", "ansible_become": True}
        inventory["others"] = {"hosts": {"localhost": {**elsewhere, "ansible_become_exe": "/nowhere"}}}
        (tmp_path / "inventory.json").write_text(json.dumps(inventory))
        code, out = run.run(*book("start"))
        assert code == 0 and down.sql("SELECT 1") == "1", out
        assert [each["action"] for each in http.bodies("/hook")] == ["trigger", "acknowledge", "resolve"], out
        assert ("endless", "trigger") in told(tmp_path, "failed")
        said = " ".join(out.split())  # each release of Ansible has words of its own for it
        assert re.search(r"endless: not sent, [^\[]*(after 10 second|time frame \(10\))", said), out


def test_a_large_outage_is_told_by_and_by(tmp_path: Path, down: Server) -> None:
    store, now = Store(str(tmp_path / "incidents")), datetime.now(UTC)
    codes = ["fault_%s" % letter for letter in "abcdefghijklmnopqrstuvwx"]
    with store.locked():
        for each in codes:
            severity = "emergency" if each == "fault_x" else "critical"
            store.opened(event(now, "opened", host="db", code=each, severity=severity, summary="It is down"))
    with Http() as http:
        run = controller(tmp_path, down, [{"type": "webhook", "url": http.url + "/hook", "levels": ["on_call"]}])
        code, out = run.run(*book("triage"))
        first = [body["code"] for body in http.bodies("/hook")]
        assert code == 0 and len(first) == 20 and first[0] == "fault_x", out
        assert "webhook: 5 more are due, and are sent next time" in " ".join(out.split()), out
        run.run(*book("triage"))
        assert sorted(body["code"] for body in http.bodies("/hook")) == [*codes, "server_down"]


def test_a_slip_in_a_channel_is_refused_before_anything_is_done(tmp_path: Path, down: Server) -> None:
    run = controller(tmp_path, down, [{"type": "pagerdut", "routing_key": SECRETS[0]}])
    code, out = run.run(*book("start"))
    assert code == 2 and "Did you mean pagerduty?" in out and "Nothing was done" in out, out
    run = controller(tmp_path, down, [{"type": "pagerduty", "routingkey": SECRETS[0]}])
    code, out = run.run(*book("start"))
    assert code == 2 and "Did you mean routing_key?" in out and SECRETS[0] not in out, out


@pytest.mark.parametrize("broken", [False, True], ids=["restarted", "refused"])
def test_alerts_are_silent_during_a_restart_and_not_after_it(tmp_path: Path, broken: bool) -> None:
    with Server() as server, alertmanager(tmp_path) as alerts:
        if broken:
            with (server.data / "postgresql.conf").open("a") as file:
                file.write("\nshared_buffers = nonsense\n")
        run = controller(tmp_path, server, [{"type": "alertmanager", "url": alerts.url}])
        code, out = run.run(*book("graceful_restart", "--check"))
        assert alerts.get("silences") == [], out
        code, out = run.run(*book("graceful_restart"))
        assert (code != 0) is broken, out
        (silence,) = alerts.get("silences")
        assert silence["status"]["state"] == "expired" and silence["comment"].startswith("graceful_restart of db, run ")
        starts, ends = time_of(silence["startsAt"]), time_of(silence["endsAt"])
        assert starts and ends and ends - starts < timedelta(minutes=5), silence
        assert {each["name"]: each["value"] for each in silence["matchers"]}["instance"] == "db(:[0-9]+)?"
