# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup is, whether it may be restored here, and what became of it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import RefusedError
from ..._core.numbers import whole
from ..._core.text import count, duration, line, names, size
from ..._model.integrity import CAUTION, GO, NO_GO, Item

KINDS = {
    "plain": "plain SQL dump",
    "custom": "custom-format dump",
    "tar": "tar-format dump",
    "directory": "directory-format dump",
    "base_directory": "base backup",
    "base_tar": "base backup in tar format",
}
PHYSICAL = ("base_directory", "base_tar")
# How much larger it may get: indexes are built anew, dumps are compressed.
_GROWS = {"plain": 2.0, "custom": 6.0, "tar": 2.0, "directory": 6.0, "base_directory": 1.0, "base_tar": 1.0}
_ZIPPED = 5.0
_OVERHEAD = 256 * 1024 * 1024  # an empty cluster and its WAL
_RESERVE = 0.05  # of the disk, which the server's data may be on
# Of a dump of one database: its roles are in none. Of a whole cluster: ours has a first role already.
_EXPECTED = re.compile(
    r'role "(?P<role>.+?)" does not exist|role "(?P<first>.+?)" already exists|database "postgres" already exists'
    r"|invalid command \\(?:un)?restrict"
)
_LOST = re.compile(
    r"COPY failed|could not create unique index|violates|invalid input syntax|could not read|end of file|cut off"
    r"|gzip cannot|invalid byte sequence|unexpected|missing data|extra data|not a valid archive|corrupt|FATAL|PANIC"
)


@dataclass(frozen=True)
class Backup:
    """As it was found. ``version``: that of the server it was made of; None: it does not say."""

    path: str
    kind: str
    zipped: bool
    bytes: int
    modified: Optional[float]
    version: Optional[str]
    database: Optional[str]  # of a dump of one database
    makes: bool  # the dump makes its databases itself

    def facts(self, now: float, at: Optional[str]) -> Dict[str, Any]:
        return {
            "path": self.path,
            "kind": self.kind,
            "compressed": self.zipped,
            "bytes": self.bytes,
            "modified_at": at,
            "age_seconds": max(0.0, round(now - self.modified, 1)) if self.modified is not None else None,
            "version": self.version,
            "database": self.database,
        }

    @property
    def physical(self) -> bool:
        return self.kind in PHYSICAL


@dataclass(frozen=True)
class Place:
    """What the image and the engine's disk offer."""

    program: str  # the version of its postgres
    uid: str
    gid: str
    os_name: str
    reserve: int  # bytes that are to stay free


@dataclass(frozen=True)
class Outcome:
    """``failed``: why there is no restored server; ``hindered``: the same, and it says nothing about the backup."""

    seconds: float
    failed: Optional[str] = None
    hindered: Optional[str] = None
    said: Tuple[str, ...] = ()  # errors, as they came
    manifest: Optional[Tuple[str, ...]] = None  # files that are not as its manifest says; None: it was not read


def plan(said: str, path: str, databases: Sequence[str]) -> Tuple[Backup, Place]:
    """``said``: by EXAMINE_SH. Raises RefusedError."""
    found: Dict[str, str] = {}
    for each in said.splitlines():
        name, _blank, value = each.partition(" ")
        found.setdefault(name, value.strip())
    program = re.search(r"\d+(?:\.\d+)*\S*", found.get("program", ""))
    if program is None or not found.get("os_name"):
        raise RefusedError(
            "The server's image has no postgres to be found, or its OS user has no name",
            "Set bin_directory in oncall_target.",
        )
    kind = found.get("kind", "unknown")
    if kind not in KINDS:
        raise RefusedError(*_no_backup(path, kind))
    if found.get("tablespace"):
        raise RefusedError(
            "%s has tablespaces of its own, which stand at fixed places" % path,
            "Restore it by hand, on a machine of its own.",
        )
    if found.get("running"):
        raise RefusedError(
            "%s has a postmaster.pid: it is the data directory of a server, or a copy of a running one" % path,
            "Give a backup, as pg_basebackup makes it.",
        )
    version = (found.get("version") or "").partition(" ")[0] or None
    if "unsupported version" in found.get("trouble", "") or (
        version and number_of(version) > number_of(program.group())
    ):
        raise RefusedError(
            "%s is of a newer PostgreSQL (%s) than the server's image, %s"
            % (path, version or line(found.get("trouble", "")), program.group()),
            "Restore it with an image of that version.",
        )
    if kind in PHYSICAL and version and number_of(version) != number_of(program.group()):
        raise RefusedError(
            "%s is a base backup of PostgreSQL %s, the server's image is %s" % (path, version, program.group()),
            "A base backup needs its own major version.",
        )
    one = databases[0] if len(databases) == 1 else None
    makes = kind in PHYSICAL or kind != "plain" or bool(found.get("cluster") or found.get("connects"))
    if not makes and one is None:
        raise RefusedError(
            "%s does not say which database it is of" % path, "Give its name with oncall_databases, as a list of one."
        )
    backup = Backup(
        path,
        kind,
        bool(found.get("zipped")),
        (whole(found.get("kib", "")) or 0) * 1024,
        float(found["modified"]) if found.get("modified", "").isdigit() else None,
        version,
        None if found.get("cluster") else _database(found) or (None if makes else one),
        makes,
    )
    total, free = ((whole(found.get(name, "")) or 0) * 1024 for name in ("total_kib", "free_kib"))
    reserve = int(total * _RESERVE)
    needed = int(backup.bytes * _GROWS[kind] * (_ZIPPED if backup.zipped else 1)) + _OVERHEAD
    if needed + reserve > free:
        raise RefusedError(
            "No room to restore %s (%s): it may need %s, the engine's disk has %s free, and %s of it are to stay free"
            % (path, size(backup.bytes), size(needed), size(free), size(reserve)),
            "Make room, or restore it on another machine.",
        )
    return backup, Place(program.group(), found.get("uid", ""), found.get("gid", ""), found["os_name"], reserve)


def number_of(version: str) -> int:
    """17 of 17.5, and of 17beta1"""
    found = re.match(r"\d{1,4}", version)
    return int(found.group()) if found else 0


def _database(found: Mapping[str, str]) -> Optional[str]:
    """Of an archive its own word; of a plain dump the first \\connect, as pg_dump writes it."""
    connected = re.search(r"dbname='([^'\\]+)'|^(\w+)$", found.get("connects", ""))
    return found.get("database") or (connected and (connected.group(1) or connected.group(2))) or None


def _no_backup(path: str, kind: str) -> Tuple[str, str]:
    if kind == "unreadable":
        return "%s cannot be read in a container" % path, "Is it on a network file system that keeps root out?"
    if kind == "empty":
        return "%s is empty: there is nothing to restore" % path, "Look at the job that makes the backup."
    known = "a dump of pg_dump or pg_dumpall, or a base backup of pg_basebackup (PG_VERSION or base.tar)"
    return "%s is no backup that is known here" % path, "Give %s; only gzip is unpacked." % known


def sorted_out(said: Sequence[str]) -> Tuple[List[str], List[str], List[str]]:
    """(roles that are missing, errors that cost data, other errors)"""
    roles: Dict[str, None] = {}
    lost: List[str] = []
    others: List[str] = []
    for each in said:
        expected = _EXPECTED.search(each)
        if expected:
            if expected.group("role"):
                roles[expected.group("role")] = None
        else:
            (lost if _LOST.search(each) else others).append(line(each, 300))
    return list(roles), lost, others


def item(backup: Mapping[str, Any], outcome: Optional[Outcome]) -> Item:
    """``outcome`` None: it was not restored, in check mode."""
    name = "restore"
    about = "%s %s: %s, %s" % (KINDS[backup["kind"]], backup["path"], size(backup["bytes"]), _age(backup))
    origin = [
        "made of PostgreSQL %s" % backup["version"] if backup["version"] else "",
        "database %s" % backup["database"] if backup["database"] else "",
    ]
    evidence = [about, *filter(None, origin)]
    if outcome is None:
        return Item(name, None, "not restored in check mode", tuple(evidence), ("restore: not restored in check mode",))
    roles, lost, others = sorted_out(outcome.said)
    evidence += ["the role %s is not in it" % role for role in roles]
    took = "restored in %s" % duration(outcome.seconds)
    if outcome.hindered:
        return Item(name, None, outcome.hindered, tuple(evidence), ("restore: %s" % outcome.hindered,))
    if outcome.failed:
        evidence += lost + others
        return Item(name, NO_GO, "cannot be restored: %s" % outcome.failed, tuple(evidence))
    wrong = ["not as its manifest says: %s" % each for each in outcome.manifest or ()]
    evidence += wrong + lost + others
    if wrong:
        return Item(name, NO_GO, "%s: %s" % (count(len(wrong), "file"), wrong[0]), tuple(evidence))
    if lost:
        return Item(
            name, NO_GO, "%s, the first one: %s" % (count(len(lost + others), "error"), lost[0]), tuple(evidence)
        )
    if others:
        return Item(name, CAUTION, "%s, with %s: %s" % (took, count(len(others), "error"), others[0]), tuple(evidence))
    more = ", without the roles %s" % names(roles) if roles else ""
    return Item(name, GO, "%s%s" % (took, more), tuple(evidence))


def _age(backup: Mapping[str, Any]) -> str:
    age = backup["age_seconds"]
    return "%s old" % duration(age) if age is not None else "of unknown age"
