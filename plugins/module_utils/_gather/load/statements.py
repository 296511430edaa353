# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements that take the most time, as pg_stat_statements counts them; or why that cannot be told."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from ..._core.errors import OncallError
from ..session.bind import identifier
from ..sql.load import INFO, STATE, TOP
from .databases import databases

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.load import StatementsFacts
    from ..session.base import Session
    from ..target import Target

_NO_PACKAGE = "the server has no pg_stat_statements: install the package with PostgreSQL's contrib modules"
_NOT_LOADED = (
    "pg_stat_statements is not loaded: add it to shared_preload_libraries, restart the server (graceful_restart), and "
    "CREATE EXTENSION pg_stat_statements as a superuser"
)
_NOT_CREATED = (
    "pg_stat_statements is loaded, but in none of the databases looked into: CREATE EXTENSION pg_stat_statements in "
    "one of them, as a superuser"
)
_NO_RIGHT = (
    "role %s may not read pg_stat_statements in database %s: GRANT SELECT on it, and pg_read_all_stats, as a superuser"
)
_OWN_ONLY = "statements of other roles are shown without their text: GRANT pg_read_all_stats TO %s, as a superuser"


def statements(
    target: Target, top: int, deadline: Deadline
) -> Tuple[Optional[StatementsFacts], Optional[str], List[str]]:
    """What is counted, else why nothing is, and what was not looked at. Raises SessionError, DeadlineError."""
    refused: Optional[str] = None
    skipped: List[str] = []
    for name, session in databases(target, (), deadline, skipped):
        with contextlib.closing(session):
            try:
                state = session.query(STATE, deadline)[0]
            except OncallError as error:
                skipped.append("database %s: %s" % (name, error))
                continue
            if not state["loaded"]:
                return None, _NOT_LOADED if state["available"] else _NO_PACKAGE, []
            if state["version"] is None:
                continue
            if not state["readable"]:
                refused = refused or _NO_RIGHT % (state["role"], name)
                continue
            found = _read(target, session, name, state, top, deadline)
            return found, None, [] if state["sees_all"] else [_OWN_ONLY % state["role"]]
    return None, refused or _NOT_CREATED, skipped


def _read(
    target: Target, session: Session, name: str, state: Mapping[str, Any], top: int, deadline: Deadline
) -> StatementsFacts:
    schema = identifier(state["schema"])
    info: Dict[str, Any] = session.query(INFO, deadline, schema=schema)[0] if state["has_info"] else {}
    rows = session.query(TOP, deadline, schema=schema, top=top)
    ranks = [(row.pop("mean_rank"), row.pop("total_rank"), row) for row in rows]
    totals = [(row.pop("entries"), row.pop("all_ms")) for row in rows]
    for row in rows:
        # Where it may not be seen, the server gives words in brackets and no number.
        row["query"] = target.shown(row["query"]) if row["query_id"] is not None else None
        row["share_percent"] = row["share_percent"] or 0.0
    by_mean: Any = [row for rank, _other, row in sorted(ranks, key=lambda each: each[0]) if rank <= top]
    by_total: Any = [row for _other, rank, row in sorted(ranks, key=lambda each: each[1]) if rank <= top]
    count, total_ms = totals[0] if totals else (0, 0.0)
    return {
        "database": name,
        "extension_version": state["version"],
        "since": info.get("since"),
        "evicted": info.get("evicted"),
        "count": count,
        "total_ms": round(total_ms, 3),
        "by_mean": by_mean,
        "by_total": by_total,
    }
