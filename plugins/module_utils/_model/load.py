# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a busy server does: where the time goes, by statement, by wait, by table."""

from __future__ import annotations

from typing import List, Optional, TypedDict


class Statement(TypedDict):
    """One entry of pg_stat_statements."""

    query_id: Optional[str]  # the server's number for it, as text: JSON's numbers end before; null without the right
    query: Optional[str]  # its text without values, at most 200 characters; null without the right to see it
    user: Optional[str]  # the role that ran it; null when that is gone
    database: Optional[str]  # the database it ran in; null when that is gone
    toplevel: Optional[bool]  # whether a client sent it, and no function; null before PostgreSQL 14
    calls: int  # how often it was run
    rows: int  # how many rows it returned or changed, all runs together
    total_ms: float  # how long it ran, all runs together
    mean_ms: float  # how long it ran on average
    stddev_ms: float  # how much that differs
    max_ms: float  # the longest run
    share_percent: float  # its part of the time that all statements took
    cache_hit_percent: Optional[float]  # how many of the blocks it read were in shared_buffers; null when it read none
    temp_blocks: int  # blocks that it wrote to temporary files: more than work_mem holds
    read_ms: Optional[float]  # time spent reading blocks; null unless track_io_timing is on
    since: Optional[str]  # since when it is counted; null before PostgreSQL 17


class StatementsFacts(TypedDict):
    """What pg_stat_statements counts, of the whole server."""

    database: str  # the database that has the extension
    extension_version: str  # the extension's version
    since: Optional[str]  # when everything was reset last; null before PostgreSQL 14
    evicted: Optional[int]  # how often rare ones were dropped to make room since then; null before PostgreSQL 14
    count: int  # how many statements are counted
    total_ms: float  # how long all of them ran together
    by_mean: List[Statement]  # the slowest on average
    by_total: List[Statement]  # those that took the most time together


class Wait(TypedDict):
    """What some active sessions wait for."""

    wait_class: str  # `cpu` (no wait), `io`, `lwlock`, `lock`, `client` or `other`
    event: Optional[str]  # the event, as in pg_stat_activity; null for `cpu`
    sessions: int  # how many sessions


class Active(TypedDict):
    """Sessions that run a query, and parallel workers, ours not counted."""

    sessions: int  # how many
    cpu: int  # how many of them wait for nothing: they run, or want to
    io: int  # how many wait for the disk
    lwlock: int  # how many wait for a lock inside the server, or for a buffer
    lock: int  # how many wait for a lock of another transaction
    client: int  # how many wait for their client
    other: int  # how many wait for something else
    waits: List[Wait]  # the same by event, the most first
    hidden: int  # how many processes the login role may not see: what they do is not counted


class Pressure(TypedDict):
    """For how much of the time something waited for a resource (pressure stall information)."""

    resource: str  # `cpu`, `io` or `memory`
    source: str  # `cgroup` (of the server's container or service) or `host`
    some_percent_10s: float  # somebody waited, in the last 10 seconds
    some_percent_60s: float  # in the last minute
    full_percent_10s: Optional[float]  # everybody waited, in the last 10 seconds; null where the kernel does not tell
    full_percent_60s: Optional[float]  # in the last minute; null where the kernel does not tell


class ScannedTable(TypedDict):
    """A large table that is read from one end to the other: an index may be missing."""

    name: str  # the table, with its schema
    bytes: int  # its size, without indexes
    seq_scans: int  # how often it was read whole
    seq_rows_read: int  # how many rows were read that way
    rows_per_seq_scan: float  # how many on average
    index_scans: int  # how often it was read by an index
    seq_percent: float  # which part of all reads was of the whole table


class DeadRowsTable(TypedDict):
    """A table with rows that vacuum has not removed yet."""

    name: str  # the table, with its schema
    live_rows: int  # how many rows are alive, by the statistics
    dead_rows: int  # how many are dead
    dead_percent: float  # their part of both
    last_vacuum: Optional[str]  # when it was vacuumed last, by a person or by autovacuum; null: never
    last_autovacuum: Optional[str]  # when by autovacuum; null: never
    last_analyze: Optional[str]  # when it was analyzed last, by a person or by autovacuum; null: never
    last_autoanalyze: Optional[str]  # when by autovacuum; null: never


class DatabaseLoad(TypedDict):
    """The tables of one database."""

    name: str  # the database
    since: Optional[str]  # since when its statistics count; null when they were never reset
    scanned: List[ScannedTable]  # large tables that are read whole, the most rows first
    dead: List[DeadRowsTable]  # tables with dead rows, the most first


class LoadFacts(TypedDict):
    """Where a busy server's time goes."""

    active: Optional[Active]  # what active sessions wait for; null when SQL did not get through
    pressure: List[Pressure]  # what the server's processes waited for; empty where the kernel does not tell
    databases: List[DatabaseLoad]  # the databases that were looked into
