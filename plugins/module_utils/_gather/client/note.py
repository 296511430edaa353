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
from typing import TYPE_CHECKING, Any, Dict, Optional, cast

from ..._core.errors import RefusedError
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
            found = json.load(file)
        return Note(
            found["written_at"],
            found["why"],
            tuple(Noted(**one) for one in found["clients"]),
            tuple(NotedRole(one["role"], one["begun_at"], tuple(one["files"])) for one in found.get("roles", ())),
        )
    except FileNotFoundError:
        return Note()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(
            "%s cannot be read: %s" % (where, error),
            "It names clients that an interrupted run has stopped: start those that are down, then remove it.",
        ) from None


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
