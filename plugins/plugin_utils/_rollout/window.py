# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A maintenance window: "Sun 02:00-04:00", "22:00-04:00", "Sat,Sun 00:00-06:00 Europe/Berlin". Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, FrozenSet, List, Optional, Set

from zoneinfo import ZoneInfo

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WRITTEN = re.compile(
    r"(?:([A-Za-z,\s-]+?)\s+)?(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)(?:\s+([A-Za-z_+-]+(?:/[\w+-]+)*))?"
)
_EXAMPLES = "Give such as 'Sun 02:00-04:00', '22:00-04:00' or 'Mon-Fri 01:00-03:00 Europe/Berlin'."


@dataclass(frozen=True)
class Window:
    """``days``: on which it begins. ``until`` not after ``since``: it ends a day later. ``zone``: None is the
    controller's."""

    days: FrozenSet[int]
    since: timedelta
    until: timedelta
    zone: Optional[tzinfo]

    def ends(self, at: datetime) -> Optional[datetime]:
        """When it closes, where it is open; ``at``: with its zone."""
        here = at.astimezone(self.zone)
        midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
        length = self.until - self.since
        if length <= timedelta(0):
            length += timedelta(days=1)
        for back in (0, 1):
            day = midnight - timedelta(days=back)
            if day.weekday() in self.days and timedelta(0) <= here - (day + self.since) < length:
                return day + self.since + length
        return None


def windows(given: Any) -> List[Window]:
    """``given``: one, or a list of them. Raises ValueError with what is wrong and what to write."""
    found = given if isinstance(given, (list, tuple)) else [given]
    return [_window(str(each).strip()) for each in found]


def _window(text: str) -> Window:
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError("%r is no maintenance window. %s" % (text, _EXAMPLES))
    days, since_hour, since_minute, until_hour, until_minute, zone = match.groups()
    since, until = _time(text, since_hour, since_minute), _time(text, until_hour, until_minute)
    if since == until:
        raise ValueError("%r is no maintenance window: it ends when it begins. A whole day is 00:00-24:00." % text)
    return Window(_days(text, days), since, until, _zone(text, zone))


def _days(text: str, given: Optional[str]) -> FrozenSet[int]:
    if given is None:
        return frozenset(range(7))
    found: Set[int] = set()
    for part in given.replace(",", " ").split():
        ends = [_day(text, each) for each in part.split("-")]
        if len(ends) > 2:
            raise ValueError("%r is no maintenance window. %s" % (text, _EXAMPLES))
        found.update((ends[0] + step) % 7 for step in range((ends[-1] - ends[0]) % 7 + 1))
    return frozenset(found)


def _day(text: str, given: str) -> int:
    for number, name in enumerate(_DAYS):
        if given[:3].capitalize() == name:
            return number
    raise ValueError("%r: there is no day %r. %s" % (text, given, _EXAMPLES))


def _time(text: str, hour: str, minute: str) -> timedelta:
    found = timedelta(hours=int(hour), minutes=int(minute))
    if found > timedelta(days=1) or int(minute) > 59:
        raise ValueError("%r: there is no time %s:%s. %s" % (text, hour, minute, _EXAMPLES))
    return found


def _zone(text: str, given: Optional[str]) -> Optional[tzinfo]:
    if given is None:
        return None
    try:
        return ZoneInfo(given)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        told = "%r: the controller knows no time zone %r (is its package tzdata installed?)" % (text, given)
        raise ValueError(told) from None
