# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of roles: what is changed, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.role_settings.plan import decide

APART = [{"database": "shop", "settings": ["jit=on", "TimeZone=UTC"]}]
APP = {
    "role": "app",
    "ours": True,
    "settings": ["statement_timeout=5s", 'search_path=a, "b=C"'],
    "in_databases": APART,
}
REPORTS = {"role": "reports", "ours": True, "settings": [], "in_databases": []}
TIMEOUT = {"statement_timeout": "30s"}


def parameter(name: str, kind: str, may: bool = True, of_roles: bool = True, **more: Any) -> dict[str, Any]:
    plain = dict.fromkeys(("unit", "min", "max", "enum"))
    return {"name": name, "type": kind, "may": may, "of_roles": of_roles, **plain, **more}


def found(**given: Any) -> dict[str, Any]:
    parameters = [
        parameter("statement_timeout", "integer", unit="ms", min="0", max="2147483647"),
        parameter("jit", "bool"),
        parameter("TimeZone", "string"),
        parameter("search_path", "string"),
        parameter("log_statement", "enum", may=False, enum=["none", "ddl", "mod", "all"]),
        parameter("max_connections", "integer", may=False, of_roles=False, min="1", max="262143"),
    ]
    row = {"in_recovery": False, "us": "oncall", "known": ["app", "reports"], "roles": [APP, REPORTS]}
    return {**row, "parameters": parameters, **given}


def steps(plan: Any) -> list[tuple[Any, ...]]:
    return [(step.role, step.name, step.before, step.after) for step in plan.due]


def test_only_what_differs_is_changed() -> None:
    plan = decide(found(), ["app", "reports", "app"], {**TIMEOUT, "jit": False})
    assert steps(plan) == [
        ("app", "statement_timeout", "5s", "30s"),
        ("app", "jit", None, "off"),
        ("reports", "statement_timeout", None, "30s"),
        ("reports", "jit", None, "off"),
    ]
    change = plan.foreseen()
    assert change.before["app"] == {"statement_timeout": "5s", "jit": None}
    assert change.after["app"] == {"statement_timeout": "30s", "jit": "off"}
    assert change.details["msg"] == "4 settings changed of app, reports; it counts from their next login on"


@pytest.mark.parametrize(
    ("settings", "due"),
    [
        ({"statement_timeout": "5s"}, []),
        ({"Statement_Timeout": "5s"}, []),
        ({"statement_timeout": 5000}, []),
        ({"statement_timeout": " 5 s"}, []),
        ({"search_path": 'A, "b=C"'}, []),
        ({"search_path": ["a", "b=C"]}, []),
        ({"search_path": ["b=C", "a"]}, [("app", "search_path", 'a, "b=C"', '"b=C", a')]),
        ({"statement_timeout": None}, [("app", "statement_timeout", "5s", None)]),
        ({"jit": None}, []),
        ({"timezone": "UTC"}, [("app", "timezone", None, "UTC")]),
    ],
)
def test_names_are_as_the_server_knows_them(settings: dict[str, Any], due: list[Any]) -> None:
    plan = decide(found(), ["app"], settings)
    assert steps(plan) == due and plan.empty == (not due)
    assert plan.foreseen().changed == bool(due)


def test_a_standby_has_the_roles_of_its_primary() -> None:
    plan = decide(found(in_recovery=True, roles=[dict(APP, ours=False)]), ["app"], TIMEOUT)
    assert plan.empty and "standby" in plan.foreseen().details["msg"]
    (row,) = plan.foreseen().details["settings"]
    assert (row["before"], row["after"], row["changed"]) == ("5s", "5s", False)


@pytest.mark.parametrize(
    ("given", "roles", "settings", "said"),
    [
        ({}, ["ap"], TIMEOUT, r"there is no role ap \(Did you mean app\?\)"),
        ({}, ["xyz"], TIMEOUT, r"there is no role xyz \(check roles\)"),
        ({}, ["app"], {"statement_time": "1s"}, "statement_time: there is no such setting"),
        ({}, ["app"], {"statement_timeout": "soon"}, "statement_timeout: 'soon' is not a number"),
        ({}, ["app"], {"statement_timeout": "30d"}, "out of range"),
        ({}, ["app"], {"statement_timeout": {"a": 1}}, "a value is a text"),
        ({}, ["app"], {"search_path": "a,"}, "ends with a comma"),
        ({}, ["app"], {"jit": True, "JIT": False}, "JIT: it is named twice"),
        ({}, ["app"], {"max_connections": 5}, "it is the server's, and no role's"),
        ({}, ["app"], {"log_statement": "all"}, "oncall may not set log_statement"),
        ({"roles": [dict(APP, ours=False)]}, ["app"], TIMEOUT, "oncall may not change role app"),
    ],
)
def test_refusals(given: dict[str, Any], roles: list[str], settings: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        decide(found(**given), roles, settings)


def test_what_a_role_has_in_one_database_is_named() -> None:
    rows = decide(found(), ["app", "reports"], {"timezone": "UTC", **TIMEOUT}).foreseen().details["settings"]
    assert [each["hidden_by"] for each in rows] == [["database shop: UTC"], [], [], []]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(RefusedError) as raised:
        decide(found(roles=[]), ["ap", "rep"], {"jitt": "on"})
    assert raised.value.msg.count(";") == 2


def test_what_is_as_asked_needs_no_right() -> None:
    assert decide(found(roles=[dict(APP, ours=False)]), ["app"], {"statement_timeout": "5s"}).empty
