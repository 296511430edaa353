# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of ``respond.yml``: what to do about a verdict, and what to say about it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from ansible.errors import AnsibleFilterError

from ..plugin_utils import _respond


def respond(triage: Any, auto_remedies: Any = ()) -> Dict[str, Any]:
    try:
        return _respond.respond(triage, auto_remedies)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def outcome(response: Any, after: Any, failure: str = "", plan: bool = False) -> List[str]:
    return _respond.outcome(response, after, failure, plan)


class FilterModule:
    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"respond": respond, "outcome": outcome}
