# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to a new option, threshold, runtime or procedure in another file, and is easily forgotten there."""

from __future__ import annotations

import ast
import importlib
from dataclasses import fields
from pathlib import Path
from typing import Any, Dict

import pytest
import yaml

from ansible_collections.oncall.postgresql.plugins.doc_fragments.target import ModuleDocFragment
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.options import RUNTIMES, TARGET
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.target import open_target
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures._registry import REGISTRY
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.drive.choose import drive_of
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import CHANGING
from tests.lab.test_check_mode import VERBS

CHECKOUT = Path(__file__).resolve().parents[2]
UTILS = CHECKOUT / "plugins" / "module_utils"
DOCUMENTED = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
GIVEN: Dict[str, Any] = {"project": "shop", "data_directory": "/data", "login_host": "db.example.com"}


def documented(options: Dict[str, Any]) -> Dict[str, Any]:
    """Options of a documentation as an argument spec has them."""
    keys = ("type", "choices", "default", "elements", "required")
    found: Dict[str, Any] = {}
    for name, option in options.items():
        found[name] = {key: option[key] for key in keys if key in option}
        if "suboptions" in option:
            found[name]["options"] = documented(option["suboptions"])
    return found


def specified(options: Dict[str, Any]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for name, rule in options.items():
        found[name] = {key: value for key, value in rule.items() if key != "no_log"}
        if "options" in rule:
            found[name]["options"] = specified(rule["options"])
    return found


def test_the_options_of_the_target_are_documented_as_they_are() -> None:
    assert documented(DOCUMENTED) == specified(TARGET.options)


def test_every_threshold_is_read() -> None:
    """By a check, or by what gathers for it."""
    read = {
        node.attr
        for room in ("_judge", "_gather")
        for path in (UTILS / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert {each.name for each in fields(Thresholds)} - read == set()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_is_opened_and_driven_by_its_own(runtime: str) -> None:
    """Not by the one that the last branch is for. Opening asks nobody anything where there is a ``login_host``."""
    needed = {"login_host"}.union(*(names for _key, value, names in TARGET.required_if if value == runtime))
    options = {name: rule.get("default") for name, rule in TARGET.options.items()}
    options.update({name: GIVEN[name] for name in needed}, runtime=runtime)
    target = open_target(options, "db1")
    try:
        assert target.runtime.name == runtime
        assert type(drive_of(target)).__module__.rpartition(".")[2] == runtime
    finally:
        target.close()


def test_every_procedure_can_be_asked_for_and_is_described() -> None:
    module = importlib.import_module("ansible_collections.oncall.postgresql.plugins.modules.procedure")
    assert yaml.safe_load(module.DOCUMENTATION)["options"]["verb"]["choices"] == sorted(REGISTRY)
    guide = (CHECKOUT / "docs" / "procedures.md").read_text(encoding="utf-8")
    assert [verb for verb in REGISTRY if "\n## `%s`" % verb not in guide] == []


def test_every_procedure_is_run_in_check_mode_on_the_lab() -> None:
    """``start`` has a server of its own there, one that is down."""
    assert set(VERBS) == {"triage", "respond", *REGISTRY} - {"start"}


@pytest.mark.parametrize("module", CHANGING)
def test_what_changes_something_has_a_pure_plan(module: str) -> None:
    assert (UTILS / "_procedures" / module / "plan.py").is_file()
