# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sessions may be signalled, and why not. Pure: rows in, a plan out.

Only client backends; never our own, superusers that are no declared client, replication, or what the rules protect,
unless it was asked for by its very name. Caps hold whatever the request says.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Collection, FrozenSet, List, Optional, Sequence, Tuple, TypedDict

from ..._judge import titles as _titles
from ..._model import tools as _tools

CANCELLED, ABSENT = "cancelled", "absent"
CLIENT_BACKEND = "client backend"
IDLE_IN_TRANSACTION = _titles.IDLE_IN_TRANSACTION
STATES = ("active", _titles.IDLE, IDLE_IN_TRANSACTION)
LOCAL = "local"  # stands for the Unix socket among addresses
UNDERSCORED = "idle_in_transaction"  # the same state for those who write it where blanks separate words
_WORKING = ("active", "fastpath function call")


class Row(TypedDict):
    """One backend of ``_sql.signal.LOOK``; what the login role may not see is null."""

    pid: int
    backend_start: Optional[str]
    backend_type: Optional[str]
    user: Optional[str]
    database: Optional[str]
    application: str
    client_address: Optional[str]
    state: Optional[str]
    state_change: Optional[str]
    query_start: Optional[str]
    state_seconds: Optional[float]
    transaction_seconds: Optional[float]
    query_seconds: Optional[float]
    wait_event_type: Optional[str]
    wait_event: Optional[str]
    superuser: bool
    replication: bool  # a role with REPLICATION that is no superuser
    own: bool
    may_signal: bool  # by the login role's privileges
    query: Optional[str]


@dataclass(frozen=True)
class Declared:
    """A declared client. Without ``addresses`` (not known) and application name, its role alone tells it."""

    user: str
    application: Optional[str] = None
    addresses: FrozenSet[str] = frozenset()

    def is_at(self, address: Optional[str]) -> bool:
        return address in self.addresses

    def owns(self, user: Optional[str], application: str, address: Optional[str]) -> bool:
        if user != self.user:
            return False
        if self.application is None and not self.addresses:
            return True
        return (bool(self.application) and application == self.application) or self.is_at(address)


@dataclass(frozen=True)
class Request:
    """Which sessions are meant: all that is given must hold."""

    state: str
    pids: Optional[FrozenSet[int]] = None
    session_states: Tuple[str, ...] = ()
    idle_seconds: Optional[float] = None
    query_seconds: Optional[float] = None
    application: Optional[str] = None
    user: Optional[str] = None
    database: Optional[str] = None
    client_address: Optional[str] = None
    blocking: bool = False
    only_clients: bool = False  # sessions of declared clients

    def names_something(self) -> bool:
        texts = (self.application, self.user, self.database, self.client_address)
        numbers = (self.pids, self.idle_seconds, self.query_seconds)
        return any(each is not None for each in texts + numbers) or bool(self.session_states) or self.blocking

    def by_state(self) -> bool:
        """Whether a session that has gone to work, or to another state, is no longer meant."""
        return bool(self.session_states) or self.idle_seconds is not None


@dataclass(frozen=True)
class Rules:
    clients: Tuple[Declared, ...] = ()
    protect_applications: Tuple[str, ...] = _tools.PROTECTED
    protect_users: Tuple[str, ...] = ()
    max_sessions: int = 100
    max_percent: float = 50


@dataclass(frozen=True)
class Plan:
    """``over``: why the caps forbid all of it. ``absent_pids``: asked for, and no such backend.

    ``idle``: named, and has no query to cancel.
    """

    take: Tuple[Row, ...] = ()
    refused: Tuple[Tuple[Row, str], ...] = ()
    idle: Tuple[Row, ...] = ()
    absent_pids: Tuple[int, ...] = ()
    over: Optional[str] = None


def select(
    rows: Sequence[Row], request: Request, rules: Rules, roots: Collection[int] = (), at_most: Optional[int] = None
) -> Plan:
    """Decide. ``roots`` are the pids of root blockers, worst first; they count with ``request.blocking`` only.

    ``at_most``: as many are enough, the longest in their state first.
    """
    take: List[Row] = []
    refused: List[Tuple[Row, str]] = []
    idle: List[Row] = []
    for row in rows:
        named = request.pids is not None and row["pid"] in request.pids
        if (row["own"] and not named) or not _meant(row, request, roots):
            continue
        if request.only_clients and not _owners(row, rules):
            continue
        reason = forbidden(row, request, rules)
        if reason:
            refused.append((row, reason))
        elif request.state == CANCELLED and row["state"] not in _WORKING:
            if named or request.blocking:
                idle.append(row)
        else:
            take.append(row)
    order = {pid: number for number, pid in enumerate(roots)}
    take.sort(key=lambda row: (order.get(row["pid"], len(order)), -(row["state_seconds"] or 0), row["pid"]))
    del take[len(take) if at_most is None else at_most :]
    there = {row["pid"] for row in rows}
    absent = tuple(sorted(pid for pid in request.pids or () if pid not in there))
    return Plan(tuple(take), tuple(refused), tuple(idle), absent, _over(len(take), rows, request, rules))


def forbidden(row: Row, request: Request, rules: Rules) -> Optional[str]:
    """Why this backend must not be signalled, None when it may be."""
    if row["own"]:
        return "is a session of oncall.postgresql itself"
    if row["backend_type"] is None or row["backend_start"] is None:
        return "may not be seen by our login role; make that a member of pg_monitor"
    if row["backend_type"] != CLIENT_BACKEND:
        return "is no client backend (%s)" % row["backend_type"]
    clients = _owners(row, rules)
    if row["superuser"] and not clients:
        return "is a superuser's (%s), and none of the declared clients'" % row["user"]
    if row["replication"] and not clients:
        return "is of a replication role (%s)" % row["user"]
    if row["user"] in rules.protect_users and request.user != row["user"]:
        return "is of the protected user %s" % row["user"]
    protected = _tools.is_any(rules.protect_applications, row["application"])
    if protected and request.application != row["application"]:
        return "is of the protected application %s" % row["application"]
    if not row["may_signal"]:
        return "may not be signalled by our login role; make that a member of pg_signal_backend or of %s" % row["user"]
    return None


def _owners(row: Row, rules: Rules) -> List[Declared]:
    return [one for one in rules.clients if one.owns(row["user"], row["application"], row["client_address"])]


def states(given: Sequence[str]) -> Tuple[str, ...]:
    """As pg_stat_activity has them, for a state may be given as one word."""
    return tuple(IDLE_IN_TRANSACTION if state == UNDERSCORED else state for state in given)


def needed(counted: Sequence[Tuple[int, int]], percent: float) -> int:
    """How many sessions must go until of each (used, limit) no more than this share is used."""
    return max([0, *(used - int(limit * percent / 100) for used, limit in counted)])


def _meant(row: Row, request: Request, roots: Collection[int]) -> bool:
    if request.pids is not None and row["pid"] not in request.pids:
        return False
    if request.blocking and row["pid"] not in roots:
        return False
    for wanted, found in (
        (request.application, row["application"]),
        (request.user, row["user"]),
        (request.database, row["database"]),
    ):
        if wanted is not None and wanted != found:
            return False
    if row["backend_type"] is None:
        return True  # what may not be seen may be meant: refused by name, not passed over
    if request.client_address is not None and not _from(request.client_address, row["client_address"]):
        return False
    state, seconds = row["state"] or "", row["state_seconds"] or 0
    if request.session_states and _plain(state) not in request.session_states:
        return False
    if request.idle_seconds is not None and not (state.startswith("idle") and seconds >= request.idle_seconds):
        return False
    if request.query_seconds is None:
        return True
    return row["query_seconds"] is not None and row["query_seconds"] >= request.query_seconds


def _over(number: int, rows: Sequence[Row], request: Request, rules: Rules) -> Optional[str]:
    if number > rules.max_sessions:
        return "%d sessions, more than max_sessions=%d" % (number, rules.max_sessions)
    clients = sum(1 for row in rows if row["backend_type"] == CLIENT_BACKEND and not row["own"])
    if request.pids is None and number * 100 > rules.max_percent * clients:
        return "%d of %d client sessions, more than max_percent=%g" % (number, clients, rules.max_percent)
    return None


def _plain(state: str) -> str:
    return IDLE_IN_TRANSACTION if state == _titles.ABORTED else state


def _from(wanted: str, address: Optional[str]) -> bool:
    if address is None or wanted == LOCAL:
        return address is None and wanted == LOCAL
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return wanted == address


# --- by process titles, when SQL cannot be had ------------------------------------------------------------------------


@dataclass(frozen=True)
class Titled:
    """A backend as its process shows it. ``title`` and ``started`` (ticks) are what is looked at again beside it."""

    backend: _titles.Backend
    title: str
    started: int
    age_seconds: float


@dataclass(frozen=True)
class Choice:
    """``take``: best first. Neither ``take`` nor ``refused``: no session can be one that the request means."""

    take: Tuple[Titled, ...] = ()
    refused: Tuple[Tuple[Titled, str], ...] = ()


def choose(titles: Sequence[Titled], request: Request, rules: Rules, trusted: Collection[str] = ()) -> Choice:
    """Whose slot to free first: idle before idle in transaction, a declared client's before others, oldest first.

    A title tells neither the application nor who is a superuser: so roles in ``trusted`` (the server's own
    administrators) count as superusers, and what is at work is taken only if the request asks for it.
    """
    take: List[Titled] = []
    refused: List[Tuple[Titled, str]] = []
    for one in titles:
        if not _may_be_meant(one, request) or (request.only_clients and not _clients_of(one, rules)):
            continue
        reason = _forbidden_by_title(one, request, rules, trusted)
        if reason:
            refused.append((one, reason))
        else:
            take.append(one)
    take.sort(key=lambda one: (_rank(one), not _clients_of(one, rules), one.started, one.backend.pid))
    return Choice(tuple(take), tuple(refused))


def _may_be_meant(one: Titled, request: Request) -> bool:
    backend = one.backend
    if request.pids is not None and backend.pid not in request.pids:
        return False
    if request.user is not None and backend.user != request.user:
        return False
    if request.database is not None and backend.database != request.database:
        return False
    if request.client_address is not None and not _from(request.client_address, backend.address):
        return False
    state = backend.state or ""
    if request.session_states and _plain(state) not in request.session_states:
        return False
    # Nobody is idle, or at a query, for longer than he is there.
    if request.idle_seconds is not None:
        return state.startswith("idle") and one.age_seconds >= request.idle_seconds
    return request.query_seconds is None or (state == _titles.ACTIVE and one.age_seconds >= request.query_seconds)


def _forbidden_by_title(one: Titled, request: Request, rules: Rules, trusted: Collection[str]) -> Optional[str]:
    backend = one.backend
    if not (backend.state or "").startswith("idle") and "active" not in request.session_states:
        return "is not idle (%s)" % (backend.activity or "its title does not say")
    clients = _clients_of(one, rules)
    if backend.user in trusted and not clients:
        return "is of %s, perhaps a superuser, and none of the declared clients'" % backend.user
    if backend.user in rules.protect_users and request.user != backend.user:
        return "is of the protected user %s" % backend.user
    if _tools.is_any(rules.protect_applications, backend.user):
        return "is of %s, by its name a protected application" % backend.user
    applications = {client.application for client in clients}
    if request.application is not None and request.application not in applications:
        return "cannot be told to be of the application %s" % request.application
    return None


def _clients_of(one: Titled, rules: Rules) -> List[Declared]:
    return [
        client
        for client in rules.clients
        if client.user == one.backend.user and (not client.addresses or client.is_at(one.backend.address))
    ]


def _rank(one: Titled) -> int:
    return {_titles.IDLE: 0, _titles.ABORTED: 1, IDLE_IN_TRANSACTION: 2}.get(one.backend.state or "", 3)
