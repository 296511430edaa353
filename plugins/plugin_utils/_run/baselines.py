# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where baselines are kept on the controller: DIR/<host>/<time>.json, each whole or not at all, for its owner only."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ...module_utils._judge.baseline import ODD, UNREADABLE, changes, foreign, told
from .._report.files import OWNER, make, replace
from .._report.model import file_names

_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z\.json")
_COMPARED = ("schema", "version", "system_identifier", "taken_at", "databases")
_MAKE = "make one with oncall.postgresql.baseline and the same oncall_baseline_dir"


def newest(directory: str, host: str) -> Dict[str, Any]:
    """The last baseline, as far as an integrity check compares it; or {why_not}."""
    files, problem = _files(_place(directory, host))
    if problem:
        return {"why_not": problem}
    if not files:
        return {"why_not": "there is no baseline of %s in %s: %s" % (host, directory, _MAKE)}
    found, problem = _read(files[-1])
    if found is None:
        return {"why_not": problem}
    return {key: found.get(key) for key in _COMPARED}


def keep(result: Mapping[str, Any], directory: str, host: str, most: int, check_mode: bool) -> Dict[str, Any]:
    """What the action adds to the module's ``result``: compared with the last one, and written where that differs."""
    now: Dict[str, Any] = dict(result["baseline"])
    place = _place(directory, host)
    files, problem = _files(place)
    if problem:
        return {"failed": True, "msg": problem}
    before, problem = _read(files[-1]) if files else (None, "")
    found: Dict[str, Any] = {"path": None, "previous": None, "changes": [], "removed": []}
    if before is not None:
        same = False
        try:
            other = foreign(before, now)
            if not other:
                found.update(previous=str(files[-1]), changes=changes(before, now))
                same = not found["changes"] and _covered(before) == _covered(now)
        except ODD:
            other = UNREADABLE
        if other:
            return {
                "failed": True,
                "msg": "The last baseline of %s, %s, cannot be compared: %s. Nothing was written. Check that "
                "oncall_target is right; if so, move %s away, or give another directory."
                % (host, files[-1], other, place),
            }
        if same:
            said = "Unchanged since %s: %s" % (before["taken_at"], files[-1])
            return {**found, "changed": False, "path": str(files[-1]), "msg": said}
    path = place / (re.sub(r"[-:]", "", str(now["taken_at"])) + ".json")
    refused = _cannot_write(place)
    if not refused and not check_mode:
        try:
            make(place, OWNER)
            replace(path, json.dumps(now, ensure_ascii=False, indent=1, sort_keys=True) + "\n", OWNER)
        except OSError as error:
            refused = error.strerror or str(error)
    if refused:
        return {
            "failed": True,
            "msg": "The baseline cannot be written to %s: %s. Give another directory with oncall_baseline_dir."
            % (place, refused),
        }
    old = [each for each in [*files, path][:-most] if each != path]
    if not check_mode:
        for each in old:
            with contextlib.suppress(OSError):  # the next run finds it again
                each.unlink()
    msg = "%s %s" % ("Would be written:" if check_mode else "Written:", path)
    return {**found, "changed": True, "path": str(path), "removed": list(map(str, old)), "msg": _said(msg, problem)}


def diff(found: Mapping[str, Any]) -> Dict[str, str]:
    """For Ansible's --diff: a line for each change."""
    lines = [told(each) for each in found["changes"]]
    if not found["previous"] and found["changed"]:
        lines = ["+ %s" % found["path"]]
    return {"prepared": "".join(line + "\n" for line in lines)}


def _said(msg: str, problem: str) -> str:
    return "%s. Nothing to compare with: %s" % (msg, problem) if problem else msg


def _covered(baseline: Mapping[str, Any]) -> Any:
    """What is in it, whatever the values: a table that is counted now, a right that was given."""
    counted = [
        (one["name"], one["fingerprint"] is None, each["name"], each["rows"] is None, each["exact"])
        for one in baseline["databases"]
        for each in one["tables"]
    ]
    return counted, baseline.get("hba") is None


def _place(directory: str, host: str) -> Path:
    return Path(directory).expanduser().absolute() / file_names([host])[host]


def _files(place: Path) -> Tuple[List[Path], str]:
    """The baselines there, the oldest first; or why that is not known."""
    try:
        return sorted(each for each in place.iterdir() if _NAME.fullmatch(each.name)), ""
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], "%s cannot be read: %s. Give another directory with oncall_baseline_dir" % (place, error.strerror)


def _read(path: Path) -> Tuple[Optional[Dict[str, Any]], str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("databases"), list) or "taken_at" not in found:
            raise ValueError("it is no baseline")
    except OSError as error:
        return None, "%s cannot be read: %s" % (path, error.strerror)
    except (ValueError, RecursionError) as error:
        return None, "%s cannot be read (%s): remove it, and %s" % (path, error, _MAKE)
    return found, ""


def _cannot_write(place: Path) -> str:
    """The same for check mode: why a file could not be made there."""
    there = next(each for each in (place, *place.parents) if each.exists() or each.is_symlink())
    if not there.is_dir():
        return "%s is not a directory" % there
    return "" if os.access(str(there), os.W_OK | os.X_OK) else "%s is not writable" % there
