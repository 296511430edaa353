# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter of the role ``tuning``: which value each setting is to have."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible.errors import AnsibleFilterError

from ..plugin_utils._tune.given import Wishes
from ..plugin_utils._tune.plan import plan


def tuning(capacity: Any, **wishes: Any) -> Dict[str, Any]:
    try:
        return plan(capacity, Wishes(**wishes))
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError("No tuning plan: %s." % str(error).rstrip(".")) from None


class FilterModule:
    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"tuning": tuning}
