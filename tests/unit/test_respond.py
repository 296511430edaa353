# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What respond.yml does about each verdict, and what it says afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import VERDICTS, render
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import NO, Answer
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures._registry import REGISTRY
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.response import (
    allowed,
    failure,
    may_go_on,
    outcome,
    remedies,
)
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.response import respond as decide
from tests.unit.values import FILLED

REMEDIES = remedies()
HELPS = replace(FILLED, name="{{ 7*7 }}")


def triage(code: str, cause: Optional[str], *findings: str) -> Dict[str, Any]:
    verdict = render(Answer("", NO, "", code, cause, values=HELPS), "db1")
    return {"verdict": verdict, "findings": [{"code": found} for found in findings]}


def respond(result: Dict[str, Any], allow: Any) -> Dict[str, Any]:
    return decide(result, "respond", allow)


def test_nothing_is_carried_out_by_default() -> None:
    for code, cause in VERDICTS:
        assert respond(triage(code, cause), [])["verb"] is None, (code, cause)


def test_everything_allowed_carries_out_exactly_what_is_recommended() -> None:
    for (code, cause), row in VERDICTS.items():
        response = respond(triage(code, cause), REMEDIES)
        assert response["verb"] == (row.remedy.playbook if row.remedy else None), (code, cause)
        wanted = "manual"
        if row.remedy:
            wanted = "one_by_one" if REGISTRY[row.remedy.playbook].cuts_off else "side_by_side"
        assert response["way"] == wanted


def test_what_has_downtime_goes_one_by_one() -> None:
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
    assert "corruption is suspected" in response["why"] and "Tell the " in response["tell"]


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
    with pytest.raises(ValueError, match="Give any of: cancel_queries"):
        respond(triage("healthy", None), given)


@pytest.mark.parametrize("result", [{}, {"unreachable": True, "msg": "no route"}, {"failed": True, "verdict": None}])
def test_what_was_not_seen_is_not_mended(result: Dict[str, Any]) -> None:
    assert respond(result, REMEDIES)["verb"] is None


EXHAUSTED = triage("pool_exhausted", "role_limit")
HEALTHY = triage("healthy", None)


DONE, FAILED, REFUSED = ({"outcome": word} for word in ("done", "failed", "refused"))


@pytest.mark.parametrize(
    "allow, done, after, said",
    [
        ([], {}, EXHAUSTED, ["nothing: pool_reset is only recommended"]),
        (["pool_reset"], DONE, HEALTHY, ["pool_reset"]),
        (["pool_reset"], {"outcome": "unchanged"}, HEALTHY, ["pool_reset: nothing had to be changed"]),
        (["pool_reset"], DONE, EXHAUSTED, ["pool_reset", "Still wrong; nothing else is tried. Tell the DBA now."]),
        (
            ["pool_reset"],
            DONE,
            triage("server_down", "disk_full"),
            [
                "pool_reset",
                "Now it is server_down / disk_full; nothing else is tried. Tell the emergency contacts now.",
            ],
        ),
        (["pool_reset"], {**REFUSED, "msg": "it\n is"}, EXHAUSTED, ["nothing: pool_reset refused: it is", "Still"]),
        (["pool_reset"], {**REFUSED, "msg": "Reset refused: no"}, EXHAUSTED, ["nothing: Reset refused: no", "Still"]),
        (["pool_reset"], {**FAILED, "msg": "Unproven."}, HEALTHY, ["pool_reset, which failed: Unproven."]),
        (["pool_reset"], DONE, {"unreachable": True, "msg": "gone"}, ["pool_reset", "(gone). Tell the DBA now."]),
        (["pool_reset"], {"unreachable": True, "msg": "gone"}, HEALTHY, ["pool_reset, which failed: gone"]),
        (["pool_reset"], {**DONE, "msg": "4 terminated"}, HEALTHY, ["pool_reset: 4 terminated"]),
        (
            ["pool_reset"],
            {"outcome": "planned", "msg": "4 terminated"},
            EXHAUSTED,
            ["nothing: this is the plan of pool_reset: 4 terminated"],
        ),
        (["pool_reset"], {"outcome": "planned"}, EXHAUSTED, ["plan of pool_reset: nothing would be changed"]),
        (
            ["pool_reset"],
            {
                "outcome": "planned",
                "diff": {
                    "before": {"restarted": False, "waiting": ["port"], "clients": {"api-1": "running"}, "state": "up"},
                    "after": {"restarted": True, "waiting": [], "clients": {"api-1": "restarted"}, "state": "up"},
                },
            },
            EXHAUSTED,
            ["pool_reset: restarted: no -> yes; waiting: port -> none; clients: api-1 running -> api-1 restarted"],
        ),
        (["pool_reset"], {"skipped": True, "msg": "not touched"}, EXHAUSTED, ["nothing: not touched"]),
    ],
)
def test_what_is_said(allow: List[str], done: Dict[str, Any], after: Dict[str, Any], said: List[str]) -> None:
    lines = outcome(respond(EXHAUSTED, allow), done, after)
    assert len(lines) == len(said), lines
    for line, part in zip(lines, said):
        assert part in line["text"]
        assert line["tells"] is ("Tell the " in line["text"])


def test_a_restart_tells_its_downtime_and_its_notes() -> None:
    notes = ["A long transaction is rolled back: pid 4711."]
    done = {**DONE, "downtime_seconds": 0.904, "notes": notes}
    lines = outcome(decide(EXHAUSTED, "graceful_restart"), done, HEALTHY)
    assert [line["text"] for line in lines] == ["graceful_restart, downtime 0.9 s", *notes]
    assert outcome(decide(EXHAUSTED, "start"), {**DONE, "downtime_seconds": None}, HEALTHY)[0]["text"] == "start"


def test_a_healthy_server_needs_no_words() -> None:
    assert outcome(respond(HEALTHY, REMEDIES), {}, HEALTHY) == []


@pytest.mark.parametrize("verb", REGISTRY)
def test_a_procedure_that_is_asked_for_is_carried_out_whatever_the_verdict(verb: str) -> None:
    for result in (HEALTHY, EXHAUSTED):
        assert decide(result, verb)["verb"] == verb
    assert decide({"msg": "no such project"}, verb)["verb"] is None


@pytest.mark.parametrize(
    "done, after, said",
    [
        (DONE, EXHAUSTED, ""),
        ({"outcome": "planned"}, EXHAUSTED, ""),
        ({"outcome": "unchanged"}, HEALTHY, ""),
        ({**REFUSED, "msg": "Refused: a backup"}, HEALTHY, "Refused: a backup"),
        ({**FAILED, "msg": "Not proved"}, HEALTHY, "Not proved"),
        ({"unreachable": True, "msg": "gone"}, HEALTHY, "gone"),
        (DONE, {"failed": True, "msg": "no engine"}, "no engine"),
        ({"skipped": True, "msg": "not touched, since it failed on a"}, HEALTHY, "not touched, since it failed on a"),
    ],
)
def test_a_run_fails_where_it_was_not_done(done: Dict[str, Any], after: Dict[str, Any], said: str) -> None:
    assert failure(decide(EXHAUSTED, "pool_reset"), done, after) == said


def test_the_next_host_is_not_touched_after_one_that_was_left_half_done() -> None:
    assert may_go_on({"a": DONE, "b": REFUSED}) == ""
    assert may_go_on({"a": DONE, "b": FAILED}) == "not touched, since it failed on b"
    assert may_go_on({"a": {"unreachable": True}}) == "not touched, since it failed on a"


def test_every_variable_of_a_remedy_is_one_of_its_row() -> None:
    remedies = [row.remedy for row in VERDICTS.values() if row.remedy]
    for remedy in remedies:
        mine = {each.variable for each in REGISTRY[remedy.playbook].variables}
        assert {name for name, _unused in remedy.variables + remedy.constants} <= mine


def test_every_remedy_is_a_row() -> None:
    assert set(REMEDIES) <= set(REGISTRY)


def test_a_permission_of_the_printed_command_is_a_persons() -> None:
    extra = {"oncall_role": "postgres", "oncall_client": "api", "oncall_allow_superuser": True}
    remedy = {"playbook": "oncall.postgresql.credentials_reset", "extra_vars": extra}
    verdict = {
        "code": "authentication_failed",
        "cause": "wrong_password",
        "remedy": remedy,
        "escalation": {"to": "dba"},
    }
    decided = decide({"verdict": verdict}, "respond", "credentials_reset")
    assert decided["verb"] == "credentials_reset"
    assert decided["variables"] == {"oncall_role": "postgres", "oncall_client": "api"}
