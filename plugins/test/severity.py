# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test: is a severity at least as bad as another?"""

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible.errors import AnsibleFilterError

from ..module_utils._model.answers import SEVERITIES


def at_least(severity: Any, least: Any) -> bool:
    for value in (severity, least):
        if value not in SEVERITIES:
            raise AnsibleFilterError("%r is not a severity. Give one of: %s." % (value, ", ".join(SEVERITIES)))
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)


class TestModule:
    def tests(self) -> Dict[str, Callable[..., bool]]:
        return {"at_least": at_least}
