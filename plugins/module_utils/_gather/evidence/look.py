# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is kept before anything is changed, beyond what triage reads: whole lists, logs, descriptions; masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, List, Set, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import OptionsError, TargetError, VersionError
from ..._core.mask import MASK, mask, setting
from ..._core.side_by_side import side_by_side
from ..naming import naming
from ..sql.evidence import EVIDENCE

if TYPE_CHECKING:
    from ..._model.evidence import EvidenceFacts
    from ..._model.facts import TargetFacts
    from ..target import Target

_SESSIONS, _LOCKS = 2000, 5000  # rows; more than a server can be expected to have, and still no more than 2 MB
_LOG_CHARACTERS = 2_000_000  # of all logs together


def look(target: Target, given: Collection[str]) -> Tuple[TargetFacts, EvidenceFacts, List[str], Dict[str, float]]:
    """``given``: the secrets among the options. What was read, what was not, and how many milliseconds it took.

    Raises OptionsError, TargetError or VersionError where nothing can be examined at all.
    """
    deadline = Deadline(target.deadline_seconds * 0.95)
    target.runtime.clients()  # an unknown project or service is refused before anything else is asked
    secrets: Set[str] = set(given)
    steps: Dict[str, Callable[[], Any]] = {
        "sql": lambda: _sql(target, deadline),
        "logs": lambda: _logs(target, secrets, deadline.sooner(max(0.1, deadline.left() - 0.3))),
    }
    outcome = side_by_side(steps, deadline)
    for error in outcome.errors.values():
        if isinstance(error, (OptionsError, VersionError)):
            raise error
    if isinstance(outcome.errors.get("logs"), TargetError):
        raise outcome.errors["logs"]
    missing = ["%s: %s" % (_PARTS[name], error) for name, error in sorted(outcome.errors.items())]
    row = outcome.values.get("sql") or {}
    logs, containers, unread = outcome.values.get("logs", ([], [], []))
    for name, most in (("sessions", _SESSIONS), ("locks", _LOCKS)):
        if len(row.get(name) or []) == most:
            missing.append("%s: the first %d only" % (name, most))
    for name, what, role in _RIGHTS:
        if row and not row["reads_" + name]:
            missing.append("%s: %s; the login role lacks %s (pg_monitor has it)" % (name, what, role))
    facts: EvidenceFacts = {
        "sessions": row.get("sessions"),
        "locks": row.get("locks"),
        "settings": row.get("settings"),
        "logs": logs,
        "containers": containers,
    }
    known: TargetFacts = {
        "host": target.host,
        "runtime": target.runtime.name,
        "version": row["version"].partition(" ")[0] if row else None,
        "in_recovery": row.get("in_recovery"),
    }
    return known, facts, [*missing, *unread], outcome.elapsed_ms


_RIGHTS = (
    ("sessions", "of other roles only the pid", "pg_read_all_stats"),
    ("settings", "without those that are for superusers", "pg_read_all_settings"),
)
_PARTS = {"sql": "sessions, locks, settings", "logs": "logs, containers"}


def _sql(target: Target, deadline: Deadline) -> Dict[str, Any]:
    with naming(target):
        row = target.session.query(EVIDENCE, deadline, sessions=_SESSIONS, locks=_LOCKS)[0]
    for session in row["sessions"]:
        session["query"] = target.shown(session["query"])
        session["application"] = mask(session["application"])
    for each in row["settings"]:
        own = "." in each["name"] and not each["name"].startswith(_KNOWN)  # somebody's; nobody knows what is in it
        each["value"] = MASK if own else each["value"] and setting(each["name"], each["value"])
    return dict(row)


_KNOWN = ("pg_stat_statements.", "auto_explain.")


def _logs(target: Target, secrets: Set[str], deadline: Deadline) -> Tuple[List[Any], List[Any], List[str]]:
    from ..runtime.compose.runtime import ComposeRuntime
    from ..runtime.pg_ctl.runtime import PgCtlRuntime
    from . import composed, files

    runtime = target.runtime
    if isinstance(runtime, ComposeRuntime):
        return composed.look(runtime, secrets, _LOG_CHARACTERS, deadline)
    names = ", ".join(client.service for client in target.clients)
    missing = ["log of %s: it is no container that can be seen from here" % names] if names else []
    secrets.update(each.login.password for each in runtime.clients() if each.login and each.login.password)
    if isinstance(runtime, PgCtlRuntime):
        logs, unread = files.look(runtime, secrets, _LOG_CHARACTERS, deadline)
        return logs, [], [*unread, *missing]
    return [], [], ["log: runtime=%s sees the server over the network only" % runtime.name, *missing]
