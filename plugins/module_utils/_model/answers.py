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
    """Where a number starts to matter. The defaults are the argument spec's (``_options.THRESHOLDS``)."""

    connection_percent: float = 80
    idle_minutes: float = 30
    long_query_seconds: float = 300
    blocked_seconds: float = 30
    idle_in_transaction_seconds: float = 300
    free_disk_gib: float = 5
    xid_age: int = 1_000_000_000
    replication_lag_seconds: float = 300


@dataclass(frozen=True)
class Finding:
    """One thing noticed. ``summary`` is one line; ``evidence`` are the readings that prove it, one a line."""

    code: str
    severity: str
    summary: str
    evidence: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """One question answered. With ``no``: the verdict's code, cause and evidence, and what its texts need.

    ``values`` fill the placeholders of the verdict's row in ``_verdicts`` (summary and remedy), such as the role or
    the client's name. Findings are kept whatever the answer is.
    """

    question: str
    answer: str
    detail: str
    code: Optional[str] = None
    cause: Optional[str] = None
    evidence: Tuple[str, ...] = ()
    findings: Tuple[Finding, ...] = ()
    values: Tuple[Tuple[str, str], ...] = ()
    severity: Optional[str] = None  # only where it differs from the table's
