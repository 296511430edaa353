# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One server and the ways to it; ``_entry.target`` opens it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Tuple

from .._core.shape import QUERY_TEXTS, shown

if TYPE_CHECKING:
    from .._model.answers import Thresholds
    from .runtime.base import ClientOption, Runtime
    from .session.base import Session


@dataclass(frozen=True)
class Target:
    """One PostgreSQL server and the ways to it. ``clients`` are those that its options declare."""

    host: str
    runtime: Runtime
    session: Session
    thresholds: Thresholds
    deadline_seconds: float
    connect_timeout_seconds: float
    clients: Tuple[ClientOption, ...] = ()
    place: str = "this host"  # the machine that the code runs on, whose files are meant; in words, as a message has it

    query_text: str = QUERY_TEXTS[0]
    playbook_options: Tuple[str, ...] = ()  # for the commands that are printed

    def shown(self, query: Optional[str]) -> Optional[str]:
        """A query as results have it, without its values unless told otherwise."""
        return None if query is None else shown(query, self.query_text)

    def close(self) -> None:
        self.session.close()
        self.runtime.close()
