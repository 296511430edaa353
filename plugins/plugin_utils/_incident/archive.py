# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a host before a procedure acts, in one archive for its owner: results in, files out. Pure.

It holds what triage knows and what ``evidence_info`` has read besides. What neither has read is named in it.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import tarfile
from datetime import datetime
from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple

from ...module_utils._core.mask import mask, mask_words
from .._report import html
from .._report.files import AT
from .._report.model import Host, document

MOST_BYTES = 5_000_000
_OF_THE_PROCESS = ("log", "processes")
_OF_A_CLIENT = ("service", "name", "state", "exit_code", "started_at", "finished_at", "out_of_memory", "networks")


def archive(host: Host, at: datetime, secrets: Collection[str], more: Optional[Mapping[str, Any]] = None) -> bytes:
    """A .tar.gz below ``MOST_BYTES``. ``secrets`` are masked wherever they stand, beside what has been masked.

    ``more``: what ``evidence_info`` returned (``compact``), or why it returned nothing.
    """
    known, left_out = _unpacked(more or {})
    files = members(host, at, secrets, known)
    left_out += ["%s: nothing could be read" % name for name, text in files.items() if text == "null\n"]
    while True:
        data = _packed({"CONTENTS.txt": _contents(host, at, files, left_out), **files}, at)
        if len(data) <= MOST_BYTES or not files:
            return data
        largest = max(files, key=lambda name: len(files[name]))
        del files[largest]
        left_out.append("%s, which is too large" % largest)


def _unpacked(more: Mapping[str, Any]) -> Tuple[Dict[str, Any], List[str]]:
    """What was read, and what was not."""
    if not more.get("evidence_packed"):
        why = " ".join(str(more.get("msg") or "it was not asked").split())
        return {}, ["all sessions, all locks, settings, logs, containers: %s" % why]
    known: Dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(more["evidence_packed"])))
    return known, [str(each) for each in more.get("not_covered") or []]


def members(host: Host, at: datetime, secrets: Collection[str], more: Mapping[str, Any]) -> Dict[str, str]:
    whole = _masked(document(host), list(secrets))
    facts: Mapping[str, Any] = whole.get("facts") or {}
    server, snapshot = facts.get("server") or {}, facts.get("snapshot") or {}
    configured, activity = dict(snapshot.get("configured") or {}), snapshot.get("activity") or {}
    rules = configured.pop("hba_rules", None)
    clients = [{key: each.get(key) for key in _OF_A_CLIENT} for each in facts.get("clients") or []]
    container = {key: value for key, value in server.items() if key not in _OF_THE_PROCESS}
    parts = {
        "triage": whole,
        "settings": {"configured": configured, "not_default": more.get("settings")},
        "hba_rules": rules,
        "activity": {"connections": snapshot.get("connections"), "activity": activity},
        "sessions": more.get("sessions"),
        "locks": {**{key: activity.get(key) for key in ("blocking", "prepared")}, "all": more.get("locks")},
        "server_log": server.get("log"),
        "processes": server.get("processes"),
        "inspect": {"server": container, "clients": clients, "containers": more.get("containers")},
    }
    files = {"%s.json" % name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in parts.items()}
    for each in more.get("logs") or []:
        files[_log_name(each, files)] = mask_words(each["text"], secrets) + "\n"
    return {**files, "index.html": mask_words(html.render([host], at.strftime(AT)), secrets)}


def _log_name(log: Mapping[str, Any], taken: Collection[str]) -> str:
    """``shop-api-1.before.log``; a file's own name, which two directories may have."""
    stem = re.sub(r"[^\w.-]+", "_", str(log["name"]).strip("/"))
    name = "logs/%s%s.log" % (stem, "" if log["run"] == "file" else "." + log["run"])
    return name if name not in taken else _log_name({**log, "name": stem + "_"}, taken)


def _masked(value: Any, secrets: List[str]) -> Any:
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, dict):
        return {key: _masked(inner, secrets) for key, inner in value.items()}
    return [_masked(inner, secrets) for inner in value] if isinstance(value, list) else value


def _contents(host: Host, at: datetime, files: Collection[str], left_out: List[str]) -> str:
    lines = ["%s, %s, before a procedure acted." % (host.name, at.strftime(AT)), "", "Included:", *sorted(files), ""]
    return "\n".join([*lines, *(["Not included:"] if left_out else []), *("- %s" % each for each in left_out), ""])


def _packed(files: Mapping[str, str], at: datetime) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, text in files.items():
            data = text.encode("utf-8", "backslashreplace")
            entry = tarfile.TarInfo("evidence/" + name)
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(at.timestamp())
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
