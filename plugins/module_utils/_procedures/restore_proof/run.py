# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup examined, and restored into a throw-away container. The server itself is only inspected."""

from __future__ import annotations

import posixpath
import re
import time
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import DeadlineError, OptionsError, RefusedError
from ..._core.text import line
from ..._gather.runtime.compose import containers
from ..._gather.runtime.compose.api import EngineError
from .container import Throwaway, bind
from .plan import Backup, Outcome, Place, number_of, plan
from .scripts import ADMIT_SH, AMCHECK_SH, COPY_SH, EXAMINE_SH, OWNER_SH, PREPARE_SH, RESTORE_SH, START_SH, VERIFY_SH

if TYPE_CHECKING:
    from ..._gather.runtime.compose.project import Inspection
    from ..._gather.runtime.compose.runtime import ComposeRuntime

_EXAMINE_SECONDS = 120.0
_NO_MANIFEST = 99
_MISMATCH = re.compile(r"^pg_verifybackup: error: (.*)$", re.MULTILINE)
_NO_ROOM = re.compile(r"no room: .*|.*No space left on device.*")


def examine(
    runtime: ComposeRuntime, inspected: Inspection, path: str, databases: Sequence[str], deadline: Deadline
) -> Tuple[Backup, Place]:
    """Raises RefusedError where it cannot, or must not, be restored here."""
    within = deadline.sooner(_EXAMINE_SECONDS)
    engine = runtime.view(within).engine
    user = next(runtime.users(runtime.view(within), inspected, within))
    programs = runtime.session_settings()["bin_directory"] or ""
    try:
        done = engine.toolbox(
            inspected["Image"],
            ["sh", "-c", EXAMINE_SH, "oncall", user, programs],
            within,
            environment={"PATH": containers.environment(inspected).get("PATH", "")},
            capabilities=("DAC_OVERRIDE",),
            mounts=[bind(mounted(path))],
        )
    except EngineError as error:
        if "does not exist" in error.msg or "no such file" in error.msg:
            raise RefusedError(
                "There is no %s on the engine's host" % mounted(path), "Give the path as that host sees it."
            ) from None
        raise
    return plan(done.out, path, databases)


def mounted(path: str) -> str:
    """What is shown to the container: of ``base.tar`` its directory, where the WAL is."""
    if not posixpath.isabs(path):
        raise OptionsError("backup is %r: it must be an absolute path on the engine's host" % path)
    clean = posixpath.normpath(path)
    return posixpath.dirname(clean) if posixpath.basename(clean) in ("base.tar", "base.tar.gz") else clean


class Restore:
    """One restore. ``owner``: the first role of the restored cluster, which is a superuser."""

    def __init__(self, place: Throwaway, backup: Backup, image: Place, programs: str, roles: Sequence[str]) -> None:
        self._place, self._backup, self._image = place, backup, image
        self._programs, self._roles = programs, list(dict.fromkeys(roles))
        self.owner = self._roles[0]
        self._said: List[str] = []
        self._manifest: Optional[Tuple[str, ...]] = None

    def carry_out(self, deadline: Deadline) -> Outcome:
        started = time.monotonic()
        failed = hindered = None
        try:
            failed = self._prepare(deadline) or (
                self._physical(deadline) if self._backup.physical else self._dump(deadline)
            )
        except DeadlineError:
            hindered = "it was not restored in the time that it was given (restore_seconds)"
        if (failed or hindered or self._said) and self._place.out_of_memory():
            failed, hindered = None, "it ran out of memory: give the container more with memory_mib"
        room = next((each for each in [failed or "", *self._said] if _NO_ROOM.search(each)), None)
        if room:
            failed, hindered = None, "it was not restored to its end: %s" % line(room)
        seconds = round(time.monotonic() - started, 1)
        return Outcome(seconds, failed, hindered, tuple(self._said), self._manifest)

    def add_amcheck(self, deadline: Deadline) -> None:
        """Where it cannot be, the check says so."""
        self._place.run(AMCHECK_SH, [self._programs, self.owner], deadline)

    def _prepare(self, deadline: Deadline) -> Optional[str]:
        image = self._image
        more = "event_triggers = off" if number_of(image.program) >= 17 else ""
        words = [image.uid, image.gid, image.os_name, more, *self._roles]
        done = self._place.run(PREPARE_SH, words, deadline, root=True)
        return _last(done.err, done.code)

    def _physical(self, deadline: Deadline) -> Optional[str]:
        image, backup = self._image, self._backup
        reserve = str(image.reserve // 1024)
        zipped = "yes" if backup.zipped else ""
        done = self._place.run(COPY_SH, [reserve, backup.kind, zipped, image.uid, image.gid], deadline, root=True)
        self._said += _lines(done.err)
        if done.code:
            return _last(done.err, done.code)
        version = done.out.strip()
        if number_of(version) != number_of(image.program):
            raise RefusedError(
                "%s is a base backup of PostgreSQL %s, the server's image is %s"
                % (backup.path, version, image.program),
                "A base backup needs its own major version.",
            )
        verified = self._place.run(VERIFY_SH, [self._programs], deadline)
        if verified.code != _NO_MANIFEST:
            self._manifest = tuple(_MISMATCH.findall(verified.out))
        return self._start("copy", deadline) or self._admit(deadline)

    def _dump(self, deadline: Deadline) -> Optional[str]:
        backup = self._backup
        failed = self._start("new", deadline)
        if failed:
            return failed
        words = [
            self._programs,
            str(self._image.reserve // 1024),
            backup.kind,
            "yes" if backup.zipped else "",
            self.owner,
            "" if backup.kind == "plain" and backup.makes else backup.database or "",
            "yes" if backup.makes else "",
        ]
        done = self._place.run(RESTORE_SH, words, deadline, root=True)
        self._said += _lines(done.out) + _lines(done.err)
        return _last(done.err, done.code) if done.code and not self._said else None

    def _start(self, what: str, deadline: Deadline) -> Optional[str]:
        seconds = str(max(1, int(deadline.left()) - 1))
        done = self._place.run(START_SH, [self._programs, what, self.owner, seconds], deadline)
        if not done.code:
            return None
        self._said += _lines(done.err)
        return "PostgreSQL does not start on it: %s" % _last(done.err, done.code)

    def _admit(self, deadline: Deadline) -> Optional[str]:
        done = self._place.run(OWNER_SH, [self._programs, *self._roles], deadline)
        if done.code:
            return "none of the roles %s can log in to it: %s" % (", ".join(self._roles), _last(done.err, 1))
        self.owner = done.out.rstrip("\n")
        if self.owner in self._roles:
            return None
        done = self._place.run(ADMIT_SH, [self._programs, self.owner], deadline)
        return _last(done.err, done.code)


def _lines(said: str) -> List[str]:
    return [each.strip() for each in said.splitlines() if each.strip()]


def _last(said: str, code: int) -> Optional[str]:
    if not code:
        return None
    return line((_lines(said) or ["exit code %d" % code])[-1], 300)
