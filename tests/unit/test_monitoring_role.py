# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role that monitoring logs in with: what is changed, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials.scram import make_verifier
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.monitoring_role.plan import (
    MARK,
    Plan,
    decide,
)

OURS = {"mark": MARK, "plain": True, "powerful": False, "limit": 2, "member_of": ["pg_monitor"]}
FOUND: dict[str, Any] = {
    "in_recovery": False,
    "us": "oncall",
    "may": True,
    "reads_verifiers": True,
    "iterations": 4096,
    "memberships": ["pg_monitor"],
    "role": OURS,
}
VERIFIER = make_verifier("right")


def plan(found: dict[str, Any], verifier: str | None = VERIFIER, password: str | None = "right", **more: Any) -> Plan:
    return decide({**FOUND, **found}, verifier, "watch", password, more.get("limit", 2), more.get("absent", False))


@pytest.mark.parametrize(
    ("found", "given", "steps"),
    [
        ({}, {}, ()),
        ({"role": None}, {}, ("create", "attributes", "pg_monitor", "password")),
        ({"role": None}, {"password": None}, ("create", "attributes", "pg_monitor")),
        ({"role": {**OURS, "plain": False}}, {}, ("attributes",)),
        ({"role": {**OURS, "powerful": True}}, {}, ("powers",)),
        ({}, {"limit": 3}, ("attributes",)),
        ({"role": {**OURS, "member_of": []}}, {}, ("pg_monitor",)),
        ({"memberships": ["pg_monitor", "pg_x"]}, {}, ("pg_x",)),
        ({}, {"password": "wrong"}, ("password",)),
        ({}, {"verifier": None}, ("password",)),
        ({}, {"verifier": None, "password": None}, ()),
        ({"reads_verifiers": False}, {"verifier": None}, ()),  # nobody can tell, and it would never end
        ({"role": None, "reads_verifiers": False}, {}, ("create", "attributes", "pg_monitor", "password")),
        ({}, {"absent": True}, ("drop",)),
        ({"role": None}, {"absent": True}, ()),
        ({"in_recovery": True, "role": None}, {}, ()),
        ({"may": False}, {}, ()),
    ],
)
def test_only_what_differs_is_changed(found: dict[str, Any], given: dict[str, Any], steps: tuple[str, ...]) -> None:
    made = plan(found, **given)
    change = made.foreseen()
    assert made.steps == steps and change.changed == (not made.empty) == bool(steps)
    assert change.details["steps"] == list(steps)
    assert (change.before == change.after) == (not steps)
    assert "right" not in repr(made) + str(change) and "SCRAM" not in repr(made)


def test_the_diff_says_what_changes() -> None:
    change = plan({"role": {**OURS, "limit": -1, "member_of": []}}, password="wrong").foreseen()
    assert change.before == {"login": "as asked", "connection_limit": -1, "member_of": [], "password": "another"}
    assert change.after == {
        "login": "as asked",
        "connection_limit": 2,
        "member_of": ["pg_monitor"],
        "password": "as asked",
    }
    assert change.details["msg"] == "Role watch: attributes, pg_monitor, password"


@pytest.mark.parametrize(
    ("found", "given", "said"),
    [
        ({"role": {**OURS, "mark": None}}, {}, "exists and is not marked"),
        ({"role": {**OURS, "mark": None}}, {}, 'COMMENT ON ROLE "watch" IS '),
        ({"role": {**OURS, "mark": None}}, {"absent": True}, "exists and is not marked"),
        ({"role": None, "may": False}, {}, "oncall may not change roles"),
    ],
)
def test_refusals(found: dict[str, Any], given: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        plan(found, **given)
