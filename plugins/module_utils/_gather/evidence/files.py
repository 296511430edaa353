# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log files of a server on this host: the ends of those that it writes to, and of the one before."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, List, Set, Tuple

from . import redact

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.evidence import LogText
    from ..runtime.pg_ctl.runtime import PgCtlRuntime

_MOST_FILES = 3


def look(runtime: PgCtlRuntime, secrets: Set[str], most: int, deadline: Deadline) -> Tuple[List[LogText], List[str]]:
    """The logs (``most`` bytes of all of them together), and what could not be read."""
    source = runtime.server(deadline)["log_source"]
    paths = source.split(", ") if source else []
    for path in list(paths):  # the collector begins a new file with every start
        beside = os.path.join(glob.escape(os.path.dirname(path)), "*" + os.path.splitext(path)[1])
        of_collector = os.path.basename(os.path.dirname(path)) in ("log", "pg_log")
        paths += [each for each in glob.glob(beside) if each not in paths] if of_collector else []
    paths = sorted({path for path in paths if os.path.isfile(path)}, key=os.path.getmtime)[-_MOST_FILES:]
    logs: List[LogText] = []
    missing = [] if paths else ["log: no file of the server was found"]
    for path in paths:
        if path.endswith((".csv", ".json")):  # a message goes over many lines there, and is told by triage
            missing.append("%s: only its errors, in triage.json" % path)
            continue
        try:
            text, cut = _end(path, most // len(paths))
        except OSError as error:
            missing.append("%s: %s" % (path, error.strerror or error))
            continue
        logs.append({"name": path, "run": "file", "cut": cut, "text": redact.log(text, sorted(secrets))})
    return logs, missing


def _end(path: str, most: int) -> Tuple[str, bool]:
    """The last whole lines."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - most))
        data = file.read(most)
    return (data.partition(b"\n")[2] if size > most else data).decode("utf-8", "replace"), size > most
