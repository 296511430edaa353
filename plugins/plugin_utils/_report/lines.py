# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a terminal, made of spans with a colour."""

from __future__ import annotations

import textwrap
from typing import List, Optional, Tuple

Span = Tuple[str, Optional[str]]  # text, and the status whose colour it has (or "skip"; None: plain)
Line = List[Span]

SYMBOLS = {"emergency": "‼", "critical": "✗", "unreachable": "?", "failed": "?", "warning": "!", "ok": "✓", "skip": "·"}
ROWS = 4  # of names
LEAST = 20  # characters, however little room is left


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(1, width - 1)].rstrip() + "…"


def wrapped(
    text: str,
    width: int,
    lead: str,
    status: Optional[str] = None,
    indent: Optional[str] = None,
    lead_only: bool = False,
) -> List[Line]:
    """``text`` in lines of ``width``, the first after ``lead``, the others after ``indent``."""
    after = " " * len(lead) if indent is None else indent
    pieces = textwrap.wrap(text, max(LEAST, width - max(len(lead), len(after))), break_on_hyphens=False) or [""]
    return [
        [(lead if number == 0 else after, status), (piece, None if lead_only else status)]
        for number, piece in enumerate(pieces)
    ]


def named(names: List[str], width: int, lead: str, status: Optional[str]) -> List[Line]:
    """The names after ``lead``, as many as ``ROWS`` lines hold."""
    listed = wrapped(", ".join(names), width, lead, status, lead_only=True)
    return listed if len(listed) <= ROWS else [*listed[:ROWS], [(" " * len(lead) + "... %d in all" % len(names), None)]]
