# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What respond.yml does about each verdict, and what it says afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional

import pytest
import yaml

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import VERDICTS, render
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import NO, Answer
from ansible_collections.oncall.postgresql.plugins.plugin_utils._respond import (
    ONE_BY_ONE,
    REMEDIES,
    allowed,
    outcome,
    respond,
)
from scripts.tables import CHECKOUT
from tests.unit.values import FILLED

HELPS = replace(FILLED, name="{{ 7*7 }}")


def triage(code: str, cause: Optional[str], *findings: str) -> Dict[str, Any]:
    verdict = render(Answer("", NO, "", code, cause, values=HELPS), "db1")
    return {"verdict": verdict, "findings": [{"code": found} for found in findings]}


def test_nothing_is_carried_out_by_default() -> None:
    for code, cause in VERDICTS:
        assert respond(triage(code, cause), [])["verb"] is None, (code, cause)


def test_everything_allowed_carries_out_exactly_what_is_recommended() -> None:
    for (code, cause), row in VERDICTS.items():
        response = respond(triage(code, cause), REMEDIES)
        assert response["verb"] == (row.remedy.playbook if row.remedy else None), (code, cause)
        wanted = "by_a_person"
        if row.remedy:
            wanted = "one_by_one" if row.remedy.playbook in ONE_BY_ONE else "side_by_side"
        assert response["way"] == wanted


def test_what_has_downtime_goes_one_by_one() -> None:
    assert set(ONE_BY_ONE) <= set(REMEDIES)
    assert respond(triage("not_accepting", "not_listening"), ["graceful_restart"])["way"] == "one_by_one"
    assert respond(triage("server_down", "killed"), ["start"])["way"] == "side_by_side"


@pytest.mark.parametrize(
    "code, cause, findings",
    [
        ("data_corruption", "checksum_failure", ()),
        ("server_down", "data_corruption", ()),
        ("server_down", "killed", ("data_corruption",)),
        ("pool_exhausted", "idle_connections", ("pending_restart", "data_corruption")),
    ],
)
def test_nothing_is_touched_where_corruption_is_suspected(code: str, cause: str, findings: List[str]) -> None:
    response = respond(triage(code, cause, *findings), REMEDIES)
    assert response["verb"] is None
    assert "corruption is suspected" in response["why"] and "Tell the " in response["why"]


@pytest.mark.parametrize(
    "given, verbs",
    [
        (None, []),
        ("", []),
        ([], []),
        ("start", ["start"]),
        ("start, reload", ["start", "reload"]),
        ("start\nreload\n", ["start", "reload"]),
        (["oncall.postgresql.pool_reset", "start"], ["pool_reset", "start"]),
    ],
)
def test_the_list_may_be_a_list_or_text(given: Any, verbs: List[str]) -> None:
    assert allowed(given) == verbs


@pytest.mark.parametrize("given", ["restart", ["triage"], "other.collection.start", ["start", "*"], "all"])
def test_a_slip_of_the_pen_is_no_permission(given: Any) -> None:
    with pytest.raises(ValueError, match="Give any of cancel_queries"):
        respond(triage("healthy", None), given)


@pytest.mark.parametrize("result", [{}, {"unreachable": True, "msg": "no route"}, {"failed": True, "verdict": None}])
def test_what_was_not_seen_is_not_mended(result: Dict[str, Any]) -> None:
    assert respond(result, REMEDIES)["verb"] is None


EXHAUSTED = triage("pool_exhausted", "role_limit")
HEALTHY = triage("healthy", None)


@pytest.mark.parametrize(
    "allow, after, failure, plan, said",
    [
        ([], EXHAUSTED, "", False, ["nothing: pool_reset is only recommended"]),
        (["pool_reset"], HEALTHY, "", False, ["pool_reset"]),
        (["pool_reset"], EXHAUSTED, "", False, ["pool_reset", "still wrong; nothing else is tried. Tell the DBA now."]),
        (
            ["pool_reset"],
            triage("server_down", "disk_full"),
            "",
            False,
            [
                "pool_reset",
                "Now it is server_down / disk_full; nothing else is tried. Tell the emergency contacts now.",
            ],
        ),
        (["pool_reset"], EXHAUSTED, "Refused:\n it is", False, ["pool_reset, which failed: Refused: it is", "still"]),
        (["pool_reset"], HEALTHY, "Unproven.", False, ["pool_reset, which failed: Unproven."]),
        (["pool_reset"], {"unreachable": True, "msg": "gone"}, "", False, ["pool_reset", "(gone). Tell the DBA now."]),
        (["pool_reset"], EXHAUSTED, "", True, ["nothing: this is the plan of pool_reset"]),
        (["pool_reset"], EXHAUSTED, "No.", True, ["nothing: pool_reset would not go: No."]),
    ],
)
def test_what_is_said(allow: List[str], after: Dict[str, Any], failure: str, plan: bool, said: List[str]) -> None:
    lines = outcome(respond(EXHAUSTED, allow), after, failure, plan)
    assert len(lines) == len(said), lines
    for line, part in zip(lines, said):
        assert part in line


def test_a_healthy_server_needs_no_words() -> None:
    assert outcome(respond(HEALTHY, REMEDIES), HEALTHY) == []


def test_every_variable_of_a_remedy_is_handed_on() -> None:
    tasks = yaml.safe_load((CHECKOUT / "playbooks" / "tasks" / "respond.yml").read_text())
    handed_on = set(tasks[0]["block"][0]["vars"])
    remedies = [row.remedy for row in VERDICTS.values() if row.remedy]
    named = {name for remedy in remedies for name, _unused in remedy.variables + remedy.constants}
    assert handed_on == named


@pytest.mark.parametrize("verb", REMEDIES)
def test_every_remedy_has_its_playbook_and_its_steps(verb: str) -> None:
    assert (CHECKOUT / "playbooks" / (verb + ".yml")).is_file()
    assert (CHECKOUT / "playbooks" / "tasks" / (verb + ".yml")).is_file()
