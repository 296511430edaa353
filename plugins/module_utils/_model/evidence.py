# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a server before anything is changed there; every text in it masked."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, TypedDict


class SessionRow(TypedDict):
    """A row of pg_stat_activity."""

    pid: int  # its process
    backend_type: Optional[str]  # what it is; null without the right to see it
    user: Optional[str]  # its role; null where it has none
    database: Optional[str]  # its database; null where it has none
    application: str  # its application_name
    client: Optional[str]  # address and port that it comes from; null for a socket
    state: Optional[str]  # as in pg_stat_activity; null without the right to see it
    wait_event: Optional[str]  # what it waits for, `type: event`; null when it does not
    backend_start: Optional[str]  # when it began; null without the right to see it
    xact_start: Optional[str]  # when its transaction began; null when none is open
    query_start: Optional[str]  # when its query began; null when it has run none
    state_change: Optional[str]  # since when it is in this state; null without the right to see it
    backend_xid: Optional[str]  # its transaction's number; null when it has none
    backend_xmin: Optional[str]  # how far it holds vacuum back; null when it does not
    query: Optional[str]  # its query, without values unless told otherwise; null without the right to see it


class LockRow(TypedDict):
    """A row of pg_locks."""

    pid: Optional[int]  # who holds it or waits for it; null for a prepared transaction
    granted: bool  # whether it is held
    mode: str  # its mode
    locktype: str  # what kind of thing is locked
    database: Optional[str]  # in which database; null when in none
    relation: Optional[str]  # the table or index; its number where it is in another database; null when it is none
    transaction: Optional[str]  # the transaction, if that is what is locked; null when it is not
    holder: Optional[str]  # the virtual number of the transaction that holds it; null when there is none
    since: Optional[str]  # since when it is waited for; null when it is not, and before PostgreSQL 14


class SettingRow(TypedDict):
    """A setting that is not at its default."""

    name: str  # its name
    value: Optional[str]  # its value, with the unit; masked where it may be a secret
    source: str  # where it comes from
    pending_restart: bool  # whether the file has another value, which takes a restart


class LogText(TypedDict):
    """The last lines of one log."""

    name: str  # the container, or the file
    run: str  # `last`, or `before`: of the container's run before that; `file` of a file, which may hold several
    cut: bool  # whether there is more of it, which is older
    text: str  # the lines, masked


class Container(TypedDict):
    """What the engine says of a container."""

    name: str  # its name
    inspect: Dict[str, Any]  # as `docker inspect` has it, without values of the environment and of foreign labels


class EvidenceFacts(TypedDict):
    """What is kept before anything is changed."""

    sessions: Optional[List[SessionRow]]  # all but ours, the busy ones first; null when SQL did not get through
    locks: Optional[List[LockRow]]  # all but ours, those waited for first; null when SQL did not get through
    settings: Optional[List[SettingRow]]  # what is not at its default; null when SQL did not get through
    logs: List[LogText]  # the last lines of the server's and its clients' logs
    containers: List[Container]  # the server's and its clients' containers
