# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the server's log says it could not read, and which tables and indexes they are."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional

from ..._core.errors import OncallError
from ..._core.text import line
from ..sql.integrity import RELATION

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import ServerFacts
    from ..._model.integrity import DamagedFile
    from ..session.base import Session

# The path of a relation's file is never translated: base/DATABASE/FILE, or pg_tblspc/TABLESPACE/VERSION/DATABASE/FILE.
_PATH = re.compile(r"\b(?:base|pg_tblspc/([0-9]{1,10})/PG_[^/ ]+)/([0-9]{1,10})/([0-9]{1,10})\b")
_SQLSTATES = ("XX001", "XX002")
_MOST = 50


def damaged_files(
    server: Optional[ServerFacts], databases: Mapping[str, str], sessions: Mapping[str, Session], deadline: Deadline
) -> List[DamagedFile]:
    """``databases``: names by oid; ``sessions``: by name."""
    found: Dict[str, DamagedFile] = {}
    for entry in server["log"] if server else []:
        match = _PATH.search(entry["text"])
        if match is None or not (entry["cause"] == "data_corruption" or entry["sqlstate"] in _SQLSTATES):
            continue
        tablespace, database, filenode = match.groups()
        name = databases.get(database)
        found[match.group()] = {
            "path": match.group(),
            "database": name,
            "name": _name(sessions.get(name or ""), tablespace or "0", filenode, deadline),
            "message": line(entry["text"], 300),
            "sound": False,
        }
    return list(found.values())[:_MOST]


def _name(session: Optional[Session], tablespace: str, filenode: str, deadline: Deadline) -> Optional[str]:
    if session is None:
        return None
    try:
        with contextlib.closing(session):
            rows = session.query(RELATION, deadline, tablespace=tablespace, filenode=filenode)
    except OncallError:
        return None
    return str(rows[0]["name"]) if rows else None
