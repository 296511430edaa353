# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note of a restart or a password reset in progress, read on the host where it was written."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple, cast

from ..._core.errors import RefusedError
from ..._core.text import line
from ..._model.note import Note, Noted, NotedRole

if TYPE_CHECKING:
    from ..._model.facts import RestartNote

_ENGINE = "unix:///var/run/docker.sock"


def path(docker_host: Optional[str], project: str) -> str:
    """One for each project of each engine, of whoever runs this."""
    engine = docker_host or os.environ.get("DOCKER_HOST") or _ENGINE
    name = "restart-%s-%s.json" % (
        re.sub(r"[^A-Za-z0-9_.-]", "_", project)[:80],
        hashlib.sha256(engine.encode()).hexdigest()[:8],
    )
    return os.path.join(os.path.expanduser("~"), ".oncall", name)


def read(where: str) -> Note:
    """Empty where there is none. Raises RefusedError for one that cannot be read: it names clients that are down."""
    try:
        with open(where, encoding="utf-8") as file:
            return of(json.load(file))
    except FileNotFoundError:
        return Note()
    except (OSError, ValueError, RecursionError) as error:
        raise RefusedError(
            "%s cannot be read: %s" % (where, line(str(error), 200)),
            "It names clients that an interrupted run has stopped: start those that are down, then remove it.",
        ) from None


def of(found: Any) -> Note:
    """Raises ValueError for anything but what a Writer writes: a name of another type would fail somewhere else."""
    return Note(
        _typed(found, "written_at", str),
        _typed(found, "why", str),
        tuple(
            Noted(
                _typed(one, "service", str),
                _typed(one, "name", str),
                _typed(one, "started_at", str, type(None)),
                _typed(one, "finished_at", str, type(None)),
                _typed(one, "asked", bool),
            )
            for one in _typed(found, "clients", list)
        ),
        tuple(
            NotedRole(_typed(one, "role", str), _typed(one, "begun_at", str), _texts(_typed(one, "files", list)))
            for one in (_typed(found, "roles", list) if "roles" in found else ())
        ),
    )


def _typed(found: Any, key: str, *types: type) -> Any:
    value = found.get(key) if isinstance(found, dict) else found
    if not isinstance(found, dict) or key not in found or not isinstance(value, types):
        raise ValueError("it is no note of ours: %s is missing or of another type" % key)
    return value


def _texts(found: Sequence[Any]) -> Tuple[str, ...]:
    if not all(isinstance(one, str) for one in found):
        raise ValueError("it is no note of ours: files is of another type")
    return tuple(found)


def lock_of(where: str) -> str:
    """The file that whoever works by the note keeps locked meanwhile."""
    return where + ".lock"


def held(where: str) -> bool:
    """Whether the restart that the note is of is still running."""
    while True:
        try:
            lock = os.open(lock_of(where), os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if is_current(lock, where):
                return False
        except OSError:
            return True
        finally:
            os.close(lock)


def is_current(lock: int, where: str) -> bool:
    """Whether it is still the file of that name: whoever had it locked has removed it in the end."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(lock_of(where)))
    except OSError:
        return False


def facts(where: str) -> Optional[RestartNote]:
    """Raises RefusedError as ``read``. A restart that ends before it is read has removed its note by then."""
    running, note = held(where), read(where)
    if not note.clients and not note.roles:
        return None
    running = running or held(where)  # it has begun in between
    shown: Dict[str, Any] = dict(dataclasses.asdict(note), path=where, running=running)
    shown["clients"] = list(shown["clients"])
    shown["roles"] = [dict(one, files=list(one["files"])) for one in shown["roles"]]
    return cast("RestartNote", shown)
