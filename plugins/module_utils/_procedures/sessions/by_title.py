# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose slot is freed first when none is left for SQL: by the titles of the server's processes. Pure.

A title shows neither the application nor whether the role is a superuser: a pg_dump looks like the application. So
only a declared client's role at that client's own place is taken, and nobody behind whom a backup tool or a person
can hide.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from ..._judge import titles as _titles
from ..._judge.declared import Declared
from ..._model import tools as _tools
from .guard import IDLE, IDLE_IN_TRANSACTION, SYNC_WAIT, Request, Rules, is_from, plain

_PEOPLE = ("psql", "pgcli", "pgadmin")
_WAITS_FOR_STANDBY = " waiting for "  # SyncRepWaitForLSN() adds "waiting for 0/3000148" to the title


@dataclass(frozen=True)
class Titled:
    """A backend as its process shows it. ``title`` and ``started`` (ticks) are what is checked again beside it.

    ``programs``: what is at the other end of its connection, empty where that cannot be seen.
    """

    backend: _titles.Backend
    title: str
    started: int
    age_seconds: float
    programs: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """``take``: best first. Neither ``take`` nor ``refused``: no session can be one that the request means."""

    take: Tuple[Titled, ...] = ()
    refused: Tuple[Tuple[Titled, str], ...] = ()


def choose(titles: Sequence[Titled], request: Request, rules: Rules) -> Choice:
    """Idle before idle in transaction, the oldest first. What is at work is taken only if the request asks for it."""
    take: List[Titled] = []
    refused: List[Tuple[Titled, str]] = []
    for one in titles:
        if not _may_be_meant(one, request) or (request.only_clients and not _clients_of(one, rules)):
            continue
        reason = _forbidden(one, request, rules)
        if reason:
            refused.append((one, reason))
        else:
            take.append(one)
    take.sort(key=lambda one: (_rank(one), one.started, one.backend.pid))
    return Choice(tuple(take), tuple(refused))


def _may_be_meant(one: Titled, request: Request) -> bool:
    backend = one.backend
    if request.pids is not None and backend.pid not in request.pids:
        return False
    if request.user is not None and backend.user != request.user:
        return False
    if request.database is not None and backend.database != request.database:
        return False
    if request.client_address is not None and not is_from(request.client_address, backend.address):
        return False
    state = backend.state or ""
    if request.session_states and plain(state) not in request.session_states:
        return False
    # Nobody is idle, or at a query, for longer than he is there.
    if request.idle_seconds is not None:
        return state.startswith(IDLE) and one.age_seconds >= request.idle_seconds
    return request.query_seconds is None or (state == _titles.ACTIVE and one.age_seconds >= request.query_seconds)


def _forbidden(one: Titled, request: Request, rules: Rules) -> Optional[str]:
    backend = one.backend
    if _WAITS_FOR_STANDBY in " %s " % backend.activity:
        return SYNC_WAIT
    if not (backend.state or "").startswith(IDLE) and "active" not in request.session_states:
        return "is not idle (%s)" % (backend.activity or "its title does not say")
    if backend.user in rules.protect_users and request.user != backend.user:
        return "belongs to protected user %s" % backend.user
    for name in (backend.user, *one.programs):
        if _tools.is_any(rules.protect_applications, name) and request.application != name:
            return "belongs to %s, the name of a protected application" % name
        if _tools.is_any(_PEOPLE, name):
            return "belongs to %s, which a person uses" % name
    clients = _clients_of(one, rules)
    if not clients:
        return "belongs to %s from %s, which is not a declared client's address: it may be a backup or a person" % (
            backend.user,
            backend.address or "the Unix socket",
        )
    if not one.programs and not any(client.is_at(backend.address) for client in clients):
        return "comes from this host, but its program cannot be identified: it may be a backup or a person"
    if request.application is not None and request.application not in {client.application for client in clients}:
        return "cannot be identified as application %s" % request.application
    return None


def _clients_of(one: Titled, rules: Rules) -> List[Declared]:
    address = one.backend.address
    return [
        client
        for client in rules.clients
        if client.user == one.backend.user and (client.is_at(address) or (client.here and is_loopback(address)))
    ]


def is_loopback(address: Optional[str]) -> bool:
    try:
        return address is not None and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _rank(one: Titled) -> int:
    return {_titles.IDLE: 0, _titles.ABORTED: 1, IDLE_IN_TRANSACTION: 2}.get(one.backend.state or "", 3)
