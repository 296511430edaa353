# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes as PostgreSQL's settings have them. Its manual, "Parameter Names and Values": kB is 1024 bytes, MB 1024 kB."""

from __future__ import annotations

import re
from typing import Any, Union

_IN_KB = {"B": 1 / 1024, "kB": 1, "MB": 1 << 10, "GB": 1 << 20, "TB": 1 << 30}
_IN_MS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60000, "h": 3600000, "d": 86400000}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(B|kB|MB|GB|TB)\s*\Z")
_TIME = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(us|ms|s|min|h|d)\s*\Z")
# A number without a unit is one of these: kB, where not said otherwise. (Manual, "Resource Consumption", "WAL".)
_BARE_KB = {
    "shared_buffers": 8,
    "effective_cache_size": 8,
    "wal_buffers": 8,
    "max_wal_size": 1024,
    "min_wal_size": 1024,
}


def kilobytes(name: str, value: Any) -> int:
    """The size that ``value`` is for setting ``name``, in kB, rounded down. Raises ValueError for what is no size."""
    text = str(value).strip()
    if re.match(r"[0-9]+\Z", text):
        return int(text) * _BARE_KB.get(name, 1)
    match = _SIZE.match(text)
    if match is None:
        raise ValueError("%s is %r: give a size such as 512MB or 4GB" % (name, value))
    return int(float(match.group(1)) * _IN_KB[match.group(2)])


def seconds(value: Any) -> float:
    """Of a time with its unit, as SHOW writes it. Raises ValueError for any other text."""
    match = _TIME.match(str(value))
    if match is None:
        raise ValueError("%r is no time" % value)
    return float(match.group(1)) * _IN_MS[match.group(2)] / 1000


def amount(name: str, value: str) -> Union[float, str]:
    """What two texts have in common that mean the same for setting ``name``: seconds, kB, or the text."""
    if _TIME.match(value):
        return seconds(value)
    try:
        return kilobytes(name, value)
    except ValueError:
        return value


def written(kb: int) -> str:
    """In the largest unit that needs no fraction. From 64 MB on a part of a MB counts for nothing, and is dropped."""
    if kb >= 64 << 10:
        kb -= kb % 1024
    for unit, size in (("GB", 1 << 20), ("MB", 1 << 10)):
        if kb and kb % size == 0:
            return "%d%s" % (kb // size, unit)
    return "%dkB" % kb
