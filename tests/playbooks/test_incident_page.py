# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's page shows the incident as its record has it, and the data against its baseline."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from xml.etree import ElementTree

from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import told
from tests.embedded import Server
from tests.receivers import Http
from tests.unit.test_report_html import words

from .test_notifications import age, record
from .test_real_servers import PASSWORD, Controller, beside, connect

NOTE = "<script>alert(1)</script> \u202eonly text"


def test_a_leak_an_escalation_and_what_became_of_the_data(tmp_path: Path) -> None:
    with Server(settings={"max_connections": 20}) as server, contextlib.ExitStack() as stack, Http() as http:
        server.hba("local all all trust", "host all all 127.0.0.1/32 scram-sha-256")
        server.sql("CREATE ROLE shop LOGIN PASSWORD '%s'" % PASSWORD)
        server.sql("CREATE DATABASE shop OWNER shop")
        server.sql("CREATE TABLE orders AS SELECT generate_series(1, 500) AS id", database="shop")
        controller = Controller(tmp_path, {"db": beside(server, clients=[])})
        inventory = json.loads((tmp_path / "inventory.json").read_text())
        inventory["postgresql"]["vars"].update(
            oncall_report_dir="reports",
            oncall_incident_dir=str(tmp_path / "incidents"),
            oncall_baseline_dir=str(tmp_path / "baselines"),
            oncall_tables=["shop:public.orders"],
            oncall_notify=[{"type": "webhook", "name": "slack", "url": http.url + "/hook"}],
        )
        (tmp_path / "inventory.json").write_text(json.dumps(inventory))

        def book(verb: str, *more: str) -> str:
            _code, out = controller.run("ansible-playbook", "oncall.postgresql.%s" % verb, *more)
            return out

        out = book("baseline")
        for _unused in range(17):
            stack.enter_context(contextlib.closing(connect(server)))
        out += book("triage")
        age(tmp_path, 25)
        out += book("triage")
        noted = json.dumps({"state": "noted", "directory": str(tmp_path / "incidents"), "text": NOTE})
        out += controller.run("ansible", "db", "-m", "oncall.postgresql.incident", "-a", noted)[1]
        out += book("pool_reset", "-e", "oncall_idle_minutes=0.001")
        server.sql("DELETE FROM orders WHERE id > 100", database="shop")
        out += book("integrity_check")

    (alone,) = (tmp_path / "incidents").glob("*.html")
    events = [json.loads(line) for line in record(tmp_path).read_text().splitlines()]
    assert {"opened", "look", "escalated", "sent", "note", "evidence", "begins", "ended", "graded"} <= {
        each["kind"] for each in events
    }, out
    looks = [each["figures"] for each in events if each["kind"] == "look"]
    assert [each["connections"] for each in looks] == [17, 17, 0], out
    for page in (alone, tmp_path / "reports" / "index.html"):
        raw = page.read_text()
        root = ElementTree.fromstring(raw)
        said = words(root)
        for each in events:
            assert each["kind"] == "queued" or words_of(told.said(each)) in said, each
        assert "17 of 17 usable slots0 of 17 usable slots" in said and "Sessions idle170" in said
        assert "slackescalated to the DBADBAsent" in said
        assert "Baselinecautiondiffers from the baseline" in said and "amcheck" in said
        assert "<script" not in raw and "\u202e" not in raw
        (chart,) = [each for each in root.iter("svg") if each.get("class") == "chart"]
        assert "17, 17, 0, of 17 usable slots" in str(chart.get("aria-label"))
    assert "Sizes against the baseline of " in said and "shop: public.orders100 rows, was 500" in said, out


def words_of(text: str) -> str:
    return " ".join(text.split())
