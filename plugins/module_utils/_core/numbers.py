# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers in a text that somebody else wrote. ``str.isdigit`` takes what ``int`` refuses, and neither knows an end."""

from __future__ import annotations

import re
from typing import Optional, Sequence

_WHOLE = re.compile(r"[0-9]{1,19}\Z")
_DECIMAL = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?\Z")


def whole(text: Optional[str]) -> Optional[int]:
    """Digits and nothing else, at most 19 of them (nanoseconds of the epoch, 64 bits); None for any other text."""
    return int(text) if text is not None and _WHOLE.match(text) else None


def decimal(text: str) -> Optional[float]:
    return float(text) if _DECIMAL.match(text) else None


def port(text: Optional[str]) -> Optional[int]:
    """A TCP port's number, None for what is none."""
    number = whole(text)
    return number if number is not None and 0 < number < 65536 else None


def median(values: Sequence[float]) -> float:
    """Of at least one value. ``statistics`` takes as long to import as an address takes to answer."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def major(version: str) -> str:
    """PostgreSQL's manual, "Upgrading a PostgreSQL Cluster": the first number; before 10 the first two."""
    parts = version.split(".")
    return ".".join(parts[: 1 if (whole(parts[0]) or 0) >= 10 else 2])
