# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults in a server's log, whatever its prefix and language."""
from __future__ import annotations

from typing import List

from .._facts import LogEntry


def classify(text: str, limit: int) -> List[LogEntry]:
    """The entries of the last ``limit`` lines that report a fault, newest last, secrets masked."""
    raise NotImplementedError
