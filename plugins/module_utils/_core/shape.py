# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A query's shape: its words without any value, as pg_stat_statements shows it. A literal may hold anybody's secret.

PostgreSQL, "Lexical Structure". The text may be cut anywhere (``track_activity_query_size``), so what has no end
reaches to the end.
"""

from __future__ import annotations

import re
from typing import List, Match

from .mask import mask

QUERY_TEXTS = ("shape", "masked")
_LENGTH = 200
VALUE = "?"

_TOKEN = re.compile(
    r"(?P<comment>--[^\n\r]*|/\*)"
    r"|(?P<escaped>[Ee]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z))"
    r"|(?P<string>(?:[Uu]&|[NnBbXx])?'(?:[^']|'')*(?:'|\Z))"
    r"|(?P<name>(?:[Uu]&)?\"(?:[^\"]|\"\")*\"|[A-Za-z_\x80-\U0010ffff][\w$]*|\$\d+)"
    r"|(?P<unended>(?:[Uu]&)?\".*)"
    r"|(?P<dollars>(?P<tag>\$(?:[A-Za-z_\x80-\U0010ffff]\w*)?\$).*?(?:(?P=tag)|\Z)|\$\w*\Z)"
    r"|(?P<number>\.?[0-9](?:[eE][+-]?(?=[0-9])|[\w.])*)",
    re.S,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")


def shape(text: str) -> str:
    """``text`` with every literal replaced by ``?`` and without comments."""
    done: List[str] = []
    at = 0
    while True:
        found = _TOKEN.search(text, at)
        if found is None:
            return "".join(done) + text[at:]
        done.append(text[at : found.start()])
        at = found.end()
        if found.group("comment"):
            done.append(" ")
            at = _after_comment(text, found)
        elif found.group("name"):
            done.append(found.group())
        else:
            done.append(VALUE)
            # Whether such a backslash escapes the quote is a setting (standard_conforming_strings), and with it where
            # this and all further literals end.
            if found.group("string") and "\\'" in found.group():
                return "".join(done)


def shown(query: str, query_text: str = QUERY_TEXTS[0]) -> str:
    """A query as results have it: ``query_text`` is the option of that name. Its shape is masked, too."""
    return mask(shape(query) if query_text == "shape" else query)[:_LENGTH]


def _after_comment(text: str, found: Match[str]) -> int:
    """Comments nest."""
    at, depth = found.end(), 1
    while depth and found.group() == "/*":
        mark = _COMMENT_MARK.search(text, at)
        if mark is None:
            return len(text)
        at, depth = mark.end(), depth + (1 if mark.group() == "/*" else -1)
    return at
