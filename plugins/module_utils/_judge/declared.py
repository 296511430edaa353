# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a session is: the one rule for the commands that a verdict prints and for what the procedures signal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet, Mapping, Optional


@dataclass(frozen=True)
class Declared:
    """A declared client: a role and a place. Where neither ``addresses`` nor an application name is known, its role
    alone tells it, unless that is a superuser's: people and tools log in as such, too.

    ``here``: no container, so it runs on the server's host.
    """

    user: str
    application: Optional[str] = None
    addresses: FrozenSet[str] = frozenset()
    here: bool = False

    def is_at(self, address: Optional[object]) -> bool:
        return address in self.addresses

    def owns(self, row: Mapping[str, object]) -> bool:
        """``row``: user, superuser, application and client_address of a session."""
        if row["user"] != self.user:
            return False
        if not self.application and not self.addresses:
            return not row["superuser"]
        return bool(self.application and row["application"] == self.application) or self.is_at(row["client_address"])
