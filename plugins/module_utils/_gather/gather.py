# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Target in, facts out: every step side by side, none longer than the deadline, none losing what the others saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple

from .._core.deadline import Deadline
from .._core.errors import AnotherServerError, DeadlineError, OptionsError, SessionError, TargetError, VersionError
from .._core.side_by_side import Outcome, side_by_side
from .client import note
from .client.verifier import matches
from .naming import naming
from .snapshot import take

if TYPE_CHECKING:
    from .._model.facts import ClientFacts, Facts, ServerFacts, SnapshotError, WireAnswer
    from .runtime.base import Client
    from .target import Target

SERVER, WIRE, SNAPSHOT, CLIENTS, NOTE = "server", "wire", "snapshot", "clients", "restart_note"
EVERYTHING = (SERVER, WIRE, SNAPSHOT, CLIENTS)


def gather(target: Target, steps: Sequence[str] = EVERYTHING) -> Tuple[Facts, Dict[str, float]]:
    """The facts of ``steps``, and how many milliseconds each took.

    Raises OptionsError, TargetError or VersionError where nothing can be examined at all; everything else that goes
    wrong is a fact (``Facts["errors"]``).
    """
    # A little less than was promised: the verdict, too, must be there in time.
    deadline = Deadline(target.deadline_seconds * 0.95)
    # First of all, and alone: an unknown project or service must be refused before anything is started.
    clients = list(target.runtime.clients())
    work: Dict[str, Callable[[], Any]] = {}
    if SERVER in steps:
        work[SERVER] = lambda: target.runtime.server(deadline)
    if WIRE in steps:
        work[WIRE] = lambda: _wire(target, SERVER in steps, deadline)
    if SNAPSHOT in steps:
        work[SNAPSHOT] = lambda: _snapshot(target, clients, deadline)
    if CLIENTS in steps:
        for number, client in enumerate(clients):
            work["client %d" % number] = _examine(client, deadline)
        where = target.runtime.note_path
        if where:
            work[NOTE] = lambda: note.facts(where)
    outcome = side_by_side(work, deadline)
    for error in outcome.errors.values():
        if isinstance(error, (OptionsError, VersionError)):
            raise error
    if isinstance(outcome.errors.get(SERVER), TargetError):
        raise outcome.errors[SERVER]
    return _facts(target, clients, outcome), outcome.elapsed_ms


def _examine(client: Client, deadline: Deadline) -> Callable[[], ClientFacts]:
    return lambda: client.examine(deadline)


def _wire(target: Target, look: bool, deadline: Deadline) -> Tuple[List[WireAnswer], Optional[ServerFacts]]:
    """What the addresses answered; and where nobody said a word, what the server's processes do meanwhile.

    Their titles show then whether the log-ins wait for a lock. At the first look nobody was waiting yet.
    """
    answers = target.runtime.wire(deadline.sooner(target.connect_timeout_seconds))
    silent = bool(answers) and all(answer["outcome"] == "silent" for answer in answers)
    return answers, target.runtime.server(deadline) if look and silent else None


def _snapshot(target: Target, clients: Sequence[Client], deadline: Deadline) -> Any:
    logins = [client.login for client in clients if client.login]
    with naming(target):
        return take(
            target.session,
            deadline,
            target.thresholds,
            sorted({login.user for login in logins}),
            sorted({login.database for login in logins}),
            target.query_text,
        )


def _facts(target: Target, clients: Sequence[Client], outcome: Outcome) -> Facts:
    refused = outcome.errors.get(SNAPSHOT)
    snapshot, verifiers = outcome.values.get(SNAPSHOT, (None, {}))
    answers, later = outcome.values.get(WIRE, ([], None))
    examined: List[ClientFacts] = []
    for number, client in enumerate(clients):
        facts: Optional[ClientFacts] = outcome.values.get("client %d" % number)
        if facts is None:
            continue
        if client.login and client.login.password is not None and client.login.user in verifiers:
            facts["password_matches"] = matches(client.login.password, verifiers[client.login.user], client.login.user)
        examined.append(facts)
    return {
        "target": {
            "host": target.host,
            "runtime": target.runtime.name,
            "version": snapshot["version"] if snapshot else None,
            "in_recovery": snapshot["in_recovery"] if snapshot else None,
        },
        "server": later or outcome.values.get(SERVER),
        "wire": answers,
        "clients": examined,
        "restart_note": outcome.values.get(NOTE),
        "snapshot": snapshot,
        "snapshot_error": _snapshot_error(refused),
        "another_server": refused.found if isinstance(refused, AnotherServerError) else None,
        "errors": {**target.runtime.errors, **{name: str(error) for name, error in sorted(outcome.errors.items())}},
    }


def _snapshot_error(error: Optional[Exception]) -> Optional[SnapshotError]:
    if error is None:
        return None
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(error, DeadlineError):
        kind = "deadline"
    elif not isinstance(error, SessionError):
        kind = "unavailable"
    elif sqlstate and sqlstate[:2] not in ("08", "28", "3D", "53", "57"):
        kind = "statement"
    else:
        kind = "connection"
    return {"sqlstate": sqlstate, "message": str(error), "kind": kind}
