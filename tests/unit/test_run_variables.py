# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was given to a run: a slip of the finger is a problem in one line, and never widens what is done."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._entry.options import TARGET
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures._registry import REGISTRY
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run import variables
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.checking import Problem, check
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.hosts import NoHosts, hosts_of, same_server
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import CHANGING


@pytest.mark.parametrize(
    "value, plain",
    [
        ("shop", True),
        ({"project": "shop", "clients": [{"service": "api"}], "login_port": 5432, "ssl_mode": None}, True),
        ("{{ shop }}", False),
        ({"clients": [{"service": "{% if a %}api{% endif %}"}]}, False),
        ("#jinja2: variable_start_string: '[%'", False),
        ({"login_password": object()}, False),  # as Ansible has what a vault encrypted
    ],
)
def test_what_holds_no_template_needs_no_evaluation(value: Any, plain: bool) -> None:
    assert variables.is_plain(value) is plain


def texts(problems: List[Problem]) -> List[str]:
    return [each.text for each in problems]


@pytest.mark.parametrize(
    "verb, given, said",
    [
        ("pool_reset", {"oncall_idle_minutes": "30min"}, "oncall_idle_minutes is '30min'. Give a number."),
        ("pool_reset", {"oncall_idle_minutes": "30m"}, "oncall_idle_minutes is '30m'. Give a number."),
        ("pool_reset", {"oncall_idle_minutes": "1,5"}, "oncall_idle_minutes is '1,5'. Give a number."),
        ("pool_reset", {"oncall_idle_minutes": "nan"}, "oncall_idle_minutes is 'nan'. Give a number."),
        ("pool_reset", {"oncall_idle_minutes": "\u0660"}, "oncall_idle_minutes is '\u0660'. Give a number."),
        ("pool_reset", {"oncall_idle_minutes": "1e-400"}, "oncall_idle_minutes is '1e-400'. Give a number."),
        ("pool_reset", {"oncall_idle_minutes": "1_0"}, "oncall_idle_minutes is '1_0'. Give a number."),
        ("pool_reset", {"oncall_idle_minutes": True}, "oncall_idle_minutes is True. Give a number."),
        ("pool_reset", {"oncall_idle_minutes": -1}, "oncall_idle_minutes is -1. It must be at least 0."),
        ("pool_reset", {"oncall_idle_minutes": ""}, "oncall_idle_minutes is empty. Give a value, or leave it out."),
        ("pool_reset", {"oncall_user": ""}, "oncall_user is empty. Give a value, or leave it out."),
        ("pool_reset", {"oncall_user": None}, "oncall_user is empty. Give a value, or leave it out."),
        ("pool_reset", {"oncall_max_sessions": 1.5}, "oncall_max_sessions is 1.5. Give a whole number."),
        ("cancel_queries", {"oncall_pids": []}, "oncall_pids is empty. Give a value, or leave it out."),
        ("cancel_queries", {"oncall_pids": "[]"}, "oncall_pids is '[]'. Give a whole number."),
        ("cancel_queries", {"oncall_pids": [True]}, "oncall_pids is [True]. Give a whole number."),
        ("cancel_queries", {"oncall_pids": [-4]}, "oncall_pids is [-4]. Give a whole number."),
        ("cancel_queries", {"oncall_pids": "4,\u0665"}, "oncall_pids is '4,\u0665'. Give a whole number."),
        ("cancel_queries", {"oncall_pids": [4, "x"]}, "oncall_pids is [4, 'x']. Give a whole number."),
        ("cancel_queries", {"oncall_end_blockers": "ja"}, "oncall_end_blockers is 'ja'. Give true or false."),
        (
            "graceful_restart",
            {"oncall_interrupt": ["all"]},
            "oncall_interrupt is ['all']. Give one of: long_transactions, backups.",
        ),
        (
            "rollback_prepared",
            {},
            "oncall_gid is required. Give -e oncall_gid=NAME (its name, as in pg_prepared_xacts).",
        ),
        ("credentials_reset", {}, "oncall_role is required. Give -e oncall_role=NAME (the role)."),
    ],
)
def test_a_value_that_does_not_fit_is_refused(verb: str, given: Dict[str, Any], said: str) -> None:
    assert texts(variables.check_verb(verb, given)) == [said]
    assert variables.of_verb(verb, given).options == {}


@pytest.mark.parametrize(
    "verb, given, options",
    [
        (
            "pool_reset",
            {"oncall_idle_minutes": "5", "oncall_state": "idle"},
            {"idle_minutes": 5.0, "session_state": "idle"},
        ),
        ("pool_reset", {}, {}),
        ("cancel_queries", {"oncall_pids": "4,5"}, {"pids": [4, 5]}),
        ("cancel_queries", {"oncall_end_blockers": "no"}, {"end_blockers": False}),
        ("rollback_prepared", {"oncall_gid": "{{ 7*7 }}", "oncall_user": "x"}, {"gid": "{{ 7*7 }}"}),
        ("credentials_reset", {"oncall_role": "app", "oncall_client": "api"}, {"role": "app", "password_of": "api"}),
    ],
)
def test_variables_become_the_options_of_the_module(verb: str, given: Dict[str, Any], options: Dict[str, Any]) -> None:
    assert variables.of_verb(verb, given) == (options, [])


@pytest.mark.parametrize(
    "verb, name, on_command_line, said",
    [
        ("pool_reset", "oncall_idle_minute", True, "Did you mean oncall_idle_minutes?"),
        ("pool_reset", "oncall_idle_minute", False, "Did you mean oncall_idle_minutes?"),
        ("respond", "oncall_auto_remedy", True, "Did you mean oncall_auto_remedies?"),
        ("pool_reset", "oncall_pids", True, "pool_reset has no variable oncall_pids. cancel_queries has."),
        ("triage", "oncall_plan", True, "triage has no variable oncall_plan."),
        ("reload", "oncall_colour", True, "Its variables: oncall_fail_on, oncall_force,"),
        ("pool_reset", "oncall_pids", False, ""),
        ("respond", "oncall_pids", True, ""),
        ("pool_reset", "oncall_team", False, ""),
        ("pool_reset", "oncall_triage", False, ""),
        ("pool_reset", "oncal_plan", True, "there is no variable oncal_plan. Did you mean oncall_plan?"),
        ("pool_reset", "oncall-plan", True, "there is no variable oncall-plan. Did you mean oncall_plan?"),
        ("pool_reset", "ONCALL_PLAN", True, "there is no variable ONCALL_PLAN. Did you mean oncall_plan?"),
        ("pool_reset", "plan", True, "there is no variable plan. Did you mean oncall_plan?"),
        ("cancel_queries", "pids", True, "there is no variable pids. Did you mean oncall_pids?"),
        ("pool_reset", "on_call_plan", True, "there is no variable on_call_plan. Did you mean oncall_plan?"),
        ("pool_reset", "user", True, "Did you mean oncall_user? One of your inventory's own belongs there, not in -e."),
        ("pool_reset", "gid", True, ""),
        ("triage", "hosts", True, ""),
    ],
)
def test_a_misspelt_name_is_refused(verb: str, name: str, on_command_line: bool, said: str) -> None:
    problems = variables.check_names(verb, [name, "other"], [name] if on_command_line else [])
    assert len(problems) == bool(said), problems
    assert not said or said in problems[0].text


@pytest.mark.parametrize(
    "given, said",
    [
        ({"oncall_plan": "ture"}, "oncall_plan is 'ture'. Give true or false."),
        ({"oncall_plan": None}, "oncall_plan is empty. Give a value, or leave it out."),
        ({"oncall_fail_on": "bad"}, "oncall_fail_on is 'bad'. Give one of: warning, critical, emergency."),
        ({"oncall_fail_on": "", "oncall_report_dir": "", "oncall_auto_remedies": ""}, ""),
    ],
)
def test_the_frame_checks_its_own(given: Dict[str, Any], said: str) -> None:
    assert texts(variables.check_frame(given)) == ([said] if said else [])


def test_a_password_is_no_template() -> None:
    assert variables.evaluated("oncall_password", "{{ 7*7 }}", 49)
    assert variables.evaluated("oncall_password", "a{%b", "a{%b") is None  # !unsafe
    assert variables.evaluated("oncall_idle_minutes", 5, 5) is None


@pytest.mark.parametrize(
    "given, said",
    [
        ({"projekt": "shop"}, ["there is no option projekt. Did you mean project?"]),
        ({"project": "shop", "clients": ["api"]}, ["clients is ['api']. Give [{service: api}]."]),
        (
            {"project": "shop", "clients": [{"servic": "api"}]},
            ["there is no option clients.servic. Did you mean service?"],
        ),
        ({"project": "shop", "clients": [{}]}, ["clients.service is required"]),
        ({"project": "shop", "idle_minutes": "30 min"}, ["idle_minutes is '30 min'. Give a number."]),
        ({"runtime": "docker"}, ["runtime is 'docker'. Give one of: compose, pg_ctl, remote."]),
        ({}, ["runtime=compose needs project"]),
        ({"project": "shop"}, []),
    ],
)
def test_a_target_is_checked_in_words(given: Dict[str, Any], said: List[str]) -> None:
    assert texts(check(TARGET, given).problems) == said


GROUPS = {"all": ["a", "b", "c"], "ungrouped": ["c"], "postgresql": ["a", "b"], "web": []}


@pytest.mark.parametrize(
    "pattern, limit, hosts",
    [
        ("postgresql", None, ["a", "b"]),
        ("postgresql", "b", ["b"]),
        ("postgresql:!b", "", ["a"]),
        (["a", "c"], None, ["a", "c"]),
        ("all", "a,c", ["a", "c"]),
    ],
)
def test_hosts(pattern: Any, limit: Any, hosts: List[str]) -> None:
    assert hosts_of(pattern, GROUPS, limit) == hosts


@pytest.mark.parametrize(
    "pattern, limit, said",
    [
        ("postgres", None, "no host is in 'postgres'. Name another group, host or pattern with -e oncall_hosts=NAME."),
        ("web", None, "The inventory has: postgresql."),
        ("postgresql", "c", "no host of 'postgresql' is within --limit c."),
    ],
)
def test_no_hosts_are_no_success(pattern: Any, limit: Any, said: str) -> None:
    with pytest.raises(NoHosts) as caught:
        hosts_of(pattern, GROUPS, limit)
    assert said in str(caught.value)
    with pytest.raises(NoHosts, match="Is the inventory given"):
        hosts_of(pattern, {"all": [], "ungrouped": []}, limit)


def test_the_same_server_under_two_names() -> None:
    remote = {"runtime": "remote", "login_host": "db"}
    compose = {"project": "shop"}
    found = same_server(
        {
            "a": remote,
            "b": {**remote, "login_port": 5432},
            "c": {**remote, "login_port": 5433},
            "d": {**compose, "ansible_host": "h1"},
            "e": {**compose, "ansible_host": "h1", "service": "postgres"},
            "f": {**compose, "ansible_host": "h2"},
            "g": {"runtime": "pg_ctl", "data_directory": "/data"},
            "h": {"runtime": "pg_ctl", "data_directory": "/data"},
        }
    )
    assert found == {"db:5432": ["a", "b"], "service postgres of project shop at h1": ["d", "e"]}


def test_every_row_names_a_module_that_changes_something() -> None:
    assert {row.module for row in REGISTRY.values()} <= set(CHANGING)


def test_a_row_names_options_that_its_module_has() -> None:
    for verb, row in REGISTRY.items():
        assert {each.option for each in row.variables} | set(row.fixed) <= set(row.options.options), verb
        names = [each.variable for each in row.variables]
        assert len(set(names)) == len(names), verb
        wrong = [name for name in names if name in variables.FRAME.options]
        assert not wrong, verb
