# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles: ``meta/argument_specs.yml`` is the single source of their options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from scripts.roles import CHECKOUT, ROLES, defaults, entries, options, readme

NAMES = [role.name for role in ROLES]


def test_every_role_has_its_options() -> None:
    assert sorted(path.name for path in (CHECKOUT / "roles").iterdir()) == NAMES and "tuning" in NAMES


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_defaults_and_readme_are_written_from_the_options(role: Path) -> None:
    said = "run: .venv/bin/python -m scripts.roles"
    assert (role / "defaults" / "main.yml").read_text() == defaults(role), said
    text = (role / "README.md").read_text()
    assert text == readme(role) and all("| `%s` |" % name in text for name in options(role)), said


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_every_entry_point_has_its_tasks(role: Path) -> None:
    assert set(entries(role)) <= {path.stem for path in (role / "tasks").glob("*.yml")}


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_every_option_is_of_the_role_and_used(role: Path) -> None:
    parts = ("tasks", "handlers", "templates", "vars")
    used = "".join(path.read_text() for part in parts for path in (role / part).glob("*"))
    for name in options(role):
        assert name.startswith(role.name + "_")
        assert re.search(r"\b%s\b" % name, used), name


def test_the_plan_of_tuning_takes_what_the_role_takes() -> None:
    found = entries(CHECKOUT / "roles" / "tuning")
    assert set(found) == {"main", "plan"} and found["plan"]["options"] == found["main"]["options"]


def test_the_options_of_tuning_are_those_of_its_filter() -> None:
    """But for the names of the roles, which no filter has to know."""
    document = yaml.safe_load((CHECKOUT / "plugins" / "filter" / "tuning.yml").read_text())
    of_filter = {"tuning_" + name: option for name, option in document["DOCUMENTATION"]["options"].items()}
    of_role = options(CHECKOUT / "roles" / "tuning")
    assert set(of_role) - {"tuning_timeout_roles"} == set(of_filter) - {"tuning__input"}
    for name in set(of_role) & set(of_filter):
        for key in ("type", "choices", "default"):
            assert of_role[name].get(key) == of_filter[name].get(key), (name, key)
