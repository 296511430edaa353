# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last backup, as far as its program or its file tells: pgBackRest, Barman, WAL-G where they are beside the server.

A backup counts for this server by its system identifier, where the program tells one.
"""

from __future__ import annotations

import glob
import json
import os
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from ..._core.errors import OncallError, OptionsError, TargetError
from ..._core.text import count, line
from ..._core.times import utc

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.integrity import Backup
    from ..target import Target

_SECONDS = 20.0
_MISSING = 127
_NONE = "it holds no backup"
# $1 is the limit in seconds. The first line is this machine's own time.
_ASK_SH = r"""
limit=$1; shift
if ! command -v "$1" >/dev/null 2>&1; then
    exit 127
fi
date +%s
exec timeout "$limit" "$@"
"""
_QUIET = ("--log-level-console=off", "--log-level-stderr=error", "--log-level-file=off")


class Made(NamedTuple):
    """``finished``: seconds of the epoch; None: it did not end. ``trouble``: what is wrong with it."""

    name: str
    finished: Optional[float]
    trouble: Optional[str] = None


def pgbackrest(found: Any, identifier: str) -> Iterator[Made]:
    for stanza in _dicts(found):
        if not any(str(each.get("system-id")) == identifier for each in _dicts(stanza.get("db"))):
            continue
        made = _dicts(stanza.get("backup"))
        for each in made:
            times = each.get("timestamp")
            name = "%s of stanza %s" % (each.get("label"), stanza.get("name"))
            bad = "it has pages with wrong checksums" if each.get("error") else None
            yield Made(name, _number(times.get("stop") if isinstance(times, dict) else None), bad)
        status = stanza.get("status")
        if not made and isinstance(status, dict):
            yield Made("stanza %s" % stanza.get("name"), None, line(str(status.get("message")), 100))


def barman(found: Any, identifier: str) -> Iterator[Made]:
    """It lists backups by the name that it knows a server by, and nothing tells which one this is."""
    servers = {name: rows for name, rows in found.items() if isinstance(rows, list)} if isinstance(found, dict) else {}
    if len(servers) > 1:
        raise TargetError("it has backups of %s, and does not say which is this one" % count(len(servers), "server"))
    for server, rows in servers.items():
        if not rows:
            yield Made("server %s" % server, None, _NONE)
        for each in _dicts(rows):
            finished = _number(each.get("end_time_timestamp"))
            bad = "its status is %s" % each.get("status") if each.get("status") in ("FAILED", "EMPTY") else None
            if finished is not None or bad:
                yield Made("%s of server %s" % (each.get("backup_id"), server), finished, bad)


def wal_g(found: Any, identifier: str) -> Iterator[Made]:
    """It lists none that did not end. Before version 3 it says on standard error only that there is none."""
    if not found:
        yield Made("its storage", None, _NONE)
    for each in _dicts(found):
        if str(each.get("system_identifier") or identifier) == identifier:
            times = (each.get(key) for key in ("finish_time", "time", "modified"))
            yield Made(str(each.get("backup_name")), next(filter(None, map(_moment, times)), None))


class Program(NamedTuple):
    words: Sequence[str]
    read: Callable[[Any, str], Iterator[Made]]


_PROGRAMS: Dict[str, Program] = {
    "pgBackRest": Program(("pgbackrest", "info", "--output=json", *_QUIET), pgbackrest),
    "Barman": Program(("barman", "-f", "json", "list-backup", "all"), barman),
    "WAL-G": Program(("wal-g", "backup-list", "--detail", "--json"), wal_g),
}


def backups(
    target: Target, identifier: Optional[str], pattern: Optional[str], errors: Dict[str, str], deadline: Deadline
) -> List[Backup]:
    """The last of each program and of the files; why one tells nothing is in ``errors``."""
    found: List[Backup] = []
    for name, program in _PROGRAMS.items() if identifier else ():
        limit = deadline.sooner(_SECONDS)
        words = ["sh", "-c", _ASK_SH, "sh", str(max(1, int(limit.left()))), *program.words]
        try:
            done = target.runtime.run_beside(words, limit)
        except OncallError as error:
            errors["backups"] = str(error)
            break
        if done.code == _MISSING:
            continue
        try:
            now, _newline, text = done.out.partition("\n")
            if done.code:
                raise TargetError(line(done.err or text, 200) or "exit code %d" % done.code)
            found += _last(name, program.read(json.loads(text.strip() or "null"), identifier or ""), float(now))
        except (OncallError, ValueError, RecursionError) as error:
            errors["backups by %s" % name] = line(str(error), 300)
    if pattern:
        found += _last("file", _files(pattern, target.place), time.time())
    return found


def _files(pattern: str, place: str) -> Iterator[Made]:
    if not os.path.isabs(pattern):
        raise OptionsError("backup_file is %r: it must be an absolute path or pattern" % pattern)
    there = [path for path in glob.glob(pattern) if os.path.exists(path)]
    if not there:
        yield Made(pattern, None, "there is no such file on %s" % place)
        return
    newest = max(there, key=os.path.getmtime)
    empty = os.path.isfile(newest) and not os.path.getsize(newest)
    yield Made(newest, os.path.getmtime(newest), "it is empty" if empty else None)


def _last(program: str, made: Iterator[Made], now: float) -> List[Backup]:
    """The newest that is whole, and the last in the list where that is not: backups are listed by their start."""
    listed = list(made)
    whole = [each for each in listed if each.finished is not None and not each.trouble]
    newest = max(whole, key=lambda each: each.finished or 0, default=None)
    latest = max(listed, key=lambda each: each.finished or float("inf"), default=None)
    shown = [each for each in (newest, latest if latest and latest.trouble else None) if each is not None]
    return [
        {
            "program": program,
            "name": each.name,
            "finished_at": utc(each.finished),
            "age_seconds": max(0.0, round(now - each.finished, 1)) if each.finished is not None else None,
            "trouble": each.trouble,
        }
        for each in shown
    ]


def _dicts(found: Any) -> List[Dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _number(found: Any) -> Optional[float]:
    try:
        seconds = float(found) if isinstance(found, (int, float, str)) and not isinstance(found, bool) else None
    except (ValueError, OverflowError):
        return None
    return seconds if seconds is not None and utc(seconds) else None


def _moment(found: Any) -> Optional[float]:
    """``2026-11-28T02:00:00.123456789Z``: to the second is enough."""
    try:
        return datetime.strptime(str(found)[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except (ValueError, OverflowError):
        return None
