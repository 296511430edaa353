# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server was like at a time, to be compared with later."""

from __future__ import annotations

from typing import Dict, List, Optional, TypedDict


class BaselineTable(TypedDict):
    """A table, partitioned table or materialized view."""

    name: str  # its name, with its schema
    bytes: Optional[int]  # its size with indexes and TOAST; null while somebody has it locked
    rows: Optional[
        int
    ]  # exactly, where it was to be counted; with `estimate=true` what the planner believes; else null
    exact: bool  # whether `rows` was counted


class BaselineDatabase(TypedDict):
    """One database."""

    name: str  # the database
    bytes: Optional[int]  # its size; null where that may not be read
    extensions: Dict[str, str]  # its extensions -> their versions
    tables: List[BaselineTable]  # its tables, without those of the system
    fingerprint: Optional[str]  # sha256 of its schema's definition; null where a lock was in the way
    objects: Optional[Dict[str, str]]  # what the schema consists of -> the start of a sha256 of its definition


class BaselineRole(TypedDict):
    """A role, without its password."""

    name: str  # the role
    attributes: List[str]  # such as `superuser`, `login` or `replication`
    connection_limit: int  # how many connections it may have; -1: any number
    valid_until: Optional[str]  # when its password expires; null when never
    member_of: List[str]  # the roles that it is a member of
    settings: List[str]  # what was set for it, the database after it where it is for one; secrets masked


class Baseline(TypedDict):
    """What is kept."""

    schema: int  # version of this document's shape
    host: str  # the host's name
    version: str  # the server's version
    system_identifier: Optional[str]  # of the cluster; null without the right to read it
    in_recovery: bool  # whether it is a standby
    taken_at: str  # when
    settings: Dict[str, str]  # the settings of its files and its command line; secrets masked
    roles: List[BaselineRole]  # the roles, but for those that PostgreSQL brings
    hba: Optional[List[str]]  # the rules of `pg_hba.conf`; null without the right to read them
    databases: List[BaselineDatabase]  # the databases
    not_covered: List[str]  # what was not read, and why


class Change(TypedDict):
    """One difference between two baselines."""

    kind: str  # `appeared`, `vanished`, `emptied`, `rows`, `uncounted`, `bytes`, `schema` or `changed`
    what: str  # what has changed
    counted: bool  # whether it is a table whose rows were counted
    before: Optional[str]  # what it was, in words; null where it was not there
    after: Optional[str]  # what it is, in words; null where it is not there
    percent: Optional[float]  # how much more or less; null where that is no number


class Sized(TypedDict):
    """A database or a table with its size, then and now."""

    kind: str  # `kept`, `appeared` or `vanished`
    database: str  # the database
    table: Optional[str]  # the table, with its schema; null for the whole database
    bytes_before: Optional[int]  # its size in the baseline; null where it was not there, or not known
    bytes: Optional[int]  # its size now; null where it is not there, or not known
    rows_before: Optional[int]  # its rows in the baseline, where they were counted
    rows: Optional[int]  # its rows now, where they were counted


class Compared(TypedDict):
    """How the server differs from its baseline."""

    taken_at: Optional[str]  # when the baseline was taken; null where there is none
    why_not: Optional[str]  # why there was nothing to compare with; null where there was
    tables: int  # how many tables were compared
    counted: int  # how many of them by their rows
    changes: List[Change]  # what is different
    sizes: List[Sized]  # the databases, and of their tables those that were counted and the largest, 20 of each at most
    not_covered: List[str]  # what could not be compared, and why
