# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was changed so far, and how each of it is undone."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from ..._core.errors import OncallError, UnprovenError
from ..._core.mask import mask


class Undo:
    def __init__(self) -> None:
        self._steps: List[Tuple[str, Callable[[], None]]] = []

    def add(self, what: str, how: Callable[[], None]) -> None:
        """Before it is done."""
        self._steps.append((what, how))

    def failed(
        self, text: str, error: BaseException, secrets: Sequence[str], details: Mapping[str, Any]
    ) -> UnprovenError:
        """Undo all, whatever fails; oldest first, for the containers are made anew from the files.

        ``text`` says what failed; the error, which says why and what was restored, has ``details``.
        """
        put_back, left = [], []
        for what, how in self._steps:
            try:
                how()
                put_back.append(what)
            except Exception as wrong:
                left.append("%s (%s)" % (what, mask(str(wrong), secrets)))
        said = str(error) if isinstance(error, OncallError) else "it was interrupted (%s)" % type(error).__name__
        parts = ["%s: %s" % (text, mask(said, secrets).rstrip("."))]
        if put_back:
            parts.append("restored: %s" % ", ".join(put_back))
        if left:
            parts.append("NOT restored: %s" % ", ".join(left))
        if not self._steps:
            parts.append("nothing was changed")
        outcome: Dict[str, Any] = {"put_back": put_back, "not_put_back": left}
        return UnprovenError(
            "; ".join(parts),
            "Restore the rest by hand, or run again." if left else "Fix that, then run again.",
            error.sqlstate if isinstance(error, OncallError) else None,
            {**outcome, **details},
        )
