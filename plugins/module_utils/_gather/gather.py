# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Target in, facts out: every step side by side, none longer than the deadline, none losing what the others saw."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from .._core.deadline import Deadline
from .._core.errors import (
    AnotherServerError,
    DeadlineError,
    OncallError,
    OptionsError,
    SessionError,
    TargetError,
    VersionError,
)
from .._core.side_by_side import Outcome, side_by_side
from .client import note
from .client.verifier import matches
from .naming import naming
from .role_users import role_users
from .snapshot import take
from .sql.preflight import PREFLIGHT

if TYPE_CHECKING:
    from .._model.facts import ClientFacts, Facts, Restart, ServerFacts, Snapshot, SnapshotError, WireAnswer
    from .runtime.base import Client
    from .target import Target

SERVER, WIRE, SNAPSHOT, CLIENTS, NOTE = "server", "wire", "snapshot", "clients", "restart_note"
EVERYTHING = (SERVER, WIRE, SNAPSHOT, CLIENTS)
_LOGIN_SECONDS = 1.0  # by then SQL has got through, or something is amiss and every address is asked in full


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
    login = _Login()
    if SNAPSHOT not in steps:
        login.settle(False)
    if SERVER in steps and not (WIRE in steps and target.runtime.seen_by_wire):
        work[SERVER] = lambda: target.runtime.server(deadline)
    if WIRE in steps:
        work[WIRE] = lambda: _wire(target, SERVER in steps, login, deadline)
    if SNAPSHOT in steps:
        work[SNAPSHOT] = lambda: _snapshot(target, clients, login, deadline)
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
    keys = {"client %d" % number: client for number, client in enumerate(clients)}
    seen = [(client, outcome.values[key]) for key, client in keys.items() if key in outcome.values]
    snapshot, verifiers = outcome.values.get(SNAPSHOT, (None, {}))
    facts = _facts(target, seen, snapshot, verifiers, outcome)
    try:
        facts["role_users"] = role_users(target.runtime, seen, snapshot, verifiers, deadline) if snapshot else []
    except OncallError as error:
        facts["errors"]["role_users"] = str(error)
    if CLIENTS in steps and snapshot and _waits_for_a_restart(snapshot):
        try:
            found = preflight(target, deadline)
            facts["restart"] = cast("Restart", {name: row for name, row in found.items() if name != "slots"})
        except OncallError as error:
            facts["errors"]["restart"] = str(error)
    return facts, outcome.elapsed_ms


def preflight(target: Target, deadline: Deadline) -> Dict[str, Any]:
    """The row of PREFLIGHT. Raises SessionError or DeadlineError."""
    seconds = target.thresholds.long_query_seconds
    row = target.session.query(PREFLIGHT, deadline, long_transaction_seconds=seconds)[0]
    for each in row["transactions"]:
        each["query"] = target.shown(each["query"] or "")
    return row


def _waits_for_a_restart(snapshot: Snapshot) -> bool:
    """Where it listens: the only verdict that a restart is printed for."""
    return any(row["name"] in ("listen_addresses", "port") for row in snapshot["configured"]["pending_restart"])


def _examine(client: Client, deadline: Deadline) -> Callable[[], ClientFacts]:
    return lambda: client.examine(deadline)


class _Login:
    """Whether SQL has got through: what a start-up packet would tell, without one."""

    def __init__(self) -> None:
        self._settled, self._works = threading.Event(), False

    def settle(self, works: bool) -> None:
        self._works = works
        self._settled.set()

    def works(self, deadline: Deadline) -> bool:
        """As soon as it is known; False when that takes long."""
        self._settled.wait(min(_LOGIN_SECONDS, deadline.left()))
        return self._works


def _wire(
    target: Target, look: bool, login: _Login, deadline: Deadline
) -> Tuple[List[WireAnswer], Optional[ServerFacts]]:
    """What the addresses answered; and where nobody said a word, what the server's processes do meanwhile.

    Their titles show then whether the log-ins wait for a lock. At the first look nobody was waiting yet.
    """
    logged_in = login.works(deadline)
    answers = target.runtime.wire(deadline.sooner(target.connect_timeout_seconds), logged_in)
    silent = bool(answers) and all(answer["outcome"] == "silent" for answer in answers)
    again = look and (silent or target.runtime.seen_by_wire)
    return answers, target.runtime.server(deadline) if again else None


def _snapshot(target: Target, clients: Sequence[Client], login: _Login, deadline: Deadline) -> Any:
    logins = [client.login for client in clients if client.login]
    try:
        with naming(target):
            taken = take(
                target.session,
                deadline,
                target.thresholds,
                sorted({login.user for login in logins}),
                sorted({login.database for login in logins}),
                target.query_text,
            )
    except Exception as error:
        login.settle(_kind(error) == "statement")
        raise
    login.settle(True)
    return taken


def _facts(
    target: Target,
    seen: Sequence[Tuple[Client, ClientFacts]],
    snapshot: Optional[Snapshot],
    verifiers: Mapping[str, str],
    outcome: Outcome,
) -> Facts:
    refused = outcome.errors.get(SNAPSHOT)
    answers, later = outcome.values.get(WIRE, ([], None))
    for client, facts in seen:
        if client.login and client.login.password is not None and client.login.user in verifiers:
            facts["password_matches"] = matches(client.login.password, verifiers[client.login.user], client.login.user)
    return {
        "target": {
            "host": target.host,
            "runtime": target.runtime.name,
            "version": snapshot["version"] if snapshot else None,
            "in_recovery": snapshot["in_recovery"] if snapshot else None,
        },
        "server": later or outcome.values.get(SERVER),
        "wire": answers,
        "clients": [facts for _client, facts in seen],
        "restart_note": outcome.values.get(NOTE),
        "role_users": [],
        "restart": None,
        "repair_obstacle": None,
        "snapshot": snapshot,
        "snapshot_error": _snapshot_error(refused),
        "another_server": refused.found if isinstance(refused, AnotherServerError) else None,
        "errors": {**target.runtime.errors, **{name: _said(error) for name, error in sorted(outcome.errors.items())}},
    }


def _said(error: Exception) -> str:
    """Another server has a fact and a finding of its own, which say all of it."""
    if isinstance(error, AnotherServerError):
        return "another server answers at %s" % error.found["where"]
    return str(error)


def _snapshot_error(error: Optional[Exception]) -> Optional[SnapshotError]:
    if error is None:
        return None
    return {"sqlstate": getattr(error, "sqlstate", None), "message": str(error), "kind": _kind(error)}


def _kind(error: Exception) -> str:
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(error, DeadlineError):
        return "deadline"
    if not isinstance(error, SessionError):
        return "unavailable"
    return "statement" if sqlstate and sqlstate[:2] not in ("08", "28", "3D", "53", "57") else "connection"
