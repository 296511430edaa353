# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that amcheck can read of the databases in the time there is: catalogs of all of them first.

Many objects are checked by one statement; where that fails, its halves are, until it is known which one it was. What
was not read is named, with the reason: nothing of it is "sound".
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import DeadlineError, OncallError, SessionError
from ..._core.text import count, names, number, size
from ..session.bind import identifier
from ..sql.amcheck import AT_WORK, BTREE, BTREE_UNIQUE, GIN, HEAP, OBJECTS, TOAST
from ..sql.query import Query

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.integrity import Amcheck, Damage, Share
    from ..session.base import Session

# A row of OBJECTS, with `reads`: the bytes that checking it reads. A table with TOAST values is there twice: to follow
# each from its row may take long, so that comes last of all.
Object = Mapping[str, Any]
_CATALOGS, _TABLES, _VALUES = range(3)

_BATCH_BYTES, _BATCH_OBJECTS = 64 * 1024 * 1024, 500
_FIRST_RATE = 16.0 * 1024 * 1024  # bytes a second, until it was measured
# While others are at work it reads for a tenth of the time, and what it has not read by its deadline is left unread.
_PAUSES = 9.0
_ASK_SECONDS, _REMEMBERED = 5.0, 2
_DAMAGED = ("XX001", "XX002")  # data_corrupted, index_corrupted
# A file that is not there, an I/O error: of the data, not of the extension's own library.
_UNREADABLE = ("58P01", "58030")
_DATA = re.compile(r"\b(?:base|global|pg_tblspc|pg_xact|pg_multixact)/")
_WHY = {
    "42501": "the login role may not read it",
    "55P03": "it is locked",
    "42P01": "it was dropped meanwhile",
    "40001": "the standby had to go on replaying",
    "57014": "it was cancelled",
}
_NO_TIME = "no time was left"


class Pace:
    """How far and how fast it goes: what cannot end in time is not begun, and sessions at work get pauses."""

    def __init__(self, say: Callable[[str], None], objects: Sequence[Object]) -> None:
        self._say, self._count, self._bytes = say, len(objects), sum(each["reads"] or 0 for each in objects)
        self._checked, self._read = 0, 0
        self._busy, self._asked_at = 0, 0.0
        self.bytes_a_second = _FIRST_RATE

    def went(self, batch: Sequence[Object], seconds: float, session: Session, deadline: Deadline) -> None:
        """``batch`` was read in so many seconds."""
        amount = sum(each["reads"] for each in batch)
        self._checked, self._read = self._checked + len(batch), self._read + amount
        if amount >= _BATCH_BYTES // 4 and seconds > 0:
            self.bytes_a_second = amount / seconds
        percent = 100 * self._read // max(1, self._bytes)
        of = number(self._checked), number(self._count), percent
        self._say("amcheck %s of %s tables and indexes, %d %% of bytes" % of)
        if self._read < self._bytes and self._is_busy(session, deadline):
            time.sleep(max(0.0, min(seconds * _PAUSES, deadline.left())))

    def _is_busy(self, session: Session, deadline: Deadline) -> bool:
        """Whether anybody was at work when it was last asked, or shortly before that."""
        if time.monotonic() - self._asked_at > _ASK_SECONDS:
            self._busy = max(0, self._busy - 1)
            with contextlib.suppress(OncallError):
                if session.query(AT_WORK, deadline)[0]["sessions"]:
                    self._busy = _REMEMBERED
            self._asked_at = time.monotonic()
        return self._busy > 0


@dataclass
class Reader:
    """One database. ``version`` and ``schema`` are the extension's."""

    session: Session
    version: str
    schema: str
    damage: List[Damage] = field(default_factory=list)
    skipped: Dict[str, List[Object]] = field(default_factory=dict)  # why -> what
    checked: List[Object] = field(default_factory=list)
    objects: List[Object] = field(default_factory=list)
    errors: List[str] = field(default_factory=list)

    def look(self, deadline: Deadline) -> None:
        try:
            with contextlib.closing(self.session):
                found = self.session.query(OBJECTS, deadline)
            self.objects = [dict(each, reads=each["bytes"]) for each in found]
            self.objects += [
                dict(each, kind="toast", bytes=each["toast_bytes"], reads=each["bytes"] + each["toast_bytes"])
                for each in found
                if each["bytes"] and each["toast_bytes"] and reading(self.version, dict(each, kind="toast"))
            ]
        except OncallError as error:
            self.errors.append(str(error))

    def read(self, turn: int, pace: Pace, deadline: Deadline) -> None:
        waiting: Dict[str, Tuple[Query, List[Object]]] = {}
        for each in self.objects:
            if _turn(each) != turn or (turn == _VALUES and not self.is_sound(each["name"])):
                continue
            query = reading(self.version, each)
            if each["bytes"] is None:
                self._skip("it is locked", [each])
            elif query is None:
                self._skip("amcheck %s cannot read %s" % (self.version, _kind(each)), [each])
            elif each["reads"] / pace.bytes_a_second > deadline.left():
                self._skip(_NO_TIME, [each])
            else:
                _same, batch = waiting.setdefault(query.name, (query, []))
                batch.append(each)
                if len(batch) >= _BATCH_OBJECTS or sum(one["reads"] for one in batch) >= _BATCH_BYTES:
                    self._check(*waiting.pop(query.name), pace, deadline)
        for query, batch in waiting.values():
            self._check(query, batch, pace, deadline)

    def _check(self, query: Query, batch: Sequence[Object], pace: Pace, deadline: Deadline) -> None:
        if deadline.passed():
            self._skip(_NO_TIME, batch)
            return
        started = time.monotonic()
        try:
            rows = self.session.query(
                query, deadline, schema=identifier(self.schema), oids=[each["oid"] for each in batch]
            )
        except DeadlineError:
            self._skip(_NO_TIME, batch)
            return
        except SessionError as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                self._check(query, batch[:middle], pace, deadline)
                self._check(query, batch[middle:], pace, deadline)
            else:
                self._failed(batch[0], error)
            return
        seconds = time.monotonic() - started
        self.checked += batch
        if query in (HEAP, TOAST):
            self._report(batch, rows)
        pace.went(batch, seconds, self.session, deadline)

    def _failed(self, each: Object, error: SessionError) -> None:
        if is_damage(error):
            said = error.msg.partition(" failed: ")[2] or error.msg
            self.damage.append(
                {"name": each["name"], "kind": _index_or_table(each), "sqlstate": error.sqlstate, "message": said}
            )
            self.checked.append(each)
        else:
            self._skip(_WHY.get(error.sqlstate or "", str(error)), [each])

    def _report(self, batch: Sequence[Object], rows: Sequence[Mapping[str, Any]]) -> None:
        for each in batch:
            said = [row for row in rows if row["oid"] == each["oid"]]
            if said:
                more = " and %d more" % (len(said) - 1) if len(said) > 1 else ""
                message = "block %s: %s%s" % (said[0]["block"], said[0]["message"], more)
                self.damage.append({"name": each["name"], "kind": "table", "sqlstate": None, "message": message})

    def _skip(self, why: str, objects: Sequence[Object]) -> None:
        for each in objects:
            self.skipped.setdefault("its TOAST values: " * (each["kind"] == "toast") + why, []).append(each)

    def is_sound(self, name: str) -> bool:
        damaged = {each["name"] for each in self.damage}
        return name not in damaged and name in {each["name"] for each in self.checked}

    def found(self) -> Amcheck:
        told = [
            "%s (%s): %s"
            % (
                count(len(objects), "object") if len(objects) > 1 else _index_or_table(objects[0]),
                size(sum(each["bytes"] or 0 for each in objects)),
                "%s: %s" % (names([each["name"] for each in objects], 3), why),
            )
            for why, objects in self.skipped.items()
        ]
        return {
            "version": self.version,
            "damage": self.damage,
            "coverage": self._coverage(),
            "not_covered": self.errors + told,
        }

    def _coverage(self) -> List[Share]:
        kinds = ("catalog_index", "catalog_table", "index", "table", "toast")
        return [self._share(kind) for kind in kinds]

    def _share(self, kind: str) -> Share:
        there = [each for each in self.objects if _covers(each) == kind]
        done = [each for each in self.checked if _covers(each) == kind]
        return {
            "kind": kind,
            "objects": len(there),
            "bytes": sum(each["bytes"] or 0 for each in there),
            "checked_objects": len(done),
            "checked_bytes": sum(each["bytes"] or 0 for each in done),
        }


def reading(version: str, each: Object) -> Optional[Query]:
    """What reads it with the extension of that version; None: nothing does."""
    release = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if each["kind"] != "index":
        query = TOAST if each["kind"] == "toast" else HEAP
        return query if each["method"] == "heap" and release >= (1, 3) else None
    if each["method"] == "gin":
        return GIN if release >= (1, 5) else None
    if each["method"] != "btree":
        return None
    return BTREE_UNIQUE if release >= (1, 4) else BTREE


def is_damage(error: SessionError) -> bool:
    """Whether it says that what was read is damaged, and not that it could not be read."""
    return error.sqlstate in _DAMAGED or bool(error.sqlstate in _UNREADABLE and _DATA.search(error.msg))


def _turn(each: Object) -> int:
    return _VALUES if each["kind"] == "toast" else _CATALOGS if each["catalog"] else _TABLES


def _covers(each: Object) -> str:
    """The kind of object, as in the coverage."""
    return "catalog_" * (_turn(each) == _CATALOGS) + str(each["kind"])


def _index_or_table(each: Object) -> str:
    return "index" if each["kind"] == "index" else "table"


def _kind(each: Object) -> str:
    """``a table``, ``a gist index``"""
    return "a %s" % " ".join([each["method"]] * (each["method"] != "heap") + [each["kind"]])


def amcheck(readers: Mapping[str, Reader], deadline: Deadline, say: Callable[[str], None]) -> Dict[str, Amcheck]:
    """By database. Raises nothing: what goes wrong is not covered."""
    for reader in readers.values():
        reader.look(deadline)
    pace = Pace(say, [each for reader in readers.values() for each in reader.objects])
    for turn in (_CATALOGS, _TABLES, _VALUES):
        for reader in readers.values():
            try:
                with contextlib.closing(reader.session):
                    reader.read(turn, pace, deadline)
            except OncallError as error:
                reader.errors.append(str(error))
    return {name: reader.found() for name, reader in readers.items()}
