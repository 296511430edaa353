# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An incident from the alarm to its closing, as the playbooks record it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import frame
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.store import Store
from tests.embedded import Server

from .test_real_servers import PASSWORD, Controller, beside, connect


@pytest.fixture
def down() -> Iterator[Server]:
    with Server(16) as server:
        server.stop("fast")
        yield server


@pytest.fixture
def controller(tmp_path: Path, down: Server) -> Controller:
    found = Controller(tmp_path, {"db/1": beside(down, clients=[])})
    inventory = json.loads((tmp_path / "inventory.json").read_text())
    inventory["postgresql"]["hosts"]["db/1"]["oncall_incident_dir"] = str(tmp_path / "incidents")
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    return found


def events(controller: Controller) -> list[dict[str, Any]]:
    (file,) = (controller.directory / "incidents").glob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def page(controller: Controller) -> str:
    (file,) = (controller.directory / "incidents").glob("*.md")
    return file.read_text()


def book(verb: str, *more: str) -> list[str]:
    return ["ansible-playbook", "oncall.postgresql.%s" % verb, *more]


def test_from_the_alarm_to_health(controller: Controller, down: Server) -> None:
    _code, out = controller.run(*book("triage", "--check"))
    assert not (controller.directory / "incidents").exists(), out
    _code, out = controller.run(*book("triage"))
    _code, out = controller.run(*book("triage"))  # the same again: nothing new to say
    (path,) = re.findall(r"^Incident: (.*\.md)$", out, re.M)
    assert [each["kind"] for each in events(controller)] == ["opened", "look"], out
    first = events(controller)[0]
    assert (first["host"], first["code"], first["severity"]) == ("db/1", "server_down", "critical")
    assert first["impact"]["source"] == "the server stopped" and first["impact"]["start"] < first["at"]
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    code, out = controller.run(*book("respond", "-e", "oncall_auto_remedies=start"))
    assert code == 0 and down.sql("SELECT 1") == "1" and path in out, out
    assert [each["kind"] for each in events(controller)] == [
        "opened",
        "look",
        "evidence",
        "begins",
        "ended",
        "look",
    ]
    begins, ended, look = events(controller)[3:]
    assert (begins["verb"], ended["verb"], ended["outcome"], look["code"]) == ("start", "start", "done", "healthy")
    assert begins["run"] == ended["run"] and ended["seconds"] > 0
    assert "Impact end | 2" in page(controller) and "State | open" in page(controller)
    controller.run(*book("integrity_check"))
    assert [each["kind"] for each in events(controller)][6:] == ["graded"]
    controller.run(*book("start", "--check"))
    assert len(events(controller)) == 7, "a plan is no deed"


def test_a_record_that_cannot_be_written_stops_no_recovery(controller: Controller, down: Server) -> None:
    (controller.directory / "incidents").write_text("")
    code, out = controller.run(*book("start"))
    assert code == 0 and down.sql("SELECT 1") == "1", out
    assert (
        len(re.findall(r"^Incident: not recorded, .*/incidents cannot be written \(.*\)\. Give another", out, re.M))
        == 1
    )


def test_hosts_with_records_of_their_own_are_refused(tmp_path: Path) -> None:
    nobody = {"runtime": "remote", "login_host": "127.0.0.1", "login_port": 1}
    controller = Controller(tmp_path, {"a": nobody, "b": {**nobody, "login_port": 2}, "c": {**nobody, "login_port": 3}})
    inventory = json.loads((tmp_path / "inventory.json").read_text())
    for host in "ab":
        inventory["postgresql"]["hosts"][host]["oncall_incident_dir"] = str(tmp_path / "incidents")
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    code, out = controller.run(*book("triage"))
    assert code == 2 and "not the same for all hosts: %s/incidents (a, b), none (c)." % tmp_path in out, out
    code, out = controller.run(*book("triage"), "--limit", "a,b")
    assert code == 0, out


OPENED = """
- hosts: postgresql
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        oncall_triage: "{{ look }}"
    - oncall.postgresql.incident:
        state: open
        directory: incidents
        triage: oncall_triage
      register: told
    - ansible.builtin.debug:
        var: told.msg
"""


def test_what_spoils_one_record_keeps_none_of_the_others_from_being_written(tmp_path: Path) -> None:
    """A page that is a directory, and a look that opens nothing."""
    controller = Controller(tmp_path, {name: {} for name in "abc"})
    inventory = json.loads((tmp_path / "inventory.json").read_text())
    for name, verdict_code in {"a": "no code", "b": "server_down", "c": "server_down"}.items():
        verdict = {"code": verdict_code, "cause": "stopped", "severity": "critical", "summary": "It is down"}
        inventory["postgresql"]["hosts"][name] = {"look": {"verdict": verdict}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    (tmp_path / "opened.yml").write_text(OPENED)
    store = Store(str(tmp_path / "incidents"))
    look = inventory["postgresql"]["hosts"]["b"]["look"]
    with store.locked():
        spoilt = store.opened(frame.opened("b", look, datetime.now(UTC)))
    page = tmp_path / "incidents" / (spoilt.id + ".md")
    page.unlink()
    page.mkdir()
    code, out = controller.run("ansible-playbook", "opened.yml")
    assert code == 0, out
    kinds = {mine.host: [each["kind"] for each in mine.events] for (mine,) in store.open_of("abc").values()}
    assert kinds == {"b": ["opened", "look"], "c": ["opened", "look"]}, out
    said = out.replace("\\n", " ")
    assert "%s cannot be written (Is a directory). The rest is recorded." % page in said, out
    assert "the record of a cannot be written ('no code' is no code of a verdict). The rest is recorded." in said, out


SECRET = "another-secret-of-the-playbooks"
SETTLED = {
    "oncall_root_cause": "the pool of the shop leaks",
    "oncall_corrective_actions": [{"what": "Close what was opened", "owner": "ann", "due": "2026-12-01"}],
    "oncall_slow_queries_reviewed": True,
    "oncall_accept_caution": "amcheck comes with the next release",
    "oncall_monitoring": "the dashboard of the shop",
    "oncall_pool_sizes": {"shop": 20},
}


def given(**values: Any) -> list[str]:
    return ["-e", json.dumps(values)]


KILLED = """
import os, signal, sys
from datetime import datetime, timezone
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import frame
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.store import Store
store = Store(sys.argv[1])
with store.locked():
    (mine,) = store.open_of(["db"])["db"]
    store.append(mine.id, [frame.begins("graceful_restart", "killed", "ann", datetime.now(timezone.utc))])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_leak_from_the_alarm_to_the_closing(tmp_path: Path) -> None:
    with Server() as server, contextlib.ExitStack() as stack:
        server.hba("local all all trust", "host all all 127.0.0.1/32 scram-sha-256")
        server.sql("CREATE ROLE shop LOGIN PASSWORD '%s' CONNECTION LIMIT 3" % PASSWORD)
        server.sql("CREATE DATABASE shop OWNER shop")
        target = beside(server, login_password=SECRET)
        controller = Controller(tmp_path, {"db": target})
        for _unused in range(3):
            stack.enter_context(contextlib.closing(connect(server)))
        place = given(oncall_incident_dir="incidents")
        controller.run(*book("triage"), *place)
        assert events(controller)[0]["code"] == "pool_exhausted"
        # A run is killed between a procedure and its record: what is known is said, and the next run goes on.
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "incidents")], check=False)
        assert killed.returncode == -signal.SIGKILL and "began, no result recorded" in page(controller)
        code, out = controller.run(*book("pool_reset"), *place, "-e", "oncall_idle_minutes=0.001")
        assert code == 0, out
        kinds = [each["kind"] for each in events(controller)]
        assert kinds == ["opened", "look", "begins", "look", "evidence", "begins", "ended", "look"], out
        assert [each["outcome"] for each in events(controller) if each["kind"] == "ended"] == ["done"]
        _holds_no_secret(Path(events(controller)[4]["path"]))
        _closing(controller, place)


def _holds_no_secret(path: Path) -> None:
    assert path.stat().st_size < 5_000_000 and stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive}
        found = {name: file.read().decode() for name, file in files.items() if file}
    assert {"evidence/%s" % name for name in ("CONTENTS.txt", "triage.json", "hba_rules.json", "locks.json")} < set(
        found
    )
    assert json.loads(found["evidence/triage.json"])["verdict"]["code"] == "pool_exhausted"
    assert json.loads(found["evidence/activity.json"])["connections"]["used"] == 3
    assert [each["user"] for each in json.loads(found["evidence/sessions.json"])].count("shop") == 3
    assert "database system is ready" in "".join(text for name, text in found.items() if "/logs/" in name)
    assert "127.0.0.1" in found["evidence/hba_rules.json"] and "log of shop: it is no" in found["evidence/CONTENTS.txt"]
    assert [name for name, text in found.items() if PASSWORD in text or SECRET in text or "SCRAM-SHA" in text] == []


def _closing(controller: Controller, place: list[str]) -> None:
    kept = given(oncall_baseline_dir="baselines")
    code, out = controller.run(*book("baseline"), *kept)
    assert code == 0, out
    code, out = controller.run(*book("close_incident"), *place, *kept)
    assert code == 2 and "checklist, open: Root cause given: give -e oncall_root_cause=" in " ".join(out.split()), out
    refused = events(controller)[-1]
    done = {item["name"]: item["done"] for item in refused["items"]}
    assert refused["kind"] == "refused" and done["health"] and done["sessions"]
    details = {item["name"]: item["detail"] for item in refused["items"]}
    assert "backups" in details["integrity"] and "baseline" not in details["integrity"], details
    assert details["slow_queries"].startswith("which are slow is not known: the server has no pg_stat_statements"), (
        details
    )
    assert [name for name, is_done in done.items() if not is_done] == [
        "root_cause",
        "integrity",
        "pools",
        "monitoring",
        "slow_queries",
        "corrective_actions",
    ], out
    code, out = controller.run(*book("close_incident"), *place, *given(oncall_close_anyway={"pool": "x"}))
    assert code == 2 and "no item pool. Did you mean pools?" in out, out
    code, out = controller.run(*book("close_incident", "--check"), *place, *given(**SETTLED))
    assert code == 0 and "would be closed" in out and events(controller)[-1]["kind"] == "refused", out
    anyway = given(**{**SETTLED, "oncall_pool_sizes": {"shop": 99}}, oncall_close_anyway={"pools": "asked its owner"})
    code, out = controller.run(*book("close_incident"), *place, *anyway)
    assert code == 0 and "checklist, accepted: Pool settings within the server's budget: shop: 99 of 97" in " ".join(
        out.split()
    ), out
    closed = events(controller)[-1]
    assert closed["kind"] == "closed" and closed["corrective_actions"][0]["owner"] == "ann"
    text = page(controller)
    assert "| Close what was opened | ann | 2026" in text and "State | closed" in text
    assert "Accepted: asked its owner" in text and "the pool of the shop leaks" in text
    code, out = controller.run(*book("close_incident"), *place)
    assert code == 2 and "There is no open incident in " in out, out
