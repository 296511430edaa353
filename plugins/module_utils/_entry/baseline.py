# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``baseline``: what the server is like now. Kept, and compared with the last one, on the controller."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence

from .._core.errors import OncallError, OptionsError
from .._core.numbers import major
from .._core.text import quoted
from .._gather.baseline.names import names
from .._gather.baseline.read import Wanted, read
from .._judge.baseline import ODD, UNREADABLE, changes, foreign, sizes
from .work import opened

if TYPE_CHECKING:
    from .._core.spec import Spec
    from .._gather.target import Target
    from .._model.baseline import Change, Compared

_NOT_GIVEN = "no baseline was given: set oncall_baseline_dir, and make one with oncall.postgresql.baseline"
_COUNT_SECONDS = 60.0


@dataclass(frozen=True)
class BaselineWork:
    """See ``Work``."""

    spec: Spec

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        for name in ("jobs", "keep"):
            if options[name] < 1:
                raise OptionsError("%s must be at least 1" % name)
        for name in ("check_seconds", "count_seconds"):
            if options[name] <= 0:
                raise OptionsError("%s must be above 0" % name)
        started = time.monotonic()
        wanted = Wanted(
            names(options["tables"]),
            options["databases"],
            options["estimate"],
            options["jobs"],
            options["check_seconds"],
            options["count_seconds"],
        )
        with opened(options) as target:
            found = read(target, wanted)
            runtime = target.runtime.name
        return {
            "changed": False,
            "target": {
                "host": found["host"],
                "runtime": runtime,
                "version": found["version"].partition(" ")[0],
                "in_recovery": found["in_recovery"],
            },
            "baseline": found,
            "not_covered": found["not_covered"],
            "elapsed_ms": {"total": round((time.monotonic() - started) * 1000, 1)},
        }


def compare(
    target: Target, before: Optional[Mapping[str, Any]], options: Mapping[str, Any], seconds: float
) -> Compared:
    """The server with ``before``, its tables counted as they were then. Raises nothing: why not is told.

    ``before`` may be {why_not: ...}: what the controller has to say where it has none.
    """
    why_not = _NOT_GIVEN if not before else before.get("why_not")
    if not before or why_not:
        return not_compared(str(why_not))
    try:
        return _compare(target, before, options, seconds)
    except OncallError as error:
        return not_compared(str(error).rstrip("."))
    except ODD:
        return not_compared(UNREADABLE)


def _compare(target: Target, before: Mapping[str, Any], options: Mapping[str, Any], seconds: float) -> Compared:
    databases: Sequence[str] = options["databases"]
    old = [one for one in before["databases"] if not databases or one["name"] in databases]
    tables = [(one["name"], each) for one in old for each in one["tables"]]
    counted = ["%s:%s" % (quoted(name), each["name"]) for name, each in tables if each["exact"]]
    estimate = any(each["rows"] is not None and not each["exact"] for _name, each in tables)
    wanted = Wanted(names(counted), databases, estimate, options["jobs"], seconds, min(seconds, _COUNT_SECONDS))
    now = read(target, wanted)
    other = foreign(before, now)
    if other:
        return not_compared(other)
    looked = {one["name"] for one in now["databases"]}
    unread = [one for one in now["not_covered"] if ": there is no such table" not in one]  # that is a change
    shut = [one["name"] for one in old if any(why.startswith("database %s: " % one["name"]) for why in unread)]
    same = {"databases": [one for one in old if one["name"] in looked or one["name"] not in shut]}
    mine = {"databases": now["databases"]}
    of_another_version = major(before.get("version", "")) != major(now["version"])
    return {
        "taken_at": before["taken_at"],
        "why_not": None,
        "tables": len(tables),
        "counted": len([each for one in now["databases"] for each in one["tables"] if each["exact"]]),
        "changes": [
            each
            for each in changes(same, mine)
            if _beyond(each, options["tolerance_percent"]) and not (of_another_version and each["kind"] == "schema")
        ],
        "sizes": sizes(same, mine),
        "not_covered": [each for each in unread if not each.startswith("pg_hba_file_rules: ")]
        + (["definitions: not compared: they are of another major version"] if of_another_version else []),
    }


def _beyond(change: Change, tolerance_percent: float) -> bool:
    if change["kind"] == "uncounted":  # why is told
        return False
    if change["kind"] not in ("rows", "bytes") or change["percent"] is None:
        return True
    return abs(change["percent"]) > tolerance_percent


def not_compared(why: str) -> Compared:
    return {
        "taken_at": None,
        "why_not": why,
        "tables": 0,
        "counted": 0,
        "changes": [],
        "sizes": [],
        "not_covered": [],
    }
