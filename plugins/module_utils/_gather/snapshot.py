# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshot of a server: one statement, and every text in it that may hold a secret masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple, cast

from .._core.errors import RightsError, SessionError
from .._core.mask import MASK, mask, setting
from .._core.shape import QUERY_TEXTS, shown
from .sql import rights
from .sql.snapshot import snapshot as asking

if TYPE_CHECKING:
    from .._core.deadline import Deadline
    from .._model.answers import Thresholds
    from .._model.facts import Snapshot
    from .session.base import Session

INSUFFICIENT_PRIVILEGE = "42501"
_SECRET_OPTIONS = ("ldapbindpasswd", "radiussecrets")  # of pg_hba.conf


def take(
    session: Session,
    deadline: Deadline,
    thresholds: Thresholds,
    roles: Sequence[str],
    databases: Sequence[str],
    query_text: str = QUERY_TEXTS[0],
) -> Tuple[Snapshot, Dict[str, str]]:
    """The snapshot, and the stored verifiers of ``roles`` (empty where we may not read them). The latter are no facts.

    Raises SessionError, DeadlineError, VersionError (older than 13), TargetError (psql missing).
    """
    params: Dict[str, Any] = {
        "idle_minutes": thresholds.idle_minutes,
        "idle_in_transaction_seconds": thresholds.idle_in_transaction_seconds,
        "long_query_seconds": thresholds.long_query_seconds,
        "overload_seconds": thresholds.overload_seconds,
        "roles": list(dict.fromkeys(roles)),
        "databases": list(dict.fromkeys(databases)),
    }
    asked = bool(roles or databases)
    try:
        row = session.query(asking((), asked), deadline, **params)[0]
    except SessionError as error:
        if error.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        without = error.missing if isinstance(error, RightsError) else rights.ALL
        row = session.query(asking(without, asked), deadline, **params)[0]
    # Ours, which is never counted, goes when we go; the one that a pooler lent us stays.
    row["snapshot"]["connections"]["used"] += session.pooled
    row["snapshot"]["pooled"] = session.pooled
    return masked(row["snapshot"], query_text), row["verifiers"]


def masked(snapshot: Dict[str, Any], query_text: str) -> Snapshot:
    """The statement's document with its free texts masked, and queries as ``query_text`` has them."""
    connections, activity, configured = (snapshot[name] for name in ("connections", "activity", "configured"))
    for session in [
        *connections["idle"],
        *connections["idle_in_transaction"],
        *connections["active"],
        *activity["long_queries"],
        *activity["involved"],
    ]:
        if session["query"] is not None:
            session["query"] = shown(session["query"], query_text)
    for error in configured["file_errors"]:
        error["error"] = mask(error["error"])
    for pending in configured["pending_restart"]:
        pending["setting"] = setting(pending["name"], pending["setting"] or "")
    for rule in configured["hba_rules"] or []:
        rule["error"] = rule["error"] and mask(rule["error"])
        rule["options"] = rule["options"] and _masked_options(rule["options"])
    return cast("Snapshot", snapshot)


def _masked_options(options: List[str]) -> List[str]:
    named = [option.partition("=") for option in options]
    return ["%s=%s" % (name, MASK if name in _SECRET_OPTIONS else value) for name, _unused, value in named]
