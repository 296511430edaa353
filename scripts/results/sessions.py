# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is returned of sessions that are cancelled or terminated."""

from __future__ import annotations

from typing import Optional, TypedDict

from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import SessionRow

from .restarts import Client


class Session(SessionRow):
    # whether its role is a superuser
    superuser: Optional[bool]  # type: ignore[misc]
    # `cancelled` (its query, or it left as soon as its query was cancelled), `terminated`, `gone_by_itself`,
    # `still_there` or `refused`; in check mode, the expected outcome
    outcome: str
    reason: Optional[str]  # why it was refused, or not ended once its query was cancelled; else null


class FreedSlot(TypedDict):
    pid: int  # its backend's pid, as the server sees it
    user: Optional[str]  # its role
    database: Optional[str]  # its database
    client_address: Optional[str]  # where it comes from; null for a Unix socket
    state: Optional[str]  # its state, from the process title
    age_seconds: float  # since its process was started
    outcome: str  # `terminated`
    reason: str  # why it was terminated


class Slots(TypedDict):
    usable: Optional[int]  # slots for ordinary roles
    used: Optional[int]  # client sessions before
    used_after: Optional[int]  # client sessions after; in check mode, what is expected


class Handled(TypedDict):
    msg: str  # the outcome in one line
    # every session that was selected, as it was before anything was done; also returned when the task fails
    sessions: list[Session]


class Sessions(Handled):
    freed: list[FreedSlot]  # sessions terminated by their process title, to free a slot for SQL
    slots: Slots  # connection slots; null where SQL did not get through
    reached: bool  # whether SQL got through to the server


class Room(TypedDict):
    before: bool  # before anything was done
    after: Optional[bool]  # after; in check mode what is expected, null where that is not known


class PoolReset(Sessions):
    clients: list[Client]  # the clients' containers that were restarted (in check mode, would be); empty when none was
    room: Room  # whether there was a slot for one more connection, and whether there is now


class Blocked(TypedDict):
    before: int  # before anything was done
    after: Optional[int]  # after; null in check mode, and where it could not be counted


class CancelQueries(Handled):
    blocked: Blocked  # how many sessions wait for a lock that another one holds
