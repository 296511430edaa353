# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions that no printed command names: what they are, and what to do about them instead. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, Optional, Sequence

from ..._model import tools
from ..declared import Declared

if TYPE_CHECKING:
    from ..._model.facts import ClientFacts, SeenSession

# What pg_stat_progress_* would show as well; it starts over when it is cancelled.
TASKS = ("VACUUM", "REINDEX", "CREATE INDEX", "CREATE UNIQUE INDEX", "CLUSTER")
_BACKUP = re.compile(r"\bpg_(?:backup_start|start_backup)\s*\(", re.IGNORECASE)
_REFUSED = {
    "waits": "waiting for a synchronous standby: bring it back, cancel nothing",
    "commits": "perhaps about to commit, without its synchronous standby: bring that back, cancel nothing",
    "no_right": "our login role may not signal it: ask a superuser",
}
_BACKGROUND: Dict[str, str] = {
    "autovacuum worker": "autovacuum: let it finish",
    "walsender": "a walsender: check the standby or backup that it serves",
    "logical replication worker": "a logical replication worker: check its subscription",
}


def why(row: SeenSession, clients: Sequence[ClientFacts]) -> Optional[str]:
    """None: it may be cancelled by its pid."""
    kind, query = row["backend_type"], (row["query"] or "").lstrip()
    if kind is None:
        return "not visible to our login role (pg_monitor): investigate by hand"
    if kind != "client backend":
        if kind == "autovacuum worker" and "to prevent wraparound" in query:
            return "autovacuum to prevent wraparound: let it finish, or it starts over"
        if kind.startswith("logical replication"):
            kind = "logical replication worker"
        return _BACKGROUND.get(kind, "%s, no client session" % kind)
    if tools.is_any(tools.PROTECTED, row["application"]):
        return "%s: let it finish, or ask who runs it" % row["application"]
    task = next((each for each in TASKS if query.upper().startswith(each)), None)
    if task is None and _BACKUP.search(query):
        task = "a base backup"
    if task is not None:
        return "%s: let it finish, or ask who runs it" % task
    ours = any(owns(client, row) for client in clients)
    if row["superuser"] and not ours:
        return "a superuser's session: ask that person"
    if row["spared"] == "replication" and not ours:
        return "a replication role's session: check what it serves"
    return _REFUSED.get(row["spared"] or "")


def owns(client: ClientFacts, row: SeenSession) -> bool:
    login = client["login"]
    if login is None or login["source"] == "target":
        return False
    addresses = frozenset(each["address"] for each in client["networks"] if each["address"])
    return Declared(login["user"], client["application_name"], addresses).owns(row)
