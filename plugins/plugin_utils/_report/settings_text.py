# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of settings for a terminal: servers with the same rows together, the worst last, next to the summary."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence, Tuple

from . import settings
from .lines import LEAST, SYMBOLS, Line, named, wrapped
from .settings import Setting
from .words import printable

GROUPS = 30  # more of them nobody reads
_CHANGE = 28  # characters: a longer one, such as a command, stands on lines of its own
_MORE = "... and %d more; with oncall_report_dir each server's file has its settings"


def table(found: Mapping[str, Sequence[Setting]], width: int) -> List[Line]:
    """``found``: the rows of each host; nothing where there are none."""
    counts = settings.counts(found)
    if not counts:
        return []
    lines: List[Line] = [[], [("── ", None), ("Settings", None), (" " + "─" * (width - 12), None)]]
    hosts = sum(number for number, _row in counts)
    if hosts > 1:
        said = ", ".join(settings.counted(*each) for each in counts)
        lines += wrapped("%d servers: %s" % (hosts, said), width, "  ")
    groups = settings.groups(found)
    if hosts == 1 and not groups:
        lines.append([("  unchanged", "skip")])
    left = sum(len(group.hosts) for group in groups[GROUPS:])
    if left:
        lines += wrapped(_MORE % left, width, "  ", "skip")
    rows = [row for group in groups[:GROUPS] for row in group.rows]
    columns = _columns(rows, width) if rows else None
    for group in reversed(groups[:GROUPS]):
        status = group.worst.shown.status
        lines += named([printable(host) for host in group.hosts], width, "  %s " % SYMBOLS[status], status)
        for row in group.rows:
            lines += _row(row, columns, width)
    return lines


def _columns(rows: Sequence[Setting], width: int) -> Optional[Tuple[int, int]]:
    """The widths of name and change; None where there is no room for columns."""
    name = max(len(printable(row.name)) for row in rows)
    change = max((len(row.change) for row in rows if len(row.change) <= _CHANGE), default=0)
    return (name, change) if 4 + name + 2 + change + 2 + LEAST <= width else None


def _row(row: Setting, columns: Optional[Tuple[int, int]], width: int) -> List[Line]:
    said = row.shown.said + (": %s" % printable(row.why) if row.why else "")
    if columns and len(row.change) <= columns[1]:
        head = "    %s  %s  " % (printable(row.name).ljust(columns[0]), row.change.ljust(columns[1]))
        above: List[Line] = []
    else:
        head = " " * 6
        change = printable(row.name) + (": %s" % row.change if row.change else "")
        above = wrapped(change, width, "    ", indent=head)
    # The state alone has the colour.
    return above + [[(lead[0], None), piece] for lead, piece in wrapped(said, width, head, row.shown.status)]
