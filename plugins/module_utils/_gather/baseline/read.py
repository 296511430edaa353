# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target in, its baseline out. Reads only, waits behind no lock, and is back by its deadline."""

from __future__ import annotations

import contextlib
import functools
import json
import queue
import re
import threading
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence

from ..._core.deadline import Deadline
from ..._core.errors import DeadlineError, OncallError, OptionsError, RightsError, SessionError
from ..._core.mask import MASK, mask, setting
from ..._core.side_by_side import side_by_side
from ..._core.text import did_you_mean, duration, line, nearest
from ..._core.times import utc
from ..session.bind import identifier
from ..sql.baseline import COUNT, DOCUMENT, DOCUMENT_IN_SNAPSHOT, HBA, IDENTIFIER, SERVER
from ..sql.integrity import DATABASES
from .exported import exported
from .names import Name

if TYPE_CHECKING:
    from ..._model.baseline import Baseline, BaselineDatabase, BaselineRole, BaselineTable
    from ..session.base import Session
    from ..target import Target

SCHEMA = 1
_CATALOG_SECONDS = 60.0
_SECRET_OPTION = re.compile(r"^(ldapbindpasswd|radiussecrets)=", re.I)
_LOCKED, _GONE, _NO_SNAPSHOT, _DENIED = "55P03", ("42P01", "3F000"), ("22023", "25P02", "55000"), "42501"


@dataclass(frozen=True)
class Wanted:
    """``tables``: to be counted; no ``databases``: all. ``seconds``: of the whole, ``count_seconds``: of each count."""

    tables: Sequence[Name]
    databases: Sequence[str]
    estimate: bool
    jobs: int
    seconds: float
    count_seconds: float


def read(target: Target, wanted: Wanted) -> Baseline:
    """Raises OncallError where the server cannot be asked at all; what else could not be read is in ``not_covered``."""
    deadline = Deadline(wanted.seconds * 0.95)
    catalog = deadline.sooner(_CATALOG_SECONDS)
    not_covered: List[str] = []
    session = target.session
    server: Any = session.query(SERVER, catalog)[0]
    identifier_ = _or_none(session, IDENTIFIER, catalog, not_covered)
    hba = _or_none(session, HBA, catalog, not_covered)
    rows = session.query(DATABASES, catalog)
    session.close()  # no connection stays open while others do the work
    databases = list(_open(rows, wanted.databases, not_covered))
    sessions = {row["name"]: functools.partial(session.in_database, row["name"]) for row in databases}
    documents = _Reading(wanted, deadline, not_covered).all(sessions)
    roles: List[BaselineRole] = server["roles"]
    for role in roles:
        role["settings"] = list(map(_role_setting, role["settings"]))
    found: List[BaselineDatabase] = [
        _database(row, documents[row["name"]], wanted, not_covered) for row in databases if row["name"] in documents
    ]
    counted = [(row["name"], table) for row in databases for table in documents.get(row["name"], {}).get("tables", [])]
    for name in wanted.tables:
        if not any(name.means(*each) for each in counted):
            not_covered.append("%s: there is no such table" % name.text)
    return {
        "schema": SCHEMA,
        "host": target.host,
        "version": server["version"],
        "system_identifier": identifier_[0]["identifier"] if identifier_ else None,
        "in_recovery": server["in_recovery"],
        "taken_at": utc(time.time()) or "",
        "settings": {name: setting(name, value) for name, value in (server["settings"] or {}).items()},
        "roles": roles,
        "hba": None if hba is None else [_rule(each) for each in hba],
        "databases": found,
        "not_covered": not_covered,
    }


def _or_none(
    session: Session, query: Any, deadline: Deadline, not_covered: List[str]
) -> Optional[List[Dict[str, Any]]]:
    try:
        return session.query(query, deadline)
    except RightsError:
        not_covered.append("%s: the login role may not read it" % query.name)
    except OncallError as error:
        not_covered.append("%s: %s" % (query.name, error))
    return None


def _open(rows: Sequence[Dict[str, Any]], wanted: Sequence[str], not_covered: List[str]) -> Iterator[Dict[str, Any]]:
    known = [row["name"] for row in rows]
    for name in wanted:
        if name not in known:
            hint = did_you_mean(nearest(name, known), "Check databases.")
            raise OptionsError("There is no database %s. %s" % (name, hint))
    for row in rows:
        if row["name"] == "template0" or (wanted and row["name"] not in wanted):
            continue
        if row["invalid"] or not row["open"] or not row["may_connect"]:
            why = "the login role may not connect" if row["open"] and not row["invalid"] else "it allows no connections"
            not_covered.append("database %s: %s" % (row["name"], why))
        else:
            yield row


def _database(
    row: Mapping[str, Any], document: Mapping[str, Any], wanted: Wanted, not_covered: List[str]
) -> BaselineDatabase:
    objects: Optional[Dict[str, str]] = document["objects"]
    if objects is None:
        not_covered.append(
            "database %s: fingerprint: not computed while %s is locked"
            % (row["name"], ", ".join(document["locked"][:3]))
        )
    text = None if objects is None else "\n".join("%s %s" % each for each in sorted(objects.items()))
    tables: List[BaselineTable] = []
    for each in document["tables"]:
        exact = each.get("rows") is not None
        rows = each["rows"] if exact else each["estimate"] if wanted.estimate else None
        tables.append({"name": each["name"], "bytes": each["bytes"], "rows": rows, "exact": exact})
    return {
        "name": row["name"],
        "bytes": row["bytes"],
        "extensions": document["extensions"],
        "tables": tables,
        "fingerprint": None if text is None else sha256(text.encode("utf-8")).hexdigest(),
        "objects": objects,
    }


@dataclass
class _Reading:
    wanted: Wanted
    deadline: Deadline
    not_covered: List[str]

    def all(self, sessions: Mapping[str, Any]) -> Dict[str, Dict[str, Any]]:
        """By database. Where tables are counted, one database after the other: no more than ``jobs`` count."""
        documents: Dict[str, Dict[str, Any]] = {}
        some = {name for name in sessions if any(each.database in (None, name) for each in self.wanted.tables)}
        one = {name: functools.partial(self._document, sessions[name], None) for name in sessions if name not in some}
        documents.update(self._told(one, "database %s"))
        for name in (name for name in sessions if name in some):
            try:
                with exported(sessions[name], self.deadline) as snapshot:
                    documents[name] = self._document(sessions[name], snapshot)
                    self._count(name, sessions[name], documents[name]["tables"], snapshot)
            except OncallError as error:
                self.not_covered.append("database %s: %s" % (name, error))
        return documents

    def _document(self, open_session: Any, snapshot: Optional[str]) -> Dict[str, Any]:
        deadline = self.deadline.sooner(_CATALOG_SECONDS)
        with contextlib.closing(open_session()) as session:
            row = (
                session.query(DOCUMENT, deadline)
                if snapshot is None
                else session.query(DOCUMENT_IN_SNAPSHOT, deadline, snapshot=snapshot)
            )
        document = row[0]["document"]
        found: Dict[str, Any] = json.loads(document) if isinstance(document, str) else document
        return found

    def _count(self, database: str, open_session: Any, tables: List[Dict[str, Any]], snapshot: str) -> None:
        mine = [each for each in tables if any(name.means(database, each) for name in self.wanted.tables)]
        steps = {}
        for each in mine:
            if each["why"]:
                self.not_covered.append("%s:%s: not counted: %s" % (database, each["name"], each["why"]))
            else:
                steps[each["name"]] = functools.partial(self._rows, open_session, each, snapshot)
        counted = self._told(steps, "%s:%%s: not counted" % database.replace("%", "%%"))
        for each in mine:
            each["rows"] = counted.get(each["name"])

    def _rows(self, open_session: Any, table: Mapping[str, Any], snapshot: str) -> int:
        deadline = self.deadline.sooner(self.wanted.count_seconds)
        started = time.monotonic()
        try:
            with contextlib.closing(open_session()) as session:
                schema, name = identifier(table["schema"]), identifier(table["table"])
                return int(session.query(COUNT, deadline, schema=schema, table=name, snapshot=snapshot)[0]["rows"])
        except DeadlineError:
            raise DeadlineError("no answer within %s" % duration(time.monotonic() - started)) from None
        except SessionError as error:
            known = {_LOCKED: "it is locked", _DENIED: "the login role may not read it"}
            known.update(dict.fromkeys(_GONE, "it vanished meanwhile"))
            known.update(dict.fromkeys(_NO_SNAPSHOT, "the snapshot was gone"))
            raise SessionError(known.get(error.sqlstate or "", line(error.msg))) from None

    def _told(self, steps: Mapping[str, Any], what: str) -> Dict[str, Any]:
        """``jobs`` at a time; why a step brought nothing is told."""
        waiting: "queue.Queue[str]" = queue.Queue()
        for name in steps:
            waiting.put(name)
        found: Dict[str, Any] = {}
        errors: Dict[str, str] = {}
        lock = threading.Lock()

        def work() -> None:
            while True:
                try:
                    name = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    if self.deadline.passed():
                        raise DeadlineError("no time was left")
                    value = steps[name]()
                    with lock:
                        found[name] = value
                except OncallError as error:
                    with lock:
                        errors[name] = str(error)

        if steps:
            workers = {"worker %d" % number: work for number in range(min(self.wanted.jobs, len(steps)))}
            side_by_side(workers, self.deadline)
        with lock:
            late = [name for name in steps if name not in found and name not in errors]
            self.not_covered += ["%s: %s" % (what % name, why.rstrip(".")) for name, why in sorted(errors.items())]
            self.not_covered += ["%s: no time was left" % (what % name) for name in late]
            return dict(found)


def _role_setting(text: str) -> str:
    name, _equals, value = text.partition("=")
    return "%s=%s" % (name, setting(name, value))


def _rule(rule: Mapping[str, Any]) -> str:
    """As pg_hba.conf has it, secrets masked."""

    def listed(words: Optional[Iterable[str]]) -> str:
        return ",".join(words or [])

    if rule["error"]:
        return "error: %s" % line(mask(rule["error"]))
    options = [
        _SECRET_OPTION.sub(lambda found: found.group(0) + MASK + "\0", each).partition("\0")[0]
        for each in rule["options"] or []
    ]
    words = [rule["type"], listed(rule["database"]), listed(rule["user_name"]), rule["address"], rule["netmask"]]
    return " ".join(filter(None, [*words, rule["auth_method"], *options]))
