# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ALTER SYSTEM RESET of a server that is down: rows of postgresql.auto.conf are taken out, as the server would do it.

PostgreSQL's manual, "Parameter Interaction via the Configuration File": that file holds what ALTER SYSTEM has set, one
row a setting, and is not meant to be edited by hand while the server can do it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, Dict, List, Sequence

from ..._core.errors import TargetError
from ..._core.text import line

if TYPE_CHECKING:
    from ..._gather.runtime.base import Completed

RESET_SH = r"""
# $1: the data directory; then the names as they stand in the file. Prints the rows that were taken out.
umask 077
data=$1; shift
file=$data/postgresql.auto.conf
[ -f "$file" ] || { echo "$file is not a file" >&2; exit 3; } # instead of a link comes a file, as by ALTER SYSTEM
new=$file.tmp # the server's own name for it: ALTER SYSTEM writes over one that is left, a base backup leaves it out
rest() {
    while IFS= read -r row || [ -n "$row" ]; do
        name=$row
        while :; do case $name in [[:blank:]]*) name=${name#?} ;; *) break ;; esac; done
        name=${name%%[[:blank:]=]*}
        for each; do
            [ "$name" != "$each" ] || { printf '%s\n' "$row" >&3; continue 2; }
        done
        printf '%s\n' "$row" || return 1
    done
}
to_disk() { sync "$1" || sync; } 2>/dev/null
cp -p "$file" "$new" || exit 4 # with its owner and mode
rest "$@" <"$file" 3>&1 >"$new" || { echo "$new could not be written" >&2; exit 4; }
to_disk "$new"
mv -f "$new" "$file" || exit 4
to_disk "$data"
exit 0
"""


_ROW = re.compile(r"\s*([^\s=]+)\s*=?(.*)")  # PostgreSQL's manual, 20.1.2: the equal sign is optional


def reset(run: Callable[[Sequence[str]], Completed], directory: str, names: Sequence[str]) -> List[Dict[str, str]]:
    """``run`` works as the server's user, where its data directory is. -> [{name, value}], as they were set."""
    done = run(["sh", "-c", RESET_SH, "oncall", directory, *names])
    if done.code:
        raise TargetError(
            "%s/postgresql.auto.conf could not be changed: %s"
            % (directory, line(done.err or done.out) or "exit code %d" % done.code),
            "It is as it was. Correct it by hand.",
        )
    rows = [_ROW.match(row) for row in done.out.splitlines()]
    return [{"name": row.group(1), "value": row.group(2).strip()} for row in rows if row]
