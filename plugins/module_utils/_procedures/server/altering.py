# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows of postgresql.auto.conf are replaced before a start. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core import mask
from ..._core.errors import RefusedError
from ..._core.text import names
from ..._judge.refused import SECRET
from ..configuration import allowed, values

_NAME = re.compile(r"[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*\Z", re.ASCII)
Refuse = Callable[[str, str], RefusedError]  # why, what to do


@dataclass(frozen=True)
class Altering:
    """``taken``: names as they stand in the file; ``added``: value by name. ``before``, ``after``: None for no row.
    ``reset``: those of ``taken`` that ``reset_settings`` asks for."""

    taken: Tuple[str, ...] = ()
    added: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, Optional[str]] = field(default_factory=dict)
    after: Mapping[str, Optional[str]] = field(default_factory=dict)
    reset: Tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.before


def shown(rows: Mapping[str, Optional[str]]) -> Dict[str, Optional[str]]:
    return {name: None if value is None else mask.setting(name, value) for name, value in rows.items()}


def altering(altered: Mapping[str, str], settings: Mapping[str, Any], reset: Sequence[str], refuse: Refuse) -> Altering:
    """``altered``: what the file says. ``settings``: None takes one out that is there; ``reset``: it has to be."""
    asked: Dict[str, Any] = {}
    for name, value in [*settings.items(), *((name, None) for name in reset)]:
        if name.lower() in asked:
            raise refuse("%s is named twice" % name, "Name it once, in settings or in reset_settings.")
        asked[name.lower()] = value
    for name in reset:
        if name.lower() not in [each.lower() for each in altered]:
            raise refuse(
                "ALTER SYSTEM has not set %r; it has set: %s" % (name, names(altered, 20) or "nothing"),
                "Correct it where it is set (postgresql.conf, the command line), then start without reset_settings.",
            )
    taken: List[str] = []
    before: Dict[str, Optional[str]] = {}
    after: Dict[str, Optional[str]] = {}
    for low, value in asked.items():
        spellings = [each for each in altered if each.lower() == low]
        name = spellings[-1] if spellings else low
        former = altered.get(name)
        if low in SECRET and (former, value) != (None, None):
            raise refuse(
                "the value of %s may hold a secret that is written down nowhere else" % name,
                "Copy its row from postgresql.auto.conf to a safe place, then change it by hand.",
            )
        try:
            text = None if value is None else _text(low, value)
        except ValueError as error:
            raise refuse("%s: %s" % (name, error), "Correct it: nothing was touched.") from None
        if text != former or len(spellings) > 1:
            taken += spellings
            before[name], after[name] = former, text
    added = {name: text for name, text in after.items() if text is not None}
    undone = {name.lower() for name in reset}
    return Altering(tuple(taken), added, before, after, tuple(name for name in taken if name.lower() in undone))


def _text(name: str, value: Any) -> str:
    """The server is down, and cannot be asked whether it takes it."""
    if not _NAME.match(name):
        raise ValueError("no setting has such a name")
    text = values.given({"name": name, "type": ""}, value)
    allowed.settable(name, text)
    allowed.safe(name, values.boolean(text) or text)
    if mask.mask(text) != text:
        raise ValueError("its value is a secret, which other processes could see: write its row by hand")
    return text
