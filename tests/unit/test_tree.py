# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first "no" has the word, nothing that follows from it is told twice, and nothing else is said."""

from __future__ import annotations

import copy
import json
from typing import Any, Dict, List, Tuple, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.tree import QUESTIONS, judge
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import VERDICTS
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import SEVERITIES, Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Facts
from tests.unit.facts import (
    change,
    disk,
    down,
    edge,
    group,
    healthy,
    login_fails,
    remote,
    session,
    set_activity,
    set_client,
    set_groups,
    set_role,
    set_server,
    set_soundness,
)
from tests.unit.faults import ALL, WELL, Fault, Well, chain

NAMES = ["running", "accepting", "network", "connections", "login", "activity", "soundness"]


def codes(findings: List[Dict[str, Any]]) -> Tuple[str, ...]:
    return tuple(finding["code"] for finding in findings)


@pytest.mark.parametrize(
    ("question", "fault"), [pytest.param(*one, id="%s: %s" % (one[0], one[1].name)) for one in ALL]
)
def test_every_fault_gets_its_verdict(question: str, fault: Fault) -> None:
    judgement = judge(fault.facts, Thresholds(), "db1")
    verdict = judgement["verdict"]
    assert (verdict["code"], verdict["cause"], verdict["question"]) == (fault.code, fault.cause, question or None)
    assert fault.first in verdict["evidence"][0]
    assert "?" not in verdict["summary"], verdict["summary"]
    assert "\n" not in verdict["summary"]
    assert codes(judgement["findings"]) == fault.findings
    path = judgement["path"]
    assert [step["question"] for step in path] == NAMES
    if question:
        at = NAMES.index(question)
        assert path[at]["answer"] == "no"
        assert "no" not in [step["answer"] for step in path[:at]]
        for step in path[at + 1 :]:
            assert step["answer"] == "not_asked"
            assert step["reason"] and step["detail"] == "not asked: %s" % step["reason"]


@pytest.mark.parametrize("well", [pytest.param(well, id=well.name) for well in WELL])
def test_no_false_alarm(well: Well) -> None:
    judgement = judge(well.facts, Thresholds(), "db1")
    assert judgement["verdict"]["code"] == "healthy", judgement["verdict"]
    assert judgement["verdict"]["severity"] == "ok"
    assert judgement["verdict"]["remedy"] is None
    assert judgement["verdict"]["escalation"] == {"to": "none", "after_minutes": None, "reason": "", "or_if": None}
    assert codes(judgement["findings"]) == well.findings


def test_every_row_of_the_table_is_reached() -> None:
    reached = {(fault.code, fault.cause) for _unused, fault in ALL} | {("healthy", None)}
    away = {(code, cause) for code, cause in VERDICTS if code == "client_down"}  # the tests above
    assert reached | away == set(VERDICTS)


def test_a_judgement_is_plain_json() -> None:
    for _unused, fault in ALL:
        judgement = judge(fault.facts, Thresholds(), "db1")
        assert json.loads(json.dumps(judgement)) == judgement
        assert set(judgement) == {"verdict", "path", "findings"}
        assert set(judgement["verdict"]) == {
            "code",
            "cause",
            "question",
            "severity",
            "summary",
            "evidence",
            "remedy",
            "escalation",
        }


def test_later_questions_are_still_findings() -> None:
    facts = healthy(
        set_groups(group(97)),
        login_fails("rejected", "53300", "too many"),
        chain(edge(2, 1, 90)),
        set_soundness(
            transaction_age=[{"database": "shop", "xid_age": 1_200_000_000, "multixact_age": 4}],
            checksum_failures=[{"database": "shop", "count": 1, "last_failure": None}],
        ),
        set_server(disks=[disk(100 * 1024**3, 3 * 1024**3)]),
    )
    judgement = judge(facts, Thresholds(), "db1")
    assert judgement["verdict"]["cause"] == "idle_connections"
    assert codes(judgement["findings"]) == ("data_corruption", "wraparound_risk", "queries_hanging", "storage_low")
    severities = [SEVERITIES.index(finding["severity"]) for finding in judgement["findings"]]
    assert severities == sorted(severities, reverse=True)
    blocked = judgement["findings"][2]
    assert blocked["summary"] == "1 session blocked; root blocker: pid 1 (app, idle in transaction)"
    assert blocked["evidence"]


def test_a_dead_server_with_little_room_tells_both() -> None:
    judgement = judge(healthy(down(exit_code=137, disks=[disk(1024**4, 300 * 1024**2)])), Thresholds(), "db1")
    assert judgement["verdict"]["cause"] == "killed"
    assert codes(judgement["findings"]) == ("storage_full",)


def test_two_clients_each_with_its_own_trouble() -> None:
    facts = healthy(set_role(can_login=False), login_fails("rejected", "28000", "not permitted"))
    other = copy.deepcopy(facts["clients"][0])
    change(other, name="shop-worker-1", service="worker")
    facts["clients"].append(other)
    judgement = judge(facts, Thresholds(), "db1")
    assert judgement["verdict"]["cause"] == "login_not_permitted"
    assert "shop-api-1, shop-worker-1" in judgement["verdict"]["summary"]


def test_host_names_in_the_command_are_quoted() -> None:
    judgement = judge(healthy(set_groups(group(97))), Thresholds(), "db one; rm -rf /")
    remedy = judgement["verdict"]["remedy"]
    assert remedy
    assert remedy["command"] == "ansible-playbook oncall.postgresql.pool_reset --limit 'db one; rm -rf /'"


def test_thresholds_count() -> None:
    facts = healthy(chain(edge(2, 1, 20)), set_activity(long_queries=[]))
    assert judge(facts, Thresholds(), "db1")["verdict"]["code"] == "healthy"
    assert judge(facts, Thresholds(blocked_seconds=10), "db1")["verdict"]["cause"] == "blocked_by_lock"
    aged = healthy()
    assert judge(aged, Thresholds(xid_age=1_000_000), "db1")["verdict"]["code"] == "wraparound_risk"
    assert codes(judge(aged, Thresholds(connection_percent=5), "db1")["findings"]) == ("pool_nearly_exhausted",)


def test_very_old_transactions_are_an_emergency() -> None:
    old = healthy(set_soundness(transaction_age=[{"database": "shop", "xid_age": 2_100_000_000, "multixact_age": 4}]))
    assert judge(old, Thresholds(), "db1")["verdict"]["severity"] == "emergency"


def test_sql_that_could_not_be_asked_is_not_health() -> None:
    def unavailable(facts: Any) -> None:
        change(
            facts, snapshot=None, snapshot_error={"sqlstate": None, "message": "no psql there", "kind": "unavailable"}
        )

    judgement = judge(remote(unavailable), Thresholds(), "db1")
    assert judgement["verdict"]["code"] == "unknown"
    assert judgement["verdict"]["severity"] == "warning"
    assert "no psql there" in judgement["verdict"]["summary"]
    assert judgement["verdict"]["evidence"] == ["no psql there"]  # said once
    assert codes(judgement["findings"]) == ()


def test_another_server_is_named_instead() -> None:
    answers = {"data_directory": "/b", "system_identifier": "8", "port": 5433, "started_at": "2026-11-24T01:59:00.000Z"}
    expected = {"data_directory": "/a", "system_identifier": "7", "port": None, "started_at": None}
    found = {"where": "login_host db", "answers": answers, "expected": expected}

    def alter(facts: Any) -> None:
        error = {"sqlstate": None, "message": "another server answers", "kind": "unavailable"}
        change(facts, snapshot=None, snapshot_error=error, another_server=found)

    for facts in (healthy(alter), healthy(alter, down(exit_code=137))):
        first = judge(facts, Thresholds(), "db1")["findings"][0]
        assert (first["code"], first["severity"]) == ("another_server", "critical")
        assert first["evidence"] == [
            "it answers: data directory /b, system identifier 8, port 5433, started 2026-11-24T01:59:00.000Z",
            "expected: data directory /a, system identifier 7, not running",
        ]
        verdict = judge(facts, Thresholds(), "db1")["verdict"]
        assert verdict["remedy"] is None
        if verdict["code"] == "server_down":  # a start would be refused
            assert verdict["summary"].endswith("But first find out why another server answers at login_host db")
        assert "no_sql_facts" not in codes(judge(facts, Thresholds(), "db1")["findings"])


@pytest.mark.parametrize(
    "state, code, cause",
    [
        ("exited", 0, "stopped"),
        ("missing", None, "stopped"),
        ("exited", 1, "crashed"),
        ("restarting", 1, "restarting"),
        ("paused", None, "paused"),
    ],
)
def test_the_only_client_is_down_and_the_server_is_well(state: str, code: int | None, cause: str) -> None:
    facts = healthy(set_client(state=state, exit_code=code), login_fails("failed"))
    judgement = judge(facts, Thresholds(), "db1")
    assert (judgement["verdict"]["code"], judgement["verdict"]["cause"]) == ("client_down", cause)
    assert judgement["verdict"]["severity"] == "critical"
    answers = {step["question"]: step["answer"] for step in judgement["path"]}
    assert list(answers.values()) == ["yes", "yes", "no", "not_asked", "not_asked", "not_asked", "not_asked"]


def test_what_is_wrong_with_the_server_comes_before_its_client() -> None:
    facts = healthy(set_client(state="exited", exit_code=0), set_activity(blocking=[edge(2, 1, 90)], involved=[]))
    judgement = judge(facts, Thresholds(), "db1")
    assert judgement["verdict"]["code"] == "queries_hanging"
    assert "client_down" in codes(judgement["findings"])


# --- whatever could not be known: null -------------------------------------------------------------------------------


def places(value: Any, hint: Any, way: Tuple[Any, ...] = ()) -> List[Tuple[Any, ...]]:
    """Every place of ``value`` that ``_facts`` allows to be null. Rows of no declared shape may hold it anywhere."""
    found: List[Tuple[Any, ...]] = []
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Union:  # Optional
        return places(value, inside[0], way) if value is not None else []
    if is_typeddict(hint):
        for key, inner in get_type_hints(hint).items():
            if type(None) in get_args(inner):
                found.append((*way, key))
            found += places(value[key], inner, (*way, key))
    elif origin is list:
        for number, inner in enumerate(value):
            found += places(inner, inside[0], (*way, number))
    elif origin is dict:
        for key, inner in value.items():
            if inside[1] is Any or type(None) in get_args(inside[1]):
                found.append((*way, key))
            found += places(inner, inside[1], (*way, key))
    return found


def nulled(facts: Any, ways: List[Tuple[Any, ...]]) -> Any:
    facts = copy.deepcopy(facts)
    for way in ways:
        inner = facts
        for key in way[:-1]:
            inner = inner[key] if inner is not None else None
        if inner is not None:
            inner[way[-1]] = None
    return facts


def test_the_nulls_are_found() -> None:
    ways = places(healthy(), Facts)
    assert {("server",), ("snapshot",), ("server", "lock_file"), ("clients", 0, "attempt", "sqlstate")} < set(ways)
    assert ("snapshot", "connections", "groups", 0, "state") in ways
    assert ("server", "state") not in ways
    assert ("server", "name") not in ways


EVERY = [pytest.param(fault.facts, id=fault.name) for _unused, fault in ALL]
EVERY += [pytest.param(well.facts, id=well.name) for well in WELL]


@pytest.mark.parametrize("one", EVERY)
def test_any_one_null_is_survived(one: Any) -> None:
    for way in places(one, Facts):
        judgement = judge(nulled(one, [way]), Thresholds(), "db1")
        assert (judgement["verdict"]["code"], judgement["verdict"]["cause"]) in VERDICTS, way


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_nulls_are_survived(data: st.DataObject) -> None:
    facts = data.draw(st.sampled_from([*[fault.facts for _unused, fault in ALL], *[well.facts for well in WELL]]))
    ways = data.draw(st.lists(st.sampled_from(places(facts, Facts)), max_size=12))
    judgement = judge(nulled(facts, ways), Thresholds(), "db1")
    assert (judgement["verdict"]["code"], judgement["verdict"]["cause"]) in VERDICTS
    assert [step["question"] for step in judgement["path"]] == NAMES


def test_the_questions_are_in_order() -> None:
    assert [name for name, _unused in QUESTIONS] == NAMES


def test_facts_are_left_as_they_were() -> None:
    for _unused, fault in ALL:
        before = copy.deepcopy(fault.facts)
        judge(fault.facts, Thresholds(), "db1")
        assert fault.facts == before


def test_a_blocked_session_of_an_unknown_kind_is_not_cancelled() -> None:
    facts = healthy(set_activity(blocking=[edge(2, 99, 90)], involved=[session(2)]))
    verdict = judge(facts, Thresholds(), "db1")["verdict"]
    assert verdict["remedy"] is None
    assert "by hand" in verdict["summary"]
