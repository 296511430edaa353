# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How numbers, times and lists are written, wherever a person reads them. Never parsed back."""

from __future__ import annotations

import difflib
from typing import Iterable, Optional

_UNITS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))


def line(text: str, most: int = 200) -> str:
    """``text`` on one line, cut."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 3] + "..."


def count(number: int, one: str, many: Optional[str] = None) -> str:
    """``3 sessions``; the plural is ``one`` with an s unless given."""
    return "%d %s" % (number, one if number == 1 else many or one + "s")


def size(number: Optional[float]) -> str:
    """Bytes in binary units: ``1.3 GiB``, ``60 GiB``; nothing for None."""
    if number is None:
        return ""
    value, unit = float(number), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            break
        value /= 1024
    return "%d B" % value if unit == "B" else "%s %s" % (("%.1f" % value).replace(".0", ""), unit)


def duration(seconds: Optional[float]) -> str:
    """``0.1 s``, ``45 s``, ``1 min 35 s``, ``1 h 30 min``, ``1 d 1 h``; nothing for None."""
    if seconds is None:
        return ""
    whole = int(seconds)
    for unit, length, smaller, part in _UNITS:
        if whole >= length:
            rest = whole % length // part
            return "%d %s %d %s" % (whole // length, unit, rest, smaller) if rest else "%d %s" % (whole // length, unit)
    return "%s s" % (("%.1f" % seconds).replace(".0", "") if seconds < 10 else whole)


def milliseconds(value: Optional[float]) -> str:
    """``0.2 ms``, ``75 ms``, ``1.24 s``; nothing for None."""
    if value is None:
        return ""
    return "%.2f s" % (value / 1000) if value >= 1000 else "%d ms" % round(value) if value >= 10 else "%.1f ms" % value


def number(value: int) -> str:
    """``1,200,000,000``"""
    return format(value, ",d")


def nearest(name: str, known: Iterable[str], likeness: float = 0.7) -> Optional[str]:
    """The one of ``known`` that may have been meant. ``likeness``: 0 to 1."""
    return next(iter(difflib.get_close_matches(name, sorted(known), 1, likeness)), None)


def did_you_mean(name: Optional[str], otherwise: str) -> str:
    return "Did you mean %s?" % name if name is not None else otherwise


def names(words: Iterable[str], most: int = 5) -> str:
    """Each once, with commas between, cut after ``most``."""
    seen = list(dict.fromkeys(words))
    rest = " and %d more" % (len(seen) - most) if len(seen) > most else ""
    return ", ".join(seen[:most]) + rest


def quoted(name: str) -> str:
    """An SQL identifier: a role's, a database's, a table's name."""
    return '"%s"' % name.replace('"', '""')
