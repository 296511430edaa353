# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``pressure_info``: one sample of how hard a server is pressed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Dict, Optional

from .._core.deadline import Deadline
from .._core.errors import OptionsError
from .._gather.pressure.pressure import sample
from .work import opened

if TYPE_CHECKING:
    from .._core.spec import Spec


@dataclass(frozen=True)
class Pressure:
    """See ``Work``."""

    spec: Spec

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        since = _seconds(options["since"])
        started = time.monotonic()
        with opened(options) as target:
            found, answer, missing = sample(target, since, Deadline(target.deadline_seconds * 0.95))
            host, runtime = target.host, target.runtime.name
        return {
            "changed": False,
            "target": {
                "host": host,
                "runtime": runtime,
                "version": answer["version"].partition(" ")[0] if answer else None,
                "in_recovery": answer["in_recovery"] if answer else None,
            },
            "pressure": found,
            "not_covered": missing,
            "elapsed_ms": {"total": round((time.monotonic() - started) * 1000, 1)},
        }


def _seconds(since: Optional[str]) -> Optional[float]:
    """Of the epoch. Raises OptionsError for what is no time as results have it."""
    if since is None:
        return None
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(since, form).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            continue
    raise OptionsError("since is %r: it is no time" % since, "Give pressure.at of a former result.")
