# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A setting of pg_settings as SHOW writes it: in the largest unit that needs no fraction."""

from __future__ import annotations

import re
from typing import Optional, Sequence, Tuple

_Units = Sequence[Tuple[str, int]]
_SIZES: _Units = (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1))
_TIMES: _Units = (("d", 86400000), ("h", 3600000), ("min", 60000), ("s", 1000), ("ms", 1))


def shown(value: str, unit: Optional[str]) -> str:
    """``unit``: such as 8kB or ms. A value that is none (-1) or no amount (0) has none."""
    base = re.match(r"([0-9]*)([A-Za-z]+)\Z", unit or "")
    if base is None or not re.match(r"[0-9]+\Z", value) or int(value) == 0:
        return value
    for units in (_SIZES, _TIMES):
        sizes = dict(units)
        if base.group(2) in sizes:
            amount = int(value) * int(base.group(1) or 1) * sizes[base.group(2)]
            name, size = next((name, size) for name, size in units if amount % size == 0)
            return "%d%s" % (amount // size, name)
    return value
