# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible test ``at_least``."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import SEVERITIES
from ansible_collections.oncall.postgresql.plugins.test import severity as plugin

at_least = plugin.TestModule().tests()["at_least"]


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("least", SEVERITIES)
def test_the_order(severity: str, least: str) -> None:
    assert at_least(severity, least) is (SEVERITIES.index(severity) >= SEVERITIES.index(least))


@pytest.mark.parametrize("severity, least", [("bad", "ok"), ("ok", "bogus"), (None, "ok"), ("ok", ["ok"])])
def test_what_is_no_severity_is_said(severity: Any, least: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"is not a severity\. Give one of: ok, warning, critical, emergency"):
        at_least(severity, least)
