# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RETURN blocks and the guide to the facts say what the shapes say."""

from __future__ import annotations

import json
from typing import Any, Optional, TypedDict

import pytest
import yaml

from scripts.results import RESULTS
from scripts.returns import FILES, GUIDE, SAMPLES, block, guide, renewed
from scripts.shapes import fields
from tests.integration.results import unlike


@pytest.mark.parametrize("module", RESULTS)
def test_the_return_block_is_that_of_the_shapes(module: str) -> None:
    text = FILES[module].read_text()
    assert block(module) in text
    assert text == renewed(module), "run: .venv/bin/python -m scripts.returns"
    assert set(json.loads(SAMPLES.read_text())[module]) <= set(yaml.safe_load(block(module)))


def test_every_module_that_returns_something_has_a_shape() -> None:
    modules = {file.stem for file in FILES["triage"].parent.glob("*.py")}
    assert modules - RESULTS.keys() == {"preflight"}, "it checks, and returns nothing"


def test_a_result_is_held_to_its_shape() -> None:
    sample = json.loads(SAMPLES.read_text())["configuration"]
    done = {key: value for key, value in sample.items() if key in RESULTS["configuration"].shape.__annotations__}
    assert unlike("configuration", {**done, "changed": True, "diff": {}}) == []
    assert unlike("configuration", {**done, "files": []}) == ["configuration.files: too many"]
    assert unlike("configuration", {**done, "load_time": 7})[0].startswith("configuration.load_time: 7 is no")
    del done["load_time"]
    assert unlike("configuration", done) == ["configuration.load_time: missing"]
    assert unlike("configuration", {"failed": True, "msg": "Refused", **done}) == []
    assert unlike("configuration", {"failed": True, "reason": ""}) == ["configuration.reason: too many"]
    assert unlike("server", {"failed": True, "code": None}) == [
        "server: only ['code'] of ['cause', 'code', 'evidence']"
    ]


@pytest.mark.parametrize("module", RESULTS)
def test_the_samples_still_have_the_shape_of_a_result(module: str) -> None:
    sample = json.loads(SAMPLES.read_text())[module]
    always = {key: value for key, value in sample.items() if key in RESULTS[module].shape.__annotations__}
    assert unlike(module, always) == [], "run: .venv/bin/python -m scripts.samples"
    assert unlike(module, {**sample, "failed": True}) == [], "run: .venv/bin/python -m scripts.samples"


def test_the_guide_is_that_of_the_shapes() -> None:
    assert GUIDE.read_text() == guide(), "run: .venv/bin/python -m scripts.returns"


class Base(TypedDict):
    first: int  # counts


class Derived(Base):
    """What it is."""

    # above it
    second: Optional[str]  # and behind
    third: list[dict[str, Any]]  # `three`; null never


class Silent(TypedDict):
    said: int


def test_a_shape_is_read_with_its_comments() -> None:
    found = {field.name: (field.kind, field.optional, field.text) for field in fields(Derived)}
    assert found == {
        "first": (int, False, "Counts."),
        "second": (str, True, "Above it and behind; null when unknown."),
        "third": (list[dict[str, Any]], False, "`three`; null never."),
    }


def test_a_field_without_a_comment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Silent\.said"):
        fields(Silent)
