# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the report is written: every file whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Sequence

from . import html
from .model import Host, document, file_names

INDEX = "index.html"


def write(hosts: Sequence[Host], directory: str, at: str) -> str:
    """Write ``<host>.json`` for each host and the page into ``directory`` (made if need be); the page's path.

    Raises OSError. A file that is there is replaced at once, so that a web server never serves half of one.
    """
    place = Path(directory).expanduser().absolute()
    place.mkdir(parents=True, exist_ok=True)
    names = file_names([host.name for host in hosts])
    for host in hosts:
        text = json.dumps(document(host), ensure_ascii=False, indent=2, sort_keys=True)
        _replace(place / (names[host.name] + ".json"), text + "\n")
    page = place / INDEX
    _replace(page, html.render(hosts, at))
    return str(page)


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=str(path.parent), prefix=".%s." % path.name[:40])
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's 0600 would keep colleagues and web servers out
        os.replace(temporary, str(path))
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
