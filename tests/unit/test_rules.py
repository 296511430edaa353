# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules and the dashboard are those of the verdict table."""

from __future__ import annotations

import itertools
import json
import pathlib
import re

import pytest
import yaml

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import VERDICTS
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import EMERGENCY, WARNING
from scripts.roles import options
from scripts.rules import CHECKOUT, FILES, RULES, WRITTEN, Rule, alert

QUERIES = FILES / "postgres_exporter_queries.yml"


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_the_files_are_those_of_the_table(path: pathlib.Path) -> None:
    assert path.read_text(encoding="utf-8") == WRITTEN[path](), "run: .venv/bin/python -m scripts.rules"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_a_rule_warns_before_and_is_no_graver_than_its_verdict(rule: Rule) -> None:
    severities = [level.severity for level in rule.levels]
    assert severities in (["warning", "critical"], ["warning"], ["critical"], ["emergency"])
    gravest = {row.severity for row in rule.rows}
    assert (EMERGENCY in gravest) == (severities == [EMERGENCY]) or rule.alert == "PostgresqlDown"
    # A standby's lag is a warning of triage's, which does not know for how long it has lasted.
    assert gravest != {WARNING} or rule.code == "replication_lag"
    assert [level.above for level in rule.levels] == sorted(level.above for level in rule.levels)


def test_a_verdict_that_comes_slowly_has_a_rule() -> None:
    told = {(rule.code, cause) for rule in RULES for cause in rule.causes}
    codes = {"pool_exhausted", "wraparound_risk"}  # all causes of these; of the others those that a metric can show
    assert {verdict for verdict in VERDICTS if verdict[0] in codes} <= told


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.code == "unknown"], ids=lambda rule: rule.alert)
def test_what_triage_does_not_look_at_has_a_remedy_of_its_own(rule: Rule) -> None:
    """Triage asks the server, and finds nothing wrong with it where only its exporter is."""
    made = alert(rule, rule.levels[0], None, "15m")["annotations"]
    assert "postgres_exporter" in made["remedy"] and "as triage says" not in made["remedy"]
    assert (made["escalate"] == "DBA, immediately") == (rule.levels[0].severity != WARNING)


def test_what_the_rules_ask_for_is_in_the_queries_file() -> None:
    queries = yaml.safe_load(QUERIES.read_text(encoding="utf-8"))
    has = {
        "%s_%s" % (name, column)
        for name, query in queries.items()
        for metric in query["metrics"]
        for column, what in metric.items()
        if what["usage"] != "LABEL"
    }
    wanted = {name for path in WRITTEN for name in re.findall(r"\bpg_oncall_\w+", path.read_text(encoding="utf-8"))}
    assert wanted == has
    assert all(query["master"] for query in queries.values())  # once a server, not once a database


def test_a_runbook_link_leads_to_a_heading() -> None:
    text = (CHECKOUT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    for group in yaml.safe_load((FILES / "oncall_postgresql.rules.yml").read_text(encoding="utf-8"))["groups"]:
        for each in group["rules"]:
            url, _hash, code = each["annotations"]["runbook_url"].partition("#")
            assert "\n## `%s`\n" % code in text
            assert url == options(FILES.parent)["monitoring_runbook_url"]["default"]


def test_the_dashboard_has_a_place_for_each_panel_and_a_panel_for_each_rule() -> None:
    board = json.loads((FILES / "oncall_postgresql.dashboard.json").read_text(encoding="utf-8"))
    panels = board["panels"]
    places = [panel["gridPos"] for panel in panels]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    sources = [panel["datasource"] for panel in panels] + [
        each["datasource"] for panel in panels for each in panel["targets"]
    ]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    shown = " ".join(each["expr"] for panel in panels for each in panel["targets"])
    for rule in RULES:
        assert rule.measure.replace("{window}", "15m") in shown or rule.code in ("server_down", "unknown")
