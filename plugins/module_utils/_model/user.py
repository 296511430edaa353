# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container beside the server's, and what it knows of a role. Not a fact: it may hold a password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Sequence


@dataclass(frozen=True)
class User:
    """``how``: what shows that it knows the role; None where its environment does not."""

    name: str
    how: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)  # None: unknown
    service: Optional[str] = None
    addresses: Sequence[str] = ()
