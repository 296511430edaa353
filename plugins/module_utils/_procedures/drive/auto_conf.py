# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ALTER SYSTEM of a server that is down: rows of postgresql.auto.conf are replaced, as the server would do it.

PostgreSQL's manual, "Parameter Interaction via the Configuration File": that file holds what ALTER SYSTEM has set, one
row a setting, and is not meant to be edited by hand while the server can do it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Sequence

from ..._core.errors import TargetError
from ..._core.text import line

if TYPE_CHECKING:
    from ..._gather.runtime.base import Completed

    Run = Callable[[Sequence[str]], Completed]  # works as the server's user, where its data directory is

ALTER_SH = r"""
# $1: the data directory; $2: rows to be added; then the names, as they stand in the file, whose rows are taken out.
# Prints the rows that were taken out.
umask 077
data=$1 added=$2; shift 2
file=$data/postgresql.auto.conf
[ -f "$file" ] || { echo "$file is not a file" >&2; exit 3; } # instead of a link comes a file, as by ALTER SYSTEM
new=$file.tmp # the server's own name for it: ALTER SYSTEM writes over one that is left, a base backup leaves it out
altered() {
    while IFS= read -r row || [ -n "$row" ]; do
        name=$row
        while :; do case $name in [[:blank:]]*) name=${name#?} ;; *) break ;; esac; done
        name=${name%%[[:blank:]=]*}
        for each; do
            [ "$name" != "$each" ] || { printf '%s\n' "$row" >&3; continue 2; }
        done
        printf '%s\n' "$row" || return 1
    done
    [ -z "$added" ] || printf '%s\n' "$added"
}
to_disk() { sync "$1" || sync; } 2>/dev/null
cp -p "$file" "$new" || exit 4 # with its owner and mode
altered "$@" <"$file" 3>&1 >"$new" || { echo "$new could not be written" >&2; exit 4; }
to_disk "$new"
mv -f "$new" "$file" || exit 4
to_disk "$data"
exit 0
"""

_ROW = re.compile(r"\s*([^\s=#]+)\s*=?\s*(.*?)\s*$")  # PostgreSQL's manual, 20.1.2: the equal sign is optional
_QUOTED = re.compile(r"'((?:[^'\\]|''|\\.)*)'")
_ESCAPED = re.compile(r"''|\\([0-7]{1,3}|.)")
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def read(run: Run, directory: str) -> Dict[str, str]:
    """Value by name, both as they stand there, but for the quotes; of two rows the last counts."""
    done = run(["cat", "%s/postgresql.auto.conf" % directory])
    if done.code:
        raise TargetError(line(done.err or done.out) or "exit code %d" % done.code)
    return texts(_rows(done.out))


def alter(run: Run, directory: str, taken: Sequence[str], added: Mapping[str, str]) -> List[Dict[str, str]]:
    """``taken``: names as they stand in the file; ``added``: value by name.

    -> [{name, value}], the rows that were taken out, as they were written.
    """
    written = "\n".join("%s = %s" % (name, quoted(value)) for name, value in added.items())
    done = run(["sh", "-c", ALTER_SH, "oncall", directory, written, *taken])
    if done.code:
        raise TargetError(
            "%s/postgresql.auto.conf could not be changed: %s"
            % (directory, line(done.err or done.out) or "exit code %d" % done.code),
            "It is as it was. Correct it by hand.",
        )
    return _rows(done.out)


def texts(rows: Sequence[Mapping[str, str]]) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for row in rows:
        found.pop(row["name"], None)  # the last one comes last
        found[row["name"]] = unquoted(row["value"])
    return found


def quoted(value: str) -> str:
    """As the server writes it."""
    return "'%s'" % value.replace("\\", "\\\\").replace("'", "''")


def unquoted(written: str) -> str:
    """As the server reads it."""
    found = _QUOTED.match(written)
    if found is None:
        return written.partition("#")[0].strip()
    return _ESCAPED.sub(_meant, found.group(1))


def _meant(found: "re.Match[str]") -> str:
    after = found.group(1)
    if after is None:
        return "'"
    return chr(int(after, 8)) if after.isdigit() and after < "8" else _CONTROL.get(after, after)


def _rows(text: str) -> List[Dict[str, str]]:
    found = [_ROW.match(row) for row in text.splitlines()]
    return [{"name": row.group(1), "value": row.group(2)} for row in found if row]
