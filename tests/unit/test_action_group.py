# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module of the group ``target`` has an action plugin of its name, which is the one that decides where it runs.

Not by ``plugin_routing``: ansible-lint, antsibull-docs and ansible-test take a redirected action for another module.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.action import ActionModule
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import CHANGING, READING

RUNTIME = yaml.safe_load((Path(__file__).resolve().parents[2] / "meta" / "runtime.yml").read_text())
GROUP = RUNTIME["action_groups"]["target"]


@pytest.mark.parametrize("name", GROUP)
def test_every_module_of_the_group_runs_where_that_plugin_says(name: str) -> None:
    action = importlib.import_module("ansible_collections.oncall.postgresql.plugins.action.%s" % name).ActionModule
    assert issubclass(action, ActionModule)


def test_the_group_is_all_that_the_plugin_can_run() -> None:
    assert set(GROUP) == {*READING, *CHANGING, "procedure", "look", "soak"}
