# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the report is written: every file whole or not at all, and for its owner only unless told otherwise."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Mapping, Optional, Sequence, Union

from .._incident.state import Incident
from . import html
from .model import Host, document, file_names

INDEX = "index.html"
AT = "%Y-%m-%d %H:%M:%S UTC"  # a time as the page shows it
KEPT = "~/.oncall/reports"
OWNER = 0o600
MODES = ("0600", "0640", "0644")


def write(
    hosts: Sequence[Host],
    directory: str,
    at: str,
    mode: int = OWNER,
    incidents: Optional[Mapping[str, Sequence[Incident]]] = None,
) -> str:
    """Write ``<host>.json`` for each host and the page into ``directory`` (made if need be); the page's path.
    ``incidents``: of each host, to be shown on the page.

    Raises OSError. A file that is there is replaced at once, so that a web server never serves half of one. A directory
    that is there keeps its mode.
    """
    place = Path(directory).expanduser().absolute()
    make(place, mode)
    names = file_names([host.name for host in hosts])
    for host in hosts:
        replace(place / (names[host.name] + ".json"), _json(host), mode)
    page = place / INDEX
    replace(page, html.render(hosts, at, incidents=incidents), mode)
    return str(page)


def keep(hosts: Sequence[Host], at: datetime) -> str:
    """Write ``<host>-<time>.json`` for each host into ``KEPT``, for its owner only; the path, a pattern if of several.

    Raises OSError. Nothing is replaced and nothing deleted.
    """
    place = Path(os.path.expanduser(KEPT))
    make(place, OWNER)
    names = file_names([host.name for host in hosts])
    ending = at.strftime("-%Y%m%dT%H%M%S.%f")[:-3] + "Z.json"
    for host in hosts:
        replace(place / (names[host.name] + ending), _json(host), OWNER)
    return str(place / ((names[hosts[0].name] if len(hosts) == 1 else "*") + ending))


def _json(host: Host) -> str:
    """Indented for those who read it, but for the facts: of a thousand hosts that would take seconds."""
    whole = document(host)
    facts = json.dumps(whole["facts"], ensure_ascii=False, sort_keys=True)
    told = json.dumps({**whole, "facts": None}, ensure_ascii=False, indent=2, sort_keys=True)
    return told.replace('\n  "facts": null', '\n  "facts": ' + facts, 1) + "\n"


def make(place: Path, mode: int) -> None:
    """The directories that are missing, to be searched by whoever may read the files."""
    for directory in (*reversed(place.parents), place):
        if not directory.is_dir():
            directory.mkdir(mode=0o700, exist_ok=True)
            directory.chmod(0o700 | mode | (mode & 0o044) >> 2)


def replace(path: Path, content: Union[str, bytes], mode: int) -> None:
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=str(path.parent), prefix=".%s." % path.name[:40])
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)
        os.replace(temporary, str(path))
    except BaseException:
        os.unlink(temporary)
        raise
