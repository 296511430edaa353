# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules ``statements_info`` and ``load_info``: where a busy server's time goes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict

from .._core.deadline import Deadline
from .._core.errors import OncallError, OptionsError
from .._gather import gather as looking
from .._gather.load.load import load
from .._gather.load.statements import statements
from .work import opened

if TYPE_CHECKING:
    from .._core.spec import Spec
    from .._gather.target import Target


@dataclass(frozen=True)
class Load:
    """See ``Work``. ``read``: one of those below."""

    spec: Spec
    read: Callable[[Target, Dict[str, Any], Deadline], Dict[str, Any]]

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        for name, least in (("top", 1), ("large_table_mib", 0)):
            if options.get(name, least) < least:
                raise OptionsError("%s is %s: it must be at least %d" % (name, options[name], least))
        started = time.monotonic()
        with opened(options) as target:
            deadline = Deadline(target.deadline_seconds * 0.95)
            known, elapsed_ms = looking.gather(target, (looking.SNAPSHOT,))
            found = self.read(target, options, deadline)
        return {
            "changed": False,
            "target": known["target"],
            **found,
            "errors": known["errors"],
            "elapsed_ms": dict(elapsed_ms, total=round((time.monotonic() - started) * 1000, 1)),
        }


def statements_info(target: Target, options: Dict[str, Any], deadline: Deadline) -> Dict[str, Any]:
    try:
        counted, reason, missing = statements(target, options["top"], deadline)
    except OncallError as error:
        counted, reason, missing = None, str(error), []
    return {"statements": counted, "reason": reason, "not_covered": missing}


def load_info(target: Target, options: Dict[str, Any], deadline: Deadline) -> Dict[str, Any]:
    facts, missing = load(target, options["databases"], options["top"], options["large_table_mib"], deadline)
    return {"load": facts, "not_covered": missing}
