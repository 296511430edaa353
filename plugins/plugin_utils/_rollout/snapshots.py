# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout keeps on the controller before it changes a host: DIR/<host>/<time>.json, each whole or not at all,
for its owner only. Nothing is ever deleted."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from ...module_utils._core.text import names
from .._report.files import OWNER, make, replace
from .._report.model import file_names

KEPT = "~/.oncall/rollouts"
SCHEMA = 1
BEGUN, DONE, PUT_BACK = "begun", "done", "put_back"
_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z\.json")


class UnreadableError(ValueError):
    """One line: which file, why, what to do."""


def write(directory: str, host: str, snapshot: Mapping[str, Any]) -> str:
    """Its path. ``snapshot``: with ``at``, which is its name. Raises OSError."""
    place = _place(directory, host)
    make(place, OWNER)
    path = place / ("%s.json" % snapshot["at"])
    replace(
        path, json.dumps({**snapshot, "schema": SCHEMA}, ensure_ascii=False, indent=1, sort_keys=True) + "\n", OWNER
    )
    return str(path)


def read(directory: str, host: str) -> List[Dict[str, Any]]:
    """Those of a host, the oldest first. Raises UnreadableError."""
    place = _place(directory, host)
    try:
        paths = sorted(each for each in place.iterdir() if _NAME.fullmatch(each.name))
        return [_read(path) for path in paths]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnreadableError(
            "%s cannot be read: %s. Give another directory with oncall_rollout_dir." % (place, error.strerror)
        ) from None


@contextlib.contextmanager
def locked(directory: str, host: str) -> Iterator[None]:
    """Of two runs that begin with a host in the same moment, the second sees what the first has written. Raises
    OSError."""
    place = _place(directory, host)
    make(place, OWNER)
    handle = os.open(str(place), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def interrupted(found: Sequence[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    """The last one, where its rollout came to no end: what the host had before is in there."""
    return found[-1] if found and found[-1]["state"] == BEGUN else None


def of_cluster(kept: Sequence[Mapping[str, Any]], identifier: Optional[str]) -> List[Mapping[str, Any]]:
    """Without those of another cluster that had the same host's name."""
    return [each for each in kept if not identifier or each.get("system_identifier") in (None, identifier)]


def before(kept: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]) -> Dict[str, Any]:
    """What there was before ``chosen``: what later ones have changed goes back as well."""
    found: Dict[str, Any] = {"settings": {}, "roles": {}, **{key: chosen[key] for key in ("system_identifier", "at")}}
    for each in reversed(of_cluster(kept[kept.index(chosen) :], chosen["system_identifier"])):
        found["settings"].update(each["settings"])
        for role, values in each["roles"].items():
            found["roles"].setdefault(role, {}).update(values)
    return found


def line(snapshot: Mapping[str, Any]) -> str:
    """One in a list of them: ``20261129T020000.000Z: before tune, done: shared_buffers 128MB -> 1GB``."""
    rows = [each for each in snapshot.get("rows") or [] if each["state"] != "left"]
    told = ["%s %s -> %s" % (each["name"], each["before"] or "default", each["after"] or "default") for each in rows]
    state = {BEGUN: "came to no end", DONE: "done", PUT_BACK: "put back"}[snapshot["state"]]
    return "%s: before %s, %s: %s" % (snapshot["at"], snapshot["verb"], state, names(told, 4))


def _place(directory: str, host: str) -> Path:
    return Path(directory).expanduser().absolute() / file_names([host])[host]


def _whole(found: Mapping[str, Any]) -> bool:
    rows = found.get("rows") or []
    return (
        all(isinstance(found.get(name), dict) for name in ("settings", "roles"))
        and all(isinstance(each, dict) for each in found["roles"].values())
        and all(isinstance(each, dict) and {"name", "before", "after", "state"} <= set(each) for each in rows)
        and all(isinstance(found.get(name), str) for name in ("at", "verb"))
        and found.get("state") in (BEGUN, DONE, PUT_BACK)
        and "system_identifier" in found
    )


def _read(path: Path) -> Dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or found.get("schema") != SCHEMA or not _whole(found):
            raise ValueError("it is no snapshot of a rollout")
    except (ValueError, RecursionError) as error:
        raise UnreadableError("%s cannot be read (%s): move it away, and run again" % (path, error)) from None
    return found
