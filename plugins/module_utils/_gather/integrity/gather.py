# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target in, the facts of an integrity check out. Reads only, waits behind no lock, and is back by its deadline."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, OptionsError
from ..._core.numbers import major
from ..._core.side_by_side import side_by_side
from ..._core.text import did_you_mean, nearest
from .. import gather as looking
from ..sql.integrity import ARCHIVER, CHECKSUMS, DATABASES, DOCUMENT, HORIZON, IDENTIFIER, SHORT
from .amcheck import Reader, amcheck
from .at_rest import at_rest, is_down
from .backups import backups
from .damaged_files import damaged_files
from .leftovers import leftovers

if TYPE_CHECKING:
    from ..._model.baseline import Compared
    from ..._model.facts import Facts, ServerFacts
    from ..._model.integrity import IntegrityFacts
    from ..session.base import Session
    from ..target import Target

_CATALOG_SECONDS = 60.0
_OF_DATABASE = ("name", "bytes", "collation", "xid_age", "multixact_age")


def silent(_text: str) -> None:
    """Where nobody is to be told."""


@dataclass(frozen=True)
class Wanted:
    """``databases``: their names, none: all. ``seconds``: for the whole. ``say``: told how far it is."""

    databases: Sequence[str]
    seconds: float
    jobs: int
    sequence_percent: float
    backup_file: Optional[str] = None
    say: Callable[[str], None] = silent


def gather(target: Target, wanted: Wanted, compared: Compared) -> Tuple[Facts, IntegrityFacts, Dict[str, float]]:
    """What triage knows, what this check adds, and milliseconds by step.

    Raises what ``gather.gather`` does, where nothing can be examined at all; everything else is in ``errors``.
    """
    deadline = Deadline(wanted.seconds * 0.95)
    wanted.say("reading catalogs")
    facts, elapsed_ms = looking.gather(target, (looking.SERVER, looking.SNAPSHOT))
    snapshot = facts["snapshot"]
    another = _another_version(facts["server"])
    found = nothing(compared)
    found["control"] = facts["server"]["control"] if facts["server"] and not another else None
    found["checksum_failures"] = snapshot["soundness"]["checksum_failures"] if snapshot else []
    found["slots"] = snapshot["soundness"]["slots"] if snapshot else []
    found["errors"] = {**facts["errors"], **({"control": another} if another else {})}
    started = time.monotonic()
    if snapshot is None:
        found["backups"] = backups(target, None, wanted.backup_file, found["errors"], deadline)
        if is_down(facts["server"]) and not another:
            wanted.say("pg_checksums")
            with _told(found, "checksums"):
                found["at_rest"] = at_rest(target, facts["server"], deadline)
            elapsed_ms = {**elapsed_ms, "checksums": _since(started)}
        return facts, found, elapsed_ms
    catalog = deadline.sooner(_CATALOG_SECONDS)
    with _told(found, "checksums"):
        found["checksums"] = target.session.query(CHECKSUMS, catalog)[0]["on"]
    with _told(found, "archiver"):
        archiver: Any = target.session.query(ARCHIVER, catalog)[0]
        found["archiver"] = archiver
    with _told(found, "horizon"):
        horizon: Any = target.session.query(HORIZON, catalog)
        found["horizon"] = horizon
    identifier = None
    with _told(found, "backups"):
        identifier = str(target.session.query(IDENTIFIER, catalog)[0]["identifier"])
    rows: List[Dict[str, Any]] = []
    with _told(found, "databases"):
        rows = target.session.query(DATABASES, catalog)
    target.session.close()  # no connection stays open while others do the work: never more than ``jobs`` at a time
    found["backups"] = backups(target, identifier, wanted.backup_file, found["errors"], catalog)
    opened = _open(rows, wanted.databases, found)
    sessions = {row["name"]: target.session.in_database(row["name"]) for row in opened}  # each use closes its own
    oids = {row["oid"]: row["name"] for row in rows}
    found["damaged_files"] = damaged_files(facts["server"], oids, sessions, catalog)
    found["leftovers"] = leftovers(target.session, sessions, found["errors"], catalog.sooner(catalog.left() / 3))
    target.session.close()
    documents = _documents(sessions, wanted, catalog, found)
    elapsed_ms = {**elapsed_ms, "catalogs": _since(started)}
    started = time.monotonic()
    known = {name: document.pop("amcheck") for name, document in documents.items()}
    readers = {
        name: Reader(sessions[name], each["version"], each["schema"])
        for name, each in known.items()
        if each["version"] and each["allowed"]
    }
    read = amcheck(readers, deadline, wanted.say)
    for file in found["damaged_files"]:
        reader = readers.get(file["database"] or "")
        file["sound"] = reader is not None and reader.is_sound(file["name"] or "")
    for row in rows:
        if row["name"] in documents:
            one: Any = {name: row[name] for name in _OF_DATABASE}
            one.update(documents[row["name"]], amcheck=read.get(row["name"]) or _unread(known[row["name"]]))
            found["databases"].append(one)
    return facts, found, {**elapsed_ms, "amcheck": _since(started)}


def nothing(compared: Compared) -> IntegrityFacts:
    """The facts where nothing has been read."""
    return {
        "control": None,
        "checksums": None,
        "checksum_failures": [],
        "at_rest": None,
        "damaged_files": [],
        "leftovers": [],
        "archiver": None,
        "backups": [],
        "slots": [],
        "horizon": [],
        "databases": [],
        "baseline": compared,
        "errors": {},
    }


def _another_version(server: Optional[ServerFacts]) -> Optional[str]:
    """pg_controldata of another major version takes the control file for damaged."""
    data = server["data_directory"] if server else None
    program = server["program_version"] if server else None
    if not data or not data["version"] or not program or major(data["version"]) == major(program):
        return None
    return "%s is of PostgreSQL %s, the program is %s" % (data["path"], data["version"], program)


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)


@contextlib.contextmanager
def _told(found: IntegrityFacts, step: str) -> Iterator[None]:
    try:
        yield
    except OncallError as error:
        found["errors"][step] = str(error)


def _open(rows: List[Dict[str, Any]], wanted: Sequence[str], found: IntegrityFacts) -> Iterator[Dict[str, Any]]:
    """Those that can be looked into; why the others cannot is told."""
    for name in wanted if rows else []:
        if name not in [row["name"] for row in rows]:
            known = nearest(name, [row["name"] for row in rows])
            raise OptionsError("There is no database %s. %s" % (name, did_you_mean(known, "Check databases.")))
    for row in rows:
        if wanted and row["name"] not in wanted:
            continue
        if row["invalid"]:
            found["errors"]["database %s" % row["name"]] = "it is invalid: a DROP DATABASE of it did not end"
        elif not row["open"]:
            if row["name"] != "template0":  # the server's own: nobody has ever written to it
                found["errors"]["database %s" % row["name"]] = "it allows no connections"
        elif not row["may_connect"]:
            found["errors"]["database %s" % row["name"]] = "the login role may not connect"
        else:
            yield row


def _documents(
    sessions: Mapping[str, Session], wanted: Wanted, deadline: Deadline, found: IntegrityFacts
) -> Dict[str, Any]:
    documents: Dict[str, Any] = {}
    names = list(sessions)
    for at in range(0, len(names), wanted.jobs):
        some = names[at : at + wanted.jobs]
        steps = {name: functools.partial(_document, sessions[name], wanted.sequence_percent, deadline) for name in some}
        outcome = side_by_side(steps, deadline)
        documents.update(outcome.values)
        for name, error in outcome.errors.items():
            found["errors"]["database %s" % name] = str(error)
    return documents


def _document(session: Session, sequence_percent: float, deadline: Deadline) -> Dict[str, Any]:
    with contextlib.closing(session):
        document = session.query(DOCUMENT, deadline, sequence_percent=float(sequence_percent))[0]["document"]
        found: Dict[str, Any] = json.loads(document) if isinstance(document, str) else document
        return dict(found, short_files=_short(session, deadline))


def _short(session: Session, deadline: Deadline) -> Optional[List[Dict[str, Any]]]:
    """Those that are so twice: a file's length is not of the moment in which its count was read."""
    try:
        found = session.query(SHORT, deadline)
        again = session.query(SHORT, deadline) if found else []
    except OncallError:
        return None
    still = [(each["name"], each["counted_bytes"]) for each in found]
    return [each for each in again if (each["name"], each["counted_bytes"]) in still]


def _unread(known: Mapping[str, Any]) -> Any:
    if known["version"]:
        why = "the login role may not execute its functions: a superuser may"
    elif known["available"]:
        why = "it is not installed: CREATE EXTENSION amcheck, as a superuser"
    else:
        why = "the server has no such extension: install the package with PostgreSQL's contrib modules"
    return {"version": known["version"], "damage": [], "coverage": [], "not_covered": ["amcheck: %s" % why]}
