# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One module's result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional, TypedDict


@dataclass(frozen=True)
class Result:
    """``shape`` holds the keys that are always there on success; ``sometimes`` the others, by when they are there.

    ``elsewhere``: keys whose parts another module's documentation lists; their description says which.
    """

    shape: type
    returned: str = "success"
    sometimes: Mapping[str, type] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()


class Refused(TypedDict):
    refused: bool  # whether the task was refused before anything was changed


class Failed(Refused):
    sqlstate: Optional[str]  # PostgreSQL's SQLSTATE; null when the failure has none
