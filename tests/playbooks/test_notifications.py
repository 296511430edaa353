# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of an incident, as the playbooks do it: real receivers on loopback."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.store import Store
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.timeline import event, time_of, written
from tests.embedded import Certificates, Server
from tests.receivers import Dribble, Http, Mailbox, Silent, alertmanager, free_port

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
        assert [headers["X-Token"] for path, headers, _body in http.got if path == "/hook"] == [SECRETS[2]]
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


def test_channels_that_are_down_cost_a_recovery_seconds_in_all(tmp_path: Path, down: Server) -> None:
    """Each of them alone takes 5 seconds or more, and a procedure waits for it."""
    with Http() as http, Dribble() as dribble, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Silent()).port for _each in range(6)]
        mail = {"type": "mail", "host": "127.0.0.1", "from": "a@example.org", "to": {"on_call": ["b@example.org"]}}
        channels: list[dict[str, Any]] = [
            *({"type": "webhook", "name": "w%d" % port, "url": "http://127.0.0.1:%d/" % port} for port in silent[:3]),
            *({**mail, "name": "m%d" % port, "port": port} for port in silent[3:]),
            {"type": "webhook", "name": "endless", "url": "http://127.0.0.1:%d/" % dribble.port},
            {"type": "webhook", "url": http.url + "/hook"},
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
        said = " ".join(out.split())
        for dead in ("endless: not sent, the next run tries again: no answer within 10 seconds", "timed out"):
            assert dead in said, out
        events = [json.loads(each) for each in record(tmp_path).read_text().splitlines()]
        queued = min(each["at"] for each in events if each["kind"] == "queued")
        failed = [each for each in events if each["kind"] == "failed" and each["notice"] == "trigger"]
        first = {each["channel"] for each in failed}
        assert len(first) == 7, failed
        ended, began = (time_of(at) for at in (min(each["at"] for each in failed), queued))
        assert ended and began and ended - began < timedelta(seconds=20), events


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not")  # aiosmtpd knows of STARTTLS only
def test_every_way_to_refuse_and_to_trust(tmp_path: Path, down: Server) -> None:
    """TLS with a certificate of one's own, a log-in, and answers that are no yes."""
    certificates = Certificates(tmp_path)
    login = {"username": "oncall", "password": SECRETS[3]}
    with contextlib.ExitStack() as stack:
        https, other = stack.enter_context(Http(certificates)), stack.enter_context(Http())
        limited, moved = stack.enter_context(Http()), stack.enter_context(Http())
        limited.status, limited.says = 429, b"rate_limited %s " % SECRETS[1].encode() + b"." * 150 + SECRETS[2].encode()
        moved.status = 302
        boxes = {
            "implicit": stack.enter_context(Mailbox("implicit", certificates, ("oncall", SECRETS[3]))),
            "starttls": stack.enter_context(Mailbox("starttls", certificates, ("oncall", SECRETS[3]))),
            "plain": stack.enter_context(Mailbox()),
        }

        def mail(name: str, box: str, **more: Any) -> dict[str, Any]:
            told = {"from": "oncall@example.org", "to": {"on_call": ["ann@example.org"]}}
            return {"type": "mail", "name": name, "host": "127.0.0.1", "port": boxes[box].port, **told, **more}

        def hook(name: str, url: str, **more: Any) -> dict[str, Any]:
            headers = {"X-Token": SECRETS[2], "Authorization": "Bearer %s\n" % SECRETS[2]}  # a file's last newline
            return {"type": "webhook", "name": name, "url": url, "headers": headers, **more}

        trusted = {"ca_path": str(certificates.authority)}
        channels = [
            mail("implicit", "implicit", secure="always", **login, **trusted),
            mail("starttls", "starttls", secure="starttls", **login, **trusted),
            mail("offered", "starttls", **login, **trusted),
            mail("unknown", "starttls", secure="starttls", **login),
            mail("wrong", "starttls", secure="starttls", username="oncall", password="n0tTheOne4714", **trusted),
            mail("open", "plain", **login),
            mail("local", "plain"),
            hook("https", https.url + "/hook", **trusted),
            hook("stranger", https.url + "/hook"),
            hook("limited", "%s/%s" % (limited.url, SECRETS[1])),
            hook("moved", moved.url + "/hook"),
        ]
        run = controller(tmp_path, down, channels)
        code, out = run.run(*book("triage"))
        assert code == 0, out
        arrived = {"implicit", "starttls", "offered", "local", "https"}
        assert {name for name, _notice in told(tmp_path, "sent")} == arrived, out
        said = " ".join(out.split())
        again = ": not sent, the next run tries again: "
        for name, why in {
            "unknown": "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
            "stranger": "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
            "wrong": "SMTP status 535",
            "open": "the server offers no TLS, so the password is not sent",
            "limited": "HTTP status 429: rate_limited ****",
            "moved": "HTTP status 302 (a redirect is not followed",
        }.items():
            assert name + again + why in said, (name, out)
        assert "give its file as ca_path" in said
        assert [len(box.got) for box in boxes.values()] == [1, 2, 1] and len(https.got) == 1 and not other.got
        assert https.got[0][1]["X-Token"] == SECRETS[2] and https.got[0][1]["Authorization"] == "Bearer " + SECRETS[2]
        assert "Summary: " in boxes["implicit"].texts[0] and "Host: db" in boxes["implicit"].texts[0]
        holds_no_secret(tmp_path, out)
        assert "n0tTheOne4714" not in out + record(tmp_path).read_text()


def test_damage_is_an_emergency_at_once(tmp_path: Path) -> None:
    with Http() as http, Mailbox() as mailbox, Server(settings={"autovacuum": "off"}, initdb=["-k"]) as server:
        server.sql("CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) AS n")
        file = server.data / server.sql("SELECT pg_relation_filepath('orders')")
        server.sql("CHECKPOINT")
        server.stop()
        with file.open("r+b") as pages:
            pages.seek(4000)
            pages.write(b"\x5a" * 64)
        server.start()
        with pytest.raises(RuntimeError, match="invalid page"):
            server.sql("SELECT count(*) FROM orders")
        channels: list[dict[str, Any]] = [
            {"type": "webhook", "url": http.url + "/hook"},
            {
                "type": "mail",
                "host": "127.0.0.1",
                "port": mailbox.port,
                "from": "oncall@example.org",
                "to": {"emergency": ["cto@example.org"]},
            },
        ]
        run = controller(tmp_path, server, channels)
        code, out = run.run(*book("triage"))
        for _again in range(20):  # the failure is counted when its session has ended
            if http.got:
                break
            code, out = run.run(*book("triage"))
        assert code == 0, out
        assert [each["notice"] for each in http.bodies("/hook")] == ["trigger", "escalate_emergency"], out
        ((subject, to),) = mailbox.got
        assert subject.startswith("EMERGENCY: [EMERGENCY] db: data_corruption / checksum_failure: "), subject
        assert to == ["cto@example.org"]
        run.run(*book("triage"))  # a scheduled run does not start anew
        assert len(http.got) == 2 and len(mailbox.got) == 1
        age(tmp_path, 20)
        run.run(*book("triage"))
        assert [each["notice"] for each in http.bodies("/hook")][2:] == ["remind", "escalate_dba"]
        assert len(mailbox.got) == 1 and len({each["key"] for each in http.bodies("/hook")}) == 1


def end(directory: Path) -> None:
    """Ends each process of the run in this directory, as a power cut would. No server runs there."""
    mark = ("HOME=%s" % (directory / "home")).encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def test_a_run_that_was_killed_and_two_at_once(tmp_path: Path, down: Server) -> None:
    with Http() as http, concurrent.futures.ThreadPoolExecutor() as pool:
        run = controller(tmp_path, down, [{"type": "pagerduty", "routing_key": SECRETS[0], "url": http.url + "/p"}])
        http.may_answer.clear()
        killed = pool.submit(run.run, *book("triage"))
        assert http.asked.wait(120)
        end(tmp_path)
        assert killed.result()[0] < 0
        http.may_answer.set()
        assert told(tmp_path, "queued") == [("pagerduty", "trigger")] and not told(tmp_path, "sent")
        age(tmp_path, 2)
        outs = list(pool.map(lambda _n: run.run(*book("triage")), range(2)))
        assert [code for code, _out in outs] == [0, 0] and len(http.got) == 2, outs
        first, second = http.bodies("/p")
        assert first["dedup_key"] == second["dedup_key"] == record(tmp_path).stem
        assert told(tmp_path, "sent") == [("pagerduty", "trigger")]


def test_a_large_outage_is_told_by_and_by(tmp_path: Path, down: Server) -> None:
    store, now = Store(str(tmp_path / "incidents")), datetime.now(UTC)
    codes = ["fault_%s" % letter for letter in "abcdefghijklmnopqrstuvwx"]
    with store.locked():
        for each in codes:
            severity = "emergency" if each == "fault_x" else "critical"
            store.opened(event(now, "opened", host="db", code=each, severity=severity, summary="It is down"))
    with Http() as http, Mailbox() as mailbox:
        channels: list[dict[str, Any]] = [
            {"type": "webhook", "url": http.url + "/hook", "levels": ["on_call"]},
            {
                "type": "webhook",
                "name": "slack",
                "template": "slack",
                "url": http.url + "/slack",
                "levels": ["on_call"],
            },
            {
                "type": "mail",
                "host": "127.0.0.1",
                "port": mailbox.port,
                "from": "oncall@example.org",
                "to": {"on_call": ["ann@example.org"]},
            },
        ]
        run = controller(tmp_path, down, channels)
        code, out = run.run(*book("triage"))
        first = [body["code"] for body in http.bodies("/hook")]
        assert code == 0 and len(first) == 20 and first[0] == "fault_x", out
        assert "webhook: 5 more are due, and are sent next time" in " ".join(out.split()), out
        assert [subject for subject, _to in mailbox.got] == [
            "[EMERGENCY] 25 incidents: fault_x (1), fault_a (1), fault_b (1), fault_c (1), fault_d (1), and others"
        ]
        assert len(http.bodies("/slack")) == 1 and "server_down" in mailbox.texts[0]
        run.run(*book("triage"))
        assert len(mailbox.got) == len(http.bodies("/slack")) == 1
        assert sorted(body["code"] for body in http.bodies("/hook")) == [*codes, "server_down"]


def test_a_slip_in_a_channel_is_refused_before_anything_is_done(tmp_path: Path, down: Server) -> None:
    mail = {"type": "mail", "from": "oncall@example.org"}
    slips: list[dict[str, Any]] = [
        {"type": "pagerdut", "routing_key": SECRETS[0]},
        {"type": "pagerduty", "name": "b", "routingkey": SECRETS[0]},
        {"type": "webhook", "name": "c", "url": "hooks.example.org/" + SECRETS[1]},
        {**mail, "name": "d", "to": {"oncall": ["ann@example.org"]}},
        {**mail, "name": "e", "to": {"on_call": ["ann@example.org"]}, "port": 0},
        {"type": "pagerduty", "name": "f", "routing_key": " "},
        {**mail, "name": "g", "to": {"on_call": [""]}},
    ]
    run = controller(tmp_path, down, slips)
    code, out = run.run(*book("start"))
    assert code == 2 and "Nothing was done" in out, out
    said = " ".join(out.split())
    for why in (
        "Did you mean pagerduty?",
        "Did you mean routing_key?",
        "oncall_notify[2] (webhook): url is no address",
        "Did you mean on_call?",
        "port is 0",
        "oncall_notify[5] (pagerduty): routing_key is empty.",
        "oncall_notify[6] (mail): to.on_call is empty.",
    ):
        assert why in said, (why, out)
    code, out = run.run(*book("triage", "-e", '{"oncall_notify": [], "oncall_incident_dir": ["incidents"]}'))
    assert code == 2 and "oncall_incident_dir is ['incidents']. Give the path of a directory." in " ".join(out.split())
    assert not (tmp_path / "incidents").exists()
    holds_no_secret(tmp_path, out)


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


TUNED = """
- hosts: postgresql
  gather_facts: false
  serial: 3
  tasks:
    - ansible.builtin.set_fact:
        oncall_settings: "{{ rows }}"
    - oncall.postgresql.notification: &begun
        state: changed
        verb: tune
        phase: begun
        variable: oncall_settings
        links: [{href: "https://reports.example.org/", text: Report}]
    - oncall.postgresql.notification:
        state: silenced
        verb: tune
        minutes: 75
      register: silenced
    - oncall.postgresql.notification:
        state: lifted
        silences: "{{ silenced.silences }}"
    - oncall.postgresql.notification:
        <<: *begun
        phase: ended
    - oncall.postgresql.report:
        settings: oncall_settings
        report_dir: "{{ playbook_dir }}/reports"
      when: inventory_hostname == 'd'
"""


def test_a_batch_that_is_tuned_is_one_event_for_each_channel(tmp_path: Path) -> None:
    """Nothing is tuned here: what is told of it is the same."""
    with Http() as http, Http() as limited, Http() as moved, alertmanager(tmp_path) as alerts:
        limited.status, limited.says = 429, b"rate_limited %s" % SECRETS[1].encode()
        moved.status = 302
        pager = {"type": "pagerduty", "routing_key": SECRETS[0], "url": http.url + "/v2/enqueue"}
        channels: list[dict[str, Any]] = [
            pager,
            {**pager, "name": "dba", "levels": ["dba"]},
            {"type": "webhook", "url": http.url + "/hook", "headers": {"X-Token": SECRETS[2]}},
            {"type": "webhook", "name": "limited", "url": "%s/%s" % (limited.url, SECRETS[1])},
            {"type": "webhook", "name": "moved", "url": moved.url + "/hook"},
            {"type": "pagerduty", "name": "gone", "routing_key": "g" * 32, "url": "http://127.0.0.1:%d/" % free_port()},
            {"type": "alertmanager", "url": alerts.url},
        ]
        run = Controller(tmp_path, {name: {} for name in "abcde"})
        inventory = json.loads((tmp_path / "inventory.json").read_text())
        inventory["postgresql"]["vars"]["oncall_notify"] = channels
        told = {"name": "work_mem", "before": None, "after": "16MB", "state": "planned", "why": ""}
        secret = {**told, "name": "primary_conninfo", "after": "host=a password=%s" % SECRETS[3]}
        rows = {"a": [told], "b": [told, secret], "c": [told], "d": [told], "e": [{**told, "state": "skipped"}]}
        for name, mine in rows.items():
            inventory["postgresql"]["hosts"][name] = {"rows": mine}
        (tmp_path / "inventory.json").write_text(json.dumps(inventory))
        (tmp_path / "tuned.yml").write_text(TUNED)
        code, out = run.run("ansible-playbook", "tuned.yml", "--check")
        assert code == 0 and not http.got and not limited.got and alerts.get("silences") == [], out
        code, out = run.run("ansible-playbook", "tuned.yml", "-vvv")
        assert code == 0, out
        events = http.bodies("/v2/change/enqueue")
        assert [(each["payload"]["custom_details"]["phase"], each["payload"]["source"]) for each in events] == [
            ("begun", "a, b, c"),
            ("ended", "a, b, c"),
            ("begun", "d"),
            ("ended", "d"),
        ]
        for each in events:
            assert set(each) == {"routing_key", "payload", "links"} and each["routing_key"] == SECRETS[0]
            assert set(each["payload"]) == {"summary", "timestamp", "source", "custom_details"}
            assert 0 < len(each["payload"]["summary"]) <= 1024 and time_of(each["payload"]["timestamp"])
            assert each["links"] == [{"href": "https://reports.example.org/", "text": "Report"}]
        assert events[0]["payload"]["custom_details"]["changes"] == [
            {"hosts": ["a", "c"], "settings": [told]},
            {"hosts": ["b"], "settings": [told, {**secret, "after": "********"}]},
        ]
        assert [{**each, "routing_key": SECRETS[0]} for each in http.bodies("/hook")] == events
        said = " ".join(out.split())
        for why in (
            "Change event: limited: not sent: HTTP status 429: rate_limited ****",
            "Change event: moved: not sent: HTTP status 302 (a redirect is not followed",
            "Change event: gone: not sent: [Errno 111] Connection refused",
        ):
            assert why in said, (why, out)
        first, second = sorted(alerts.get("silences"), key=lambda each: str(each["startsAt"]))
        pattern = {each["name"]: each["value"] for each in first["matchers"]}["instance"]
        assert pattern == "a(:[0-9]+)?|b(:[0-9]+)?|c(:[0-9]+)?" and first["comment"].startswith("tune of a, b, c, run ")
        assert [each["status"]["state"] for each in (first, second)] == ["expired"] * 2
        # The report has been read by whoever runs it, and its secrets masked.
        shown = out.partition("── Settings ")[2]
        assert "primary_conninfo  not set → ********  planned" in shown and "! a, c, d" in shown, out
        assert json.loads((tmp_path / "reports" / "a.json").read_text())["settings"] == [told]
        assert "primary_conninfo" in (tmp_path / "reports" / "index.html").read_text()
