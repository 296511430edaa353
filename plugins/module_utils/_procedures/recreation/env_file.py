# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a ``.env`` file: values found and exchanged, and not one other character changed. Pure.

The syntax is Compose's (manual, "Syntax for environment files"): ``KEY=value``, ``export KEY=value``, values bare, in
``'...'`` (literal) or ``"..."`` (with escapes), quoted ones over several lines too, comments. Of a key that is
there twice the last one counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Dict, Mapping, Sequence

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*")
_QUOTED = {
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
}
_BARE = re.compile(r"[^\r\n]*")
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*|[ \t]+\Z", re.DOTALL)
_LINE_END = re.compile(r"\r\n|\n|\r")
VARIABLE = re.compile(r"\$(?:\{|[A-Za-z_])")


@dataclass(frozen=True)
class Entry:
    """The value of one key: where it stands in the text (without its quotes), and how it is quoted."""

    key: str
    start: int
    end: int
    quotes: str
    written: str = field(repr=False)

    @property
    def value(self) -> str:
        """As a reader of the file gets it, variables not filled in."""
        if self.quotes == '"':
            return re.sub(
                r"\\(.)", lambda found: {"n": "\n", "r": "\r", "t": "\t"}.get(found[1], found[1]), self.written
            )
        return self.written.replace("\\'", "'") if self.quotes else self.written


def entries(text: str) -> Dict[str, Entry]:
    """Every key's last value."""
    found: Dict[str, Entry] = {}
    at = 1 if text.startswith("\ufeff") else 0
    while at < len(text):
        head = _ASSIGNMENT.match(text, at)
        if head:
            quoted = (
                _QUOTED[text[head.end()]].match(text, head.end())
                if text[head.end() : head.end() + 1] in _QUOTED
                else None
            )
            if quoted:
                entry = Entry(head.group(1), quoted.start(1), quoted.end(1), quoted.group()[0], quoted.group(1))
            else:
                bare = _BARE.match(text, head.end())
                written = _COMMENT.sub("", bare.group() if bare else "", count=1)
                # Where nothing stands, the blanks stay behind it: a comment must not grow together with the value.
                begin = head.end() if written else head.start() + head.group().index("=") + 1
                entry = Entry(head.group(1), begin, begin + len(written), "", written)
            found[entry.key] = entry
            at = entry.end
        at = _next_line(text, at)
    return found


def exchanged(text: str, changes: Sequence[Entry]) -> str:
    """``text`` with what each of ``changes`` has written in its place."""
    for change in sorted(changes, key=lambda one: one.start, reverse=True):
        text = text[: change.start] + change.written + text[change.end :]
    return text


def with_values(text: str, values: Mapping[str, str]) -> str:
    """``text`` in which each key has its value; those that it lacks are added at its end.

    The values are plain: they mean the same bare and in either kind of quotes.
    """
    found = entries(text)
    changes = []
    for key in values:
        if key in found:
            entry = found[key]
            apart = " " if not entry.quotes and text[entry.end : entry.end + 1] == "#" else ""
            changes.append(replace(entry, written=values[key] + apart))
    text = exchanged(text, changes)
    ends = _LINE_END.search(text)
    end = ends.group() if ends else "\n"
    added = "".join("%s=%s%s" % (key, values[key], end) for key in values if key not in found)
    whole = not added or not text.strip("\ufeff") or text.endswith(("\r", "\n"))
    return text + ("" if whole else end) + added


def _next_line(text: str, at: int) -> int:
    ends = _LINE_END.search(text, at)
    return ends.end() if ends else len(text)
