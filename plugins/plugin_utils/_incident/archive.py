# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a host before a procedure acts, in one archive for its owner: a result in, files out. Pure.

It holds what triage knows. What triage does not read is named in it, rather than read at a bad moment.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from datetime import datetime
from typing import Any, Collection, Dict, List, Mapping

from ...module_utils._core.mask import mask, mask_words
from .._report import html
from .._report.files import AT
from .._report.model import Host, document

MOST_BYTES = 5_000_000
_LEFT_OUT = (
    "the sessions of pg_stat_activity beyond those idle for longest, running for long, waiting or blocking (50 each)",
    "locks that nobody waits for",
    "the server's log beyond errors and known causes in its last lines",
    "logs of clients, and of a container's run before the last",
    "what the engine says of a container beyond state, limits, mounts and networks",
)
_OF_THE_PROCESS = ("log", "processes")
_OF_A_CLIENT = ("service", "name", "state", "exit_code", "started_at", "finished_at", "out_of_memory", "networks")


def archive(host: Host, at: datetime, secrets: Collection[str]) -> bytes:
    """A .tar.gz below ``MOST_BYTES``. ``secrets`` are masked wherever they stand, beside what triage has masked."""
    files = members(host, at, secrets)
    left_out = list(_LEFT_OUT)
    while True:
        data = _packed({"CONTENTS.txt": _contents(host, at, files, left_out), **files}, at)
        if len(data) <= MOST_BYTES or not files:
            return data
        largest = max(files, key=lambda name: len(files[name]))
        del files[largest]
        left_out.append("%s, which is too large" % largest)


def members(host: Host, at: datetime, secrets: Collection[str]) -> Dict[str, str]:
    whole = _masked(document(host), list(secrets))
    facts: Mapping[str, Any] = whole.get("facts") or {}
    server, snapshot = facts.get("server") or {}, facts.get("snapshot") or {}
    configured, activity = dict(snapshot.get("configured") or {}), snapshot.get("activity") or {}
    rules = configured.pop("hba_rules", None)
    clients = [{key: each.get(key) for key in _OF_A_CLIENT} for each in facts.get("clients") or []]
    container = {key: value for key, value in server.items() if key not in _OF_THE_PROCESS}
    parts = {
        "triage": whole,
        "settings": configured,
        "hba_rules": rules,
        "activity": {"connections": snapshot.get("connections"), "activity": activity},
        "locks": {key: activity.get(key) for key in ("blocking", "prepared")},
        "server_log": server.get("log"),
        "processes": server.get("processes"),
        "inspect": {"server": container, "clients": clients},
    }
    files = {"%s.json" % name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in parts.items()}
    return {**files, "index.html": mask_words(html.render([host], at.strftime(AT)), secrets)}


def _masked(value: Any, secrets: List[str]) -> Any:
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, dict):
        return {key: _masked(inner, secrets) for key, inner in value.items()}
    return [_masked(inner, secrets) for inner in value] if isinstance(value, list) else value


def _contents(host: Host, at: datetime, files: Collection[str], left_out: List[str]) -> str:
    lines = ["%s, %s, before a procedure acted." % (host.name, at.strftime(AT)), "", "Not included:"]
    return "\n".join([*lines, *("- %s" % each for each in left_out), "", "Included:", *sorted(files), ""])


def _packed(files: Mapping[str, str], at: datetime) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, text in files.items():
            data = text.encode("utf-8", "backslashreplace")
            entry = tarfile.TarInfo("evidence/" + name)
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(at.timestamp())
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
