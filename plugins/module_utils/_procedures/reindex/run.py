# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``reindex``: indexes that may be in the wrong order are rebuilt beside their users, one by one."""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, OptionsError, RefusedError, SessionError, UnprovenError
from ..._core.interrupt import Interrupted, interruptible
from ..._core.spec import Spec
from ..._core.text import did_you_mean, duration, line, names, nearest
from ..._core.wait import wait_for
from ..._gather.integrity.amcheck import is_damage, reading
from ..._gather.session.bind import identifier
from ..._gather.sql.integrity import DATABASES
from ..procedure import Change, Options
from . import sql
from .plan import DROP, REFUSE, Database, Plan, Refresh, State, Step, change, decide

if TYPE_CHECKING:
    from ..._gather.session.base import Session
    from ..._gather.target import Target

OPTIONS = Spec(
    {
        "indexes": {"type": "list", "elements": "str", "default": []},
        "databases": {"type": "list", "elements": "str", "default": []},
        "lock_timeout_seconds": {"type": "float", "default": 10.0},
        "timeout_seconds": {"type": "float", "default": 3600.0},
        "transaction_minutes": {"type": "float", "default": 5.0},
        "refresh": {"type": "bool", "default": True},
        "disk_checked": {"type": "bool", "default": False},
        "block_writers": {"type": "bool", "default": False},
    }
)
MOST_KEYS = 5
_LEFT = re.compile(r"(.*)_cc(?:new|old)\d*", re.DOTALL)
_FREE = re.compile(r"^\S.*?\s(\d+)\s+\d+\s+(-?\d+)\s+\d+%\s", re.MULTILINE)
_SHORTEST, _LONGEST = (
    0.001,
    1000000,
)  # PostgreSQL counts milliseconds: none is "for ever", and more than these it refuses
_ENDING_SECONDS = 60.0  # until a rebuild that was cancelled has ended
_AWAY = ("08", "57P")  # classes of SQLSTATE: the server is gone, the others need not be tried
LOCK_TIMEOUT = "55P03"


@dataclass
class Done:
    """``rows``: of the result, in the order of the plan's steps."""

    rows: List[Dict[str, Any]]
    refreshed: List[str] = field(default_factory=list)
    failed: List[str] = field(default_factory=list)
    interrupted: Optional[str] = None


class Reindex:
    def read(self, target: Target, options: Options) -> State:
        for name in ("lock_timeout_seconds", "timeout_seconds", "transaction_minutes"):
            if not _SHORTEST <= options[name] <= _LONGEST:
                raise OptionsError("%s must be from %s to %d" % (name, _SHORTEST, _LONGEST))
        deadline = Deadline(max(target.deadline_seconds, 30.0))
        server = target.session.query(sql.SERVER, deadline)[0]
        if server["in_recovery"] or target.session.pooled:
            return State(server, (), {}, target.session.pooled)
        found = [_database(target, name, options) for name in _databases(target, options, deadline)]
        where = {index["tablespace"] or server["directory"] or "" for one in found for index in one.document["indexes"]}
        return State(server, found, {each: _free(target, each) for each in where})

    def plan(self, state: State, options: Options) -> Plan:
        return decide(state, options)

    def apply(self, target: Target, plan: Plan) -> Done:
        done = Done([step.row() for step in plan.steps])
        todo = [(step, row) for step, row in zip(plan.steps, done.rows) if step.what != REFUSE]
        for _step, row in todo:
            row["state"] = "untouched"
        work = _Work(target, plan, "oncall-reindex-%s" % uuid.uuid4().hex[:12])
        with interruptible():
            try:
                for step, row in todo:
                    if not work.carry_out(step, row):
                        break
                done.refreshed += [each.shown for each in plan.refreshes if _proved(each, todo) and work.refresh(each)]
            except Interrupted as interrupted:
                done.interrupted = str(interrupted)
                work.clear()
        done.failed = ["%s: %s" % (row["name"], row["why"]) for _step, row in todo if row["why"]] + work.failed
        return done

    def prove(self, target: Target, plan: Plan, done: Done) -> Change:
        found = change(plan, done.rows, done.refreshed)
        if done.interrupted or done.failed:
            why = ["interrupted (%s)" % done.interrupted] if done.interrupted else []
            raise UnprovenError(
                "Not all was rebuilt: %s" % "; ".join([*why, *done.failed]),
                "Run it again: what is left over is dropped, and the rest is rebuilt.",
                details=found.result(),
            )
        return found


def _proved(refresh: Refresh, todo: Sequence[Tuple[Step, Mapping[str, Any]]]) -> bool:
    return all(row["proved_by"] for step, row in todo if step.database == refresh.database and step.index["collations"])


@dataclass
class _Work:
    """``application``: what our own backend is called, so that nobody else's is ever cancelled."""

    target: Target
    plan: Plan
    application: str
    failed: List[str] = field(default_factory=list)
    at: Optional[Tuple[Step, Dict[str, Any], List[int]]] = None  # what is being done: with the leftovers before it

    def carry_out(self, step: Step, row: Dict[str, Any]) -> bool:
        """False: the server is gone, the others need not be tried. What became of it is in ``row``."""
        try:
            if step.what == DROP:
                row["state"] = "failed"
                if any(each["oid"] == step.index["oid"] and not each["valid"] for each in self._now(step)):
                    self._execute(step.database, sql.DROP, step.index)
                row.update(state="dropped", proved_by="gone")
            else:
                self._rebuild(step, row)
        except OncallError as error:
            row.update(state="failed", why=" ".join(filter(None, [row["why"], line(str(error), 300)])))
            return not (error.sqlstate or "").startswith(_AWAY)
        return True

    def _rebuild(self, step: Step, row: Dict[str, Any]) -> None:
        started = time.monotonic()
        self.at = (step, row, [each["oid"] for each in self._now(step) if not _same(each, step)])
        row["state"] = "failed"
        try:
            self._execute(step.database, sql.REINDEX_ALONE if step.index["exclusion"] else sql.REINDEX, step.index)
        except OncallError as error:
            row["why"] = _why(error, self.plan)
        self.clear()
        row["seconds"] = round(time.monotonic() - started, 1)
        if row["why"] is None:
            row.update(state="rebuilt", proved_by=self._prove(step, row))

    def _prove(self, step: Step, row: Dict[str, Any]) -> str:
        now = next((each for each in self._now(step) if _same(each, step)), None)
        if now is None or not now["valid"] or now["file"] == step.index["file"]:
            raise UnprovenError("it is not valid, or not another one than before")
        row["bytes_after"] = now["bytes"]
        amcheck = self.plan.amcheck[step.database]
        query = reading(amcheck["version"], {"kind": "index", "method": step.index["method"]}) if amcheck else None
        if amcheck is None or query is None:
            return "rebuild"
        with self._session(step.database) as session:
            try:
                session.query(
                    sql.patient(query, self.application, self.plan.lock_seconds, self.plan.seconds),
                    self._deadline(),
                    schema=identifier(amcheck["schema"]),
                    oids=[str(now["oid"])],
                )
            except SessionError as error:
                if is_damage(error):
                    raise
                return "rebuild"
        return "amcheck"

    def clear(self) -> None:
        """Our backend is ended, if it still runs, and what it has left on that table is dropped, or named."""
        if self.at is None:
            return
        (step, row, before), self.at = self.at, None
        try:
            if not self._ended():
                row["why"] = "%s; our backend goes on (application_name %s)" % (row["why"], self.application)
                return
            rows = self._now(step)
        except OncallError as error:
            row["why"] = "%s; whether it left an invalid index could not be read (%s)" % (
                row["why"] or "it was interrupted",
                line(str(error), 200),
            )
            return
        left = [each for each in rows if each["oid"] not in before and not each["valid"] and _is_of(each, step)]
        for each in left:
            row["why"] = "%s; %s" % (row["why"] or "it was interrupted", self._drop(step, each))
        if row["why"] is None and any(_same(each, step) and each["file"] == step.index["file"] for each in rows):
            row["why"] = "it was interrupted"

    def _drop(self, step: Step, left: Mapping[str, Any]) -> str:
        try:
            self._execute(step.database, sql.DROP, left)
        except OncallError as error:
            return (
                "it left the invalid index %s.%s, which could not be dropped (%s): the next run drops it, or in "
                "database %s: DROP INDEX CONCURRENTLY %s;"
                % (step.database, left["name"], line(str(error), 200), step.database, left["name"])
            )
        return "its leftover %s.%s was dropped" % (step.database, left["name"])

    def _ended(self) -> bool:
        with self._session(None) as session:
            deadline = Deadline(_ENDING_SECONDS)

            def there() -> bool:
                return bool(session.query(sql.OURS, deadline, application=self.application))

            if there():
                session.query(sql.CANCEL, deadline, application=self.application)
            return wait_for(there, lambda some: not some, _ENDING_SECONDS).ok

    def refresh(self, each: Refresh) -> bool:
        query = sql.REFRESH_DATABASE if each.name == "default" else sql.REFRESH_COLLATION
        name = each.database if each.name == "default" else each.name
        given = (
            {"name": identifier(name)}
            if each.name == "default"
            else {"name": identifier(name), "schema": identifier(each.schema)}
        )
        try:
            with self._session(each.database) as session:
                session.execute(query, Deadline(self.target.deadline_seconds), **given)
        except OncallError as error:
            self.failed.append("version of %s not refreshed: %s" % (each.shown, line(str(error), 300)))
            return False
        return True

    def _execute(self, database: str, query: Any, index: Mapping[str, Any]) -> None:
        with self._session(database) as session:
            session.execute(
                sql.patient(query, self.application, self.plan.lock_seconds, self.plan.seconds),
                self._deadline(),
                schema=identifier(index["schema"]),
                index=identifier(index["index"]),
            )

    def _now(self, step: Step) -> List[Dict[str, Any]]:
        with self._session(step.database) as session:
            return session.query(
                sql.NOW,
                Deadline(self.target.deadline_seconds),
                table=str(step.index["table_oid"]),
                schema=step.index["schema"],
                index=step.index["index"],
            )

    def _deadline(self) -> Deadline:
        """After the server's own."""
        return Deadline(self.plan.seconds + 15)

    @contextlib.contextmanager
    def _session(self, database: Optional[str]) -> Iterator[Session]:
        """A connection for one thing alone: to the target's own database where none is named."""
        session = self.target.session.in_database(database or self.plan.home)
        try:
            yield session
        finally:
            with contextlib.suppress(Exception):
                session.close()


def _same(each: Mapping[str, Any], step: Step) -> bool:
    return bool((each["schema"], each["index"]) == (step.index["schema"], step.index["index"]))


def _is_of(each: Mapping[str, Any], step: Step) -> bool:
    """PostgreSQL cuts a long name before it adds ``_ccnew``."""
    found = _LEFT.fullmatch(each["index"])
    return bool(found and found.group(1) and step.index["index"].startswith(found.group(1)))


def _why(error: OncallError, plan: Plan) -> str:
    if error.sqlstate == LOCK_TIMEOUT:
        return "it waited longer than %s for a lock or for an older transaction to end (lock timeout)" % duration(
            plan.lock_seconds
        )
    return line(str(error), 300)


def _databases(target: Target, options: Options, deadline: Deadline) -> List[str]:
    rows = target.session.query(DATABASES, deadline)
    known = [row["name"] for row in rows]
    for name in options["databases"]:
        if name not in known:
            meant = nearest(name, known)
            raise OptionsError("There is no database %s. %s" % (name, did_you_mean(meant, "Check databases.")))
    wanted = options["databases"] or known
    some = [row for row in rows if row["name"] in wanted]
    closed = [row["name"] for row in some if row["name"] in options["databases"] and not _opens(row)]
    if closed:
        raise RefusedError("The login role cannot connect to database %s" % names(closed), "Leave it out.")
    if options["indexes"]:  # others are not looked into
        some = [row for row in some if any(each.startswith(row["name"] + ".") for each in options["indexes"])]
    return [row["name"] for row in some if _opens(row)]


def _opens(row: Mapping[str, Any]) -> bool:
    return bool(row["open"] and row["may_connect"] and not row["invalid"])


def _database(target: Target, name: str, options: Options) -> Database:
    with contextlib.closing(target.session.in_database(name)) as session:
        found = session.query(
            sql.INDEXES,
            Deadline(max(target.deadline_seconds, 30.0)),
            indexes=options["indexes"],
            all=not options["indexes"],
            seconds=options["transaction_minutes"] * 60,
        )[0]["document"]
        document = json.loads(found) if isinstance(found, str) else found
        unique = [each for each in document["indexes"] if each["unique"] and each["plain"] and _can_be_read(each)]
        return Database(name, document, {each["oid"]: _twice(session, each, options) for each in unique})


def _can_be_read(each: Mapping[str, Any]) -> bool:
    return bool(
        each["ours"] and each["bytes"] is not None and not (each["leftover"] or each["catalog"] or each["toast"])
    )


def _twice(session: Session, index: Mapping[str, Any], options: Options) -> Any:
    """Of an index of plain columns. What functions an expression calls are the table's owner's: they are run by the
    rebuild alone, which does that as the owner, and finds what is there twice by itself."""
    try:
        return session.query(
            sql.twice(index["columns"], index["nulls_equal"], MOST_KEYS),
            Deadline(options["timeout_seconds"]),
            schema=identifier(index["table_schema"]),
            table=identifier(index["table_name"]),
            **sql.keys(index["columns"]),
        )
    except OncallError as error:
        return str(error)


def _free(target: Target, directory: str) -> Optional[Tuple[int, int]]:
    """(free, total) bytes of the file system that has it; None where that is not seen from here."""
    if not directory:
        return None
    try:
        done = target.runtime.run_beside(["df", "-Pk", directory], Deadline(target.deadline_seconds))
    except OncallError:
        return None
    found = _FREE.search(done.out + "\n") if done.code == 0 else None
    return (int(found.group(2)) * 1024, int(found.group(1)) * 1024) if found else None
