# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several shell scripts have in common."""

from __future__ import annotations

# A lock file outlives a server that crashed, and its pid may be anybody's by now. Where a process works can be seen by
# its own user and by root; where it is hidden, a server is taken for the right one.
RUNS_IN_PART = r"""
runs_in() { # whether process $1 is a server of the data directory $2
    case $1 in ''|*[!0-9]*) return 1 ;; esac
    comm=; read -r comm <"/proc/$1/comm"
    case $comm in postgres|postmaster|edb-postgres) ;; *) return 1 ;; esac
    state=
    while read -r key value _; do
        case $key in State:) state=$value; break ;; esac
    done <"/proc/$1/status"
    case $state in ''|Z|X) return 1 ;; esac
    [ ! -d "/proc/$1/cwd/" ] || [ "/proc/$1/cwd" -ef "$2" ]
} 2>/dev/null
"""

# Debian, Red Hat, Alpine, then what a build from source does.
PROGRAMS_PART = r"""
programs() { # in PATH: those of version $1 (where it is known) first, those of any version last, the newest first
    for each in "/usr/lib/postgresql/$1/bin" "/usr/pgsql-$1/bin" "/usr/libexec/postgresql$1"; do
        if [ -n "$1" ] && [ -d "$each" ]; then PATH=$each:$PATH; fi
    done
    rest=
    for each in /usr/pgsql-*/bin /usr/lib/postgresql/*/bin /usr/local/pgsql/bin /usr/local/bin; do
        if [ -d "$each" ]; then rest=:$each$rest; fi
    done
    PATH=$PATH$rest
}
"""
