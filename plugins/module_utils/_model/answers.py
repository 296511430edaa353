# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What checks give back: frozen values, no I/O, no Ansible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

YES, NO, NOT_ASKED = "yes", "no", "not_asked"
OK, WARNING, CRITICAL, EMERGENCY = "ok", "warning", "critical", "emergency"
SEVERITIES = (OK, WARNING, CRITICAL, EMERGENCY)  # in rising order


@dataclass(frozen=True)
class Thresholds:
    """Where a number starts to matter. Each field is an option of the target (``_entry.options.THRESHOLDS``)."""

    connection_percent: float = 80
    idle_minutes: float = 30
    long_query_seconds: float = 300
    blocked_seconds: float = 30
    idle_in_transaction_seconds: float = 300
    free_disk_gib: float = 5
    xid_age: int = 1_000_000_000
    replication_lag_seconds: float = 300
    pool_reserve: int = 10

    @property
    def overload_seconds(self) -> float:
        """Where no slot is left, what runs for long is in the way of all the others: sooner than with room left."""
        return min(30.0, self.long_query_seconds)


@dataclass(frozen=True)
class Finding:
    """One thing noticed. ``summary`` is one line; ``evidence`` are the readings that prove it, one a line."""

    code: str
    severity: str
    summary: str
    evidence: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Values:
    """What fills the placeholders of a verdict's row (summary and remedy). None: this answer has nothing to say of it.

    A template that names a value which is not set is an error, so a check sets what the rows of its causes name.
    """

    # 1. running
    server: Optional[str] = None
    service: Optional[str] = None
    directory: Optional[str] = None
    engine: str = "docker"  # command of the container engine
    loop: Optional[str] = None  # " (restart loop)" or nothing
    why: Optional[str] = None  # the log's last words, where no cause is known
    data_version: Optional[str] = None
    program_version: Optional[str] = None
    reset_settings: Tuple[str, ...] = ()  # of ALTER SYSTEM, the one that it refuses
    # 2. accepting
    advice: Optional[str] = None
    where: Optional[str] = None
    restart_helps: bool = False
    # 3. network
    client: Optional[str] = None
    host: Optional[str] = None
    address: Optional[str] = None
    loss: Optional[str] = None
    repair_helps: bool = False
    # 4. connections
    counts: Optional[str] = None
    name: Optional[str] = None
    query_seconds: Optional[float] = None
    pool_helps: bool = False
    max_sessions: Optional[int] = None  # that may be ended or cancelled, where it takes more than the default allows
    # 5. login
    role: Optional[str] = None
    allow_superuser: bool = False
    reset_helps: bool = False
    database: Optional[str] = None
    reload_helps: bool = False
    force: bool = False  # nothing shows that the files were changed
    # 6. activity
    sessions: Optional[str] = None
    root: Optional[str] = None
    gid: Optional[str] = None
    rollback_helps: bool = False
    pids: Tuple[int, ...] = ()
    longest: Optional[str] = None
    # 7. soundness
    path: Optional[str] = None
    free: Optional[str] = None
    age: Optional[str] = None
    standby: Optional[str] = None
    # of several
    allowed: str = ""  # what a person permits by pasting the printed command; or nothing
    # the tree's own
    detail: Optional[str] = None
    what: Optional[str] = None


@dataclass(frozen=True)
class Answer:
    """One question answered. With ``no``: the verdict's code, cause and evidence, and what its texts need.

    ``detail`` is the answer in one line, for the eye; ``reason`` is why a question was not asked. Findings are kept
    whatever the answer is.
    """

    question: str
    answer: str
    detail: str
    code: Optional[str] = None
    cause: Optional[str] = None
    evidence: Tuple[str, ...] = ()
    findings: Tuple[Finding, ...] = ()
    values: Values = Values()
    severity: Optional[str] = None  # only where it differs from the table's
    reason: Optional[str] = None
