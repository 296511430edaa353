# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sessions may be signalled, and why not. Pure: rows in, a selection out.

Only client backends; never our own, superusers that are no declared client, replication, a wait for a synchronous
standby, maintenance and backups, or what the rules protect, unless it was asked for by its very name. Caps hold
whatever the request says.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Collection, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple, TypedDict

from ..._core.errors import OptionsError
from ..._core.text import did_you_mean, names, nearest
from ..._judge import titles as _titles
from ..._judge.caps import exceeds
from ..._judge.checks.blocking import incidents, roots
from ..._judge.declared import Declared
from ..._model import tools as _tools

CANCELLED, ABSENT = "cancelled", "absent"
CLIENT_BACKEND = "client backend"
IDLE = _titles.IDLE
IDLE_IN_TRANSACTION = _titles.IDLE_IN_TRANSACTION
STATES = ("active", IDLE, IDLE_IN_TRANSACTION)
LOCAL = "local"  # stands for the Unix socket among addresses
UNDERSCORED = "idle_in_transaction"  # the same state for those who write it where blanks separate words
SYNC_WAIT = "is waiting for a synchronous standby; cancelling it would acknowledge a commit that no standby has"
SYNC_COMMIT = (
    "may be about to commit, and no synchronous standby is connected; cancelling it could acknowledge that commit"
)
ASK = "is a superuser's (%s): ask that person"  # no declared client's
SYNC = {"waits": SYNC_WAIT, "commits": SYNC_COMMIT}
_WORKING = ("active", "fastpath function call")


class Row(TypedDict):
    """One backend of ``sql.LOOK``; what the login role may not see is null."""

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
    sync: Optional[str]  # a key of SYNC: waits for a synchronous standby, or may be about to
    task: Optional[str]  # VACUUM, CREATE INDEX CONCURRENTLY, a base backup: what takes long by nature
    query: Optional[str]


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

    def names(self, pid: int) -> bool:
        return self.pids is not None and pid in self.pids

    def by_query(self) -> bool:
        """Whether a session that has gone on to another query is no longer meant."""
        return self.query_seconds is not None or self.blocking

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
class Selection:
    """``over``: why the caps forbid all of it. ``absent_pids``: asked for, and no such backend.

    ``idle``: named, and has no query to cancel.
    """

    take: Tuple[Row, ...] = ()
    refused: Tuple[Tuple[Row, str], ...] = ()
    idle: Tuple[Row, ...] = ()
    absent_pids: Tuple[int, ...] = ()
    over: Optional[str] = None


@dataclass(frozen=True)
class Looked:
    """The row of ``sql.LOOK`` (or LOOK_BLOCKING): all backends, the slots and limits, and who waits for whom.

    ``roles`` and ``databases``: all that there are, by name. ``pooled``: a pooler lent us its connection, which stays
    when we go.
    """

    rows: Tuple[Row, ...] = ()
    usable: int = 0
    role_limits: Mapping[str, int] = field(default_factory=dict)
    database_limits: Mapping[str, int] = field(default_factory=dict)
    edges: Tuple[Any, ...] = ()
    pooled: bool = False
    roles: Tuple[str, ...] = ()
    databases: Tuple[str, ...] = ()

    @classmethod
    def of(
        cls, row: Mapping[str, Any], shown: Callable[[Optional[str]], Optional[str]], pooled: bool = False
    ) -> Looked:
        """``shown``: ``Target.shown``. Nothing here depends on a query's text, so only what may be seen is kept."""
        limits: List[Dict[str, int]] = [row["role_limits"], row["database_limits"]]
        rows: Any = tuple(dict(each, query=shown(each["query"])) for each in row["rows"])
        edges, there = tuple(row["edges"]), (tuple(row["roles"]), tuple(row["databases"]))
        return cls(rows, int(row["usable"]), limits[0], limits[1], edges, pooled, *there)

    def without(self, pids: Collection[int]) -> Looked:
        """What a look would show once these are gone."""
        rows = tuple(row for row in self.rows if row["pid"] not in pids)
        return replace(self, rows=rows)

    @property
    def clients(self) -> List[Row]:
        """Those that hold the slots."""
        return [row for row in self.rows if row["backend_type"] == CLIENT_BACKEND and (self.pooled or not row["own"])]

    def blockers(self, named: bool) -> List[int]:
        """Root blockers by pid, the worst first. The holder of an advisory lock is one only where it is ``named``."""
        edges = self.edges if named else incidents(self.edges)
        return [root.pid for root in roots(edges) if root.gid is None]

    @property
    def blocked(self) -> int:
        return len({edge["blocked_pid"] for edge in self.edges})


def refuse_unknown(request: Request, roles: Collection[str], databases: Collection[str], of: str) -> None:
    """Raises OptionsError for a name that can mean nobody: a slip must not look like "there is nothing to do"."""
    for what, name, known in (("role", request.user, roles), ("database", request.database, databases)):
        if name is not None and name not in known:
            hint = did_you_mean(nearest(name, known), "There are: %s." % (names(sorted(known), 10) or "none"))
            raise OptionsError("%s %s %s; nothing was done" % (of, what, name), hint)


def select(looked: Looked, request: Request, rules: Rules, at_most: Optional[int] = None) -> Selection:
    """Decide. ``at_most``: as many are enough, the longest in their state first."""
    blockers = looked.blockers(request.pids is not None) if request.blocking else []
    take: List[Row] = []
    refused: List[Tuple[Row, str]] = []
    idle: List[Row] = []
    for row in looked.rows:
        named = request.names(row["pid"])
        if (row["own"] and not named) or not _meant(row, request, blockers):
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
    order = {pid: number for number, pid in enumerate(blockers)}
    take.sort(key=lambda row: (order.get(row["pid"], len(order)), -(row["state_seconds"] or 0), row["pid"]))
    del take[len(take) if at_most is None else at_most :]
    there = {row["pid"] for row in looked.rows}
    absent = tuple(sorted(pid for pid in request.pids or () if pid not in there))
    return Selection(tuple(take), tuple(refused), tuple(idle), absent, over(len(take), looked, request, rules))


def forbidden(row: Row, request: Request, rules: Rules) -> Optional[str]:
    """Why this backend must not be signalled, None when it may be."""
    if row["own"]:
        return "is a session of oncall.postgresql itself"
    if row["backend_type"] is None or row["backend_start"] is None:
        return "is not visible to our login role; make that role a member of pg_monitor"
    if row["backend_type"] != CLIENT_BACKEND:
        return "is not a client backend (%s)" % row["backend_type"]
    if row["sync"]:
        return SYNC[row["sync"]]
    clients = _owners(row, rules)
    if row["superuser"] and not clients:
        return ASK % row["user"]
    if row["replication"] and not clients:
        return "belongs to replication role %s and to no declared client" % row["user"]
    if row["user"] in rules.protect_users and request.user != row["user"]:
        return "belongs to protected user %s" % row["user"]
    protected = _tools.is_any(rules.protect_applications, row["application"])
    if protected and request.application != row["application"]:
        return "belongs to protected application %s" % row["application"]
    if row["task"] and not request.names(row["pid"]):
        return "is running %s; name its pid to stop it" % row["task"]
    if not row["may_signal"]:
        return "cannot be signalled by our login role; make that role a member of pg_signal_backend or of %s" % (
            row["user"],
        )
    return None


def _owners(row: Row, rules: Rules) -> List[Declared]:
    return [one for one in rules.clients if one.owns(row)]


def states(given: Sequence[str]) -> Tuple[str, ...]:
    """As pg_stat_activity has them, for a state may be given as one word."""
    return tuple(IDLE_IN_TRANSACTION if state == UNDERSCORED else state for state in given)


def counted(
    looked: Looked, users: Collection[Optional[str]], databases: Collection[Optional[str]]
) -> Dict[str, Tuple[int, int]]:
    """What limits connections -> (used, limit): the server, and of these roles and databases those with a limit.

    Superusers are not held to their role's limit (PostgreSQL, CREATE ROLE: "CONNECTION LIMIT").
    """
    clients = looked.clients
    found = {"server": (len(clients), looked.usable)}
    for user, limit in sorted(looked.role_limits.items()):
        mine = [row for row in clients if row["user"] == user]
        if user in users and not any(row["superuser"] for row in mine):
            found["role %s" % user] = (len(mine), int(limit))
    for database, limit in sorted(looked.database_limits.items()):
        if database in databases:
            used = sum(1 for row in clients if row["database"] == database)
            found["database %s" % database] = (used, int(limit))
    return found


def needed(limits: Collection[Tuple[int, int]], percent: float) -> int:
    """How many sessions must go until of each (used, limit) no more than this share is used."""
    return max([0, *(used - int(limit * percent / 100) for used, limit in limits)])


def over(number: int, looked: Looked, request: Request, rules: Rules) -> Optional[str]:
    """Why the caps forbid to signal so many sessions."""
    if exceeds(number, rules.max_sessions):
        return "%d sessions, more than max_sessions=%d" % (number, rules.max_sessions)
    clients = len(looked.clients)
    if request.pids is None and number * 100 > rules.max_percent * clients:
        return "%d of %d client sessions, more than max_percent=%g" % (number, clients, rules.max_percent)
    return None


def _meant(row: Row, request: Request, blockers: Collection[int]) -> bool:
    if request.pids is not None and row["pid"] not in request.pids:
        return False
    if request.blocking and row["pid"] not in blockers:
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
    if request.client_address is not None and not is_from(request.client_address, row["client_address"]):
        return False
    state, seconds = row["state"] or "", row["state_seconds"] or 0
    if request.session_states and plain(state) not in request.session_states:
        return False
    if request.idle_seconds is not None and not (state.startswith(IDLE) and seconds >= request.idle_seconds):
        return False
    if request.query_seconds is None:
        return True
    return row["query_seconds"] is not None and row["query_seconds"] >= request.query_seconds


def plain(state: str) -> str:
    return IDLE_IN_TRANSACTION if state == _titles.ABORTED else state


def is_from(wanted: str, address: Optional[str]) -> bool:
    if address is None or wanted == LOCAL:
        return address is None and wanted == LOCAL
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return wanted == address
