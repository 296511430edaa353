# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read before sessions are signalled: every backend by SQL, or by the processes where no slot is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

from ..._core.deadline import Deadline
from ..._core.errors import SessionError, TargetError
from ..._core.spec import Spec
from ..._judge.declared import Declared
from ..._model import tools as _tools
from . import free_slot
from .guard import Looked, Rules
from .plan import TOO_MANY_CONNECTIONS, Job, State
from .sql import LOOK, LOOK_BLOCKING

if TYPE_CHECKING:
    from ..._gather.sql.query import Query
    from ..._gather.target import Target

# Options of whatever signals sessions: who is left alone.
PROTECTION = Spec(
    {
        "protect_applications": {"type": "list", "elements": "str", "default": list(_tools.PROTECTED)},
        "protect_users": {"type": "list", "elements": "str", "default": []},
    }
)


def state(target: Target, job: Job) -> State:
    """Changes nothing. Where SQL finds no slot, it is the roll of processes."""
    rules = rules_of(target, job)
    query = LOOK_BLOCKING if job.blocking else LOOK
    try:
        return State(rules, seen(target, query))
    except SessionError:
        if not is_full(target):
            raise
    try:
        titles = free_slot.roll(target, Deadline(target.deadline_seconds))
    except TargetError as unseen:
        return State(rules, unseen=str(unseen))
    return State(rules, titles=tuple(free_slot.identified(target, titles)))


def seen(target: Target, query: Query) -> Looked:
    """``query``: LOOK or LOOK_BLOCKING."""
    row = target.session.query(query, Deadline(target.deadline_seconds))[0]
    return Looked.of(row, target.shown, target.session.pooled)


def rules_of(target: Target, job: Job) -> Rules:
    clients: List[Declared] = []
    for client in target.runtime.clients():
        if client.user:
            addresses, here = frozenset(client.addresses), target.runtime.clients_here
            clients.append(Declared(client.user, client.application_name, addresses, here))
    return Rules(tuple(clients), job.protect_applications, job.protect_users, job.max_sessions, job.max_percent)


def is_full(target: Target) -> bool:
    """A start-up packet is refused with 53300: then not even a superuser gets in."""
    deadline = Deadline(target.deadline_seconds).sooner(target.connect_timeout_seconds)
    return any(answer["sqlstate"] == TOO_MANY_CONNECTIONS for answer in target.runtime.wire(deadline))


def used(target: Target) -> Optional[Looked]:
    """A look afterwards; None where it cannot be had: what became of each session is known all the same."""
    try:
        return seen(target, LOOK)
    except SessionError:
        return None
