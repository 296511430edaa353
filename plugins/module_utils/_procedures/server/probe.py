# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would it start again? The server's own binary is asked, by a probe: a second server with the configuration that a
restart would read, on a new and empty data directory and another port. Pure: the script, and what its answer means.

What a probe must not do is overridden: archive, log into the server's files, run background workers, need the memory
of two servers where there is none. What cannot be probed is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ..._core.mask import mask
from ..._core.text import line
from ..._gather.shell import PROGRAMS_PART
from ..._judge.refused import meant

# Arguments: the programs' directory, the directory of the configuration, the data directory, how many seconds it may
# take to start, a port, "small" where a second server's memory is not to be had, then the server's own arguments.
PROBE_SH = (
    PROGRAMS_PART
    + r"""
cd / || exit 3 # a program of ours that works in the data directory would be taken for a second server of it
LC_ALL=C; PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export LC_ALL PATH
unset PGDATA
nl='
'
bin=$1 home=$2 data=$3 patience=$4 port=$5 small=$6; shift 6
work=; status=unprobed; said=; facts=; port_is_its_own=

fact() { facts="$facts$1 $2$nl"; }
pause() { sleep 0.1 2>/dev/null || sleep 1; }
ended() { [ ! -e "$work/pid" ] || [ -e "$work/code" ]; }
end() { # ask the probe to end, and wait
    ended && return
    kill "-$1" "$(cat "$work/pid")" 2>/dev/null
    turns=0; until ended || [ $turns -ge 100 ]; do pause; turns=$((turns + 1)); done
}
tidy() {
    trap '' HUP INT TERM
    [ -n "$work" ] || return
    end INT; end QUIT
    if ended; then case $work in */oncall-probe.??????) rm -rf "$work" ;; esac; work=; fi
}
finish() {
    tidy
    printf 'oncall-probe %s\n%s\n%s\n' "$status" "$facts" "$said"
    exit 0
}
unprobed() { status=unprobed; said=$1; finish; }
trap tidy EXIT
trap 'exit 3' HUP INT TERM

# --- a place, an empty data directory --------------------------------------------------------------------------------
read -r version <"$data/PG_VERSION" || unprobed "$data/PG_VERSION cannot be read"
if ! [ -x "$bin/postgres" ]; then programs "$version"; bin=$(command -v postgres) && bin=${bin%/*}; fi
[ -n "$bin" ] && [ -x "$bin/initdb" ] || unprobed "initdb was not found beside the server"
control=$("$bin/pg_controldata" -D "$data" 2>/dev/null)
number() { # of a line "$1: number" of pg_controldata
    found=; case $control in *"$1:"*) found=${control#*"$1:"}; found=${found%%"$nl"*}; found=${found##* } ;; esac
    case $found in *[!0-9]*) found= ;; esac
}
number 'Bytes per WAL segment'; segment=$((${found:-16777216} / 1048576))
needed=$((100 + 3 * segment))
for place in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm; do
    free=$(df -Pk "$place" 2>/dev/null | { read -r _; read -r _ _ _ free _; echo "$free"; })
    case $free in ''|*[!0-9]*) continue ;; esac
    [ $((free / 1024)) -ge $needed ] || continue
    work=$(mktemp -d "$place/oncall-probe.XXXXXX" 2>/dev/null) && break
done
[ -n "$work" ] || unprobed "no temporary directory has the $needed MB that it takes"
fact work "$work/data"
"$bin/initdb" -D "$work/data" -U postgres -A trust -E UTF8 --no-locale --no-sync --wal-segsize="$segment" \
    >"$work/log" 2>&1 </dev/null || unprobed "initdb failed: $(tail -n 3 "$work/log")"
if [ -e "$data/postgresql.auto.conf" ]; then
    cat "$data/postgresql.auto.conf" >"$work/data/postgresql.auto.conf" 2>/dev/null ||
        unprobed "$data/postgresql.auto.conf cannot be read"
fi

# --- the configuration ------------------------------------------------------------------------------------------------
value() { # of the setting that the last argument names, in $got
    got=$("$bin/postgres" "$@" 2>"$work/log" </dev/null) && return
    got=; return 1
}
must() { value "$@" || { status=refused; said=$(cat "$work/log"); finish; }; }
must "$@" -D "$home" -C config_file; file=$got
must "$@" -D "$home" -C hba_file; hba=$got
must "$@" -D "$home" -C max_worker_processes; workers=$got
must "$@" -D "$home" -C ident_file
set -- "$@" -D "$work/data" -c config_file="$file" -c hba_file="$hba" -c ident_file="$got" \
    -c data_directory="$work/data" -c external_pid_file="$work/external" -c logging_collector=off \
    -c log_destination=stderr \
    -c log_min_messages=warning -c log_error_verbosity=default -c log_line_prefix= -c lc_messages=C \
    -c cluster_name=oncall_probe -c fsync=off -c wal_sync_method=fdatasync -c archive_command= \
    -c autovacuum=off -c max_worker_processes=0 -c max_logical_replication_workers=0 -c restart_after_crash=off
# The archiver's library is new in 15; before it, statistics are in files that one server has for itself.
if [ "$version" -ge 15 ]; then set -- "$@" -c archive_library=; else set -- "$@" -c stats_temp_directory=pg_stat_tmp; fi

for name in wal_level max_replication_slots max_prepared_transactions; do
    must "$@" -C $name; fact value "$name $got"
done
if [ -e "$data/standby.signal" ] || [ -e "$data/recovery.signal" ]; then
    for name in max_connections max_worker_processes max_wal_senders max_prepared_transactions \
        max_locks_per_transaction; do
        case $name in
            max_prepared_transactions) number 'max_prepared_xacts setting' ;;
            max_locks_per_transaction) number 'max_locks_per_xact setting' ;;
            *) number "$name setting" ;;
        esac
        must "$@" -C $name
        [ $name != max_worker_processes ] || got=$workers
        [ -z "$found" ] || [ "$got" -ge "$found" ] || fact primary "$name $got $found"
    done
fi

must "$@" -C ssl
if [ "$got" = on ]; then # relative to the data directory
    for name in ssl_cert_file ssl_key_file ssl_ca_file ssl_crl_file ssl_crl_dir ssl_dh_params_file; do
        value "$@" -C $name || continue
        case $got in ''|/*) ;; *) set -- "$@" -c "$name=$data/$got" ;; esac
    done
fi

# Volumes are read-only in a toolbox, where a socket may be.
must "$@" -C unix_socket_directories; rest=$got, places=; replaced=
while [ -n "$rest" ]; do
    place=${rest%%,*}; rest=${rest#*,}
    while :; do case $place in ' '*) place=${place# } ;; *' ') place=${place% } ;; *) break ;; esac; done
    path=${place#\"}; path=${path%\"}
    if [ -d "$path" ] && ! [ -w "$path" ]; then
        attempt=$( (: >"$path/.oncall-probe") 2>&1)
        case $attempt in
            *Read-only*) replaced=1; place=$work; fact note "the socket directory $path (on a volume)" ;;
        esac
    fi
    [ -z "$place" ] || places=${places:+$places,}$place
done
[ -z "$replaced" ] || set -- "$@" -c unix_socket_directories="$places"

must "$@" -C port
running=; number=0
while read -r text; do number=$((number + 1)); [ $number != 4 ] || running=$text; done \
    2>/dev/null <"$data/postmaster.pid"
if [ -n "$running" ] && [ "$running" != "$got" ]; then port=$got; port_is_its_own=1; fi

# --- memory: never take what the running server, or its host, cannot spare -------------------------------------------
of_memory() { # MB of a line of /proc/meminfo
    mb=0
    while read -r name amount _; do [ "$name" != "$1:" ] || mb=$((amount / 1024)); done 2>/dev/null </proc/meminfo
}
needs() { # MB of shared memory
    value "$@" -C block_size || got=8192
    block=$((got / 1024))
    value "$@" -C shared_buffers || got=16384
    need=$((got * block / 1024))
    if [ "$version" -ge 15 ] && value "$@" -C shared_memory_size; then need=$got; fi
}
small_memory=$small
read_one() { got=0; read -r got 2>/dev/null <"$1"; }
value "$@" -C huge_pages; huge=$got
needs "$@"
of_memory MemTotal; all=$mb; of_memory SwapTotal; all=$((all + mb)); of_memory MemAvailable; left=$mb
mode=0; read -r mode 2>/dev/null </proc/sys/vm/overcommit_memory
if [ "$mode" = 2 ]; then
    of_memory CommitLimit; all=$mb; of_memory Committed_AS; mb=$((all - mb)); [ $mb -ge $left ] || left=$mb
fi
if [ -n "$small_memory" ]; then
    :
elif [ "$huge" = on ]; then
    value "$@" -C huge_page_size || got=0
    kb=$got
    [ "$kb" != 0 ] || while read -r name amount _; do [ "$name" != Hugepagesize: ] || kb=$amount; done </proc/meminfo
    pool=/sys/kernel/mm/hugepages/hugepages-${kb}kB
    if [ -d "$pool" ] && [ "$kb" != 0 ]; then
        read_one "$pool/nr_hugepages"; pages=$got; read_one "$pool/free_hugepages"; spare=$got
        read_one "$pool/resv_hugepages"; spare=$((spare - got)); read_one "$pool/nr_overcommit_hugepages"
        spare=$((spare + got)); pages=$((pages + got)); read_one "$pool/surplus_hugepages"; spare=$((spare - got))
        wanted=$((need * 1024 / kb + 1))
        if [ "$wanted" -le "$pages" ] && [ "$wanted" -gt "$spare" ]; then
            small_memory=1; fact note "huge_pages: it takes $wanted, and $spare are free beside the running server"
        fi
    fi
else
    set -- "$@" -c huge_pages=off
    # More than there is at all is refused by the kernel at once, unless it is told to refuse nothing.
    if [ "$need" -gt "$left" ] && { [ "$need" -le "$all" ] || [ "$mode" = 1 ]; }; then
        small_memory=1; fact note "$need MB of shared memory: $left MB are free beside the running server"
    fi
fi
if [ -n "$small_memory" ]; then
    set -- "$@" -c huge_pages=off -c shared_buffers=16MB
    needs "$@"
    [ "$need" -le "$left" ] || unprobed "it takes $need MB of shared memory, and $left MB are free"
fi

# --- the start --------------------------------------------------------------------------------------------------------
ready() { # line 8 of its lock file, since PostgreSQL 10
    number=0; state=
    while read -r text; do number=$((number + 1)); [ $number != 8 ] || state=$text; done \
        2>/dev/null <"$work/data/postmaster.pid"
    case $state in ready*|standby*) ;; *) false ;; esac
}
attempts=0
while :; do
    rm -f "$work/code" "$work/pid"
    { # ends with the probe, whatever becomes of us
        sh -c 'echo $$ >"$0" && exec "$@"' "$work/pid" "$bin/postgres" "$@" -c port="$port" >"$work/log" 2>&1 </dev/null
        echo $? >"$work/ended"; mv "$work/ended" "$work/code"
    } >/dev/null 2>&1 &
    until=$(($(date +%s) + patience))
    until [ -e "$work/code" ] || ready || [ "$(date +%s)" -ge $until ]; do pause; done
    if [ -e "$work/code" ]; then
        said=$(tail -c 20000 "$work/log"); status=refused
        attempts=$((attempts + 1))
        case $said in
            *'ddress already in use'*)
                if [ -z "$port_is_its_own" ] && [ $attempts -lt 4 ]; then port=$((port + 11)); continue; fi ;;
        esac
        fact code "$(cat "$work/code")"
    elif ready; then
        said=$(tail -c 20000 "$work/log"); status=started
    else
        unprobed "it was not ready after $patience s"
    fi
    break
done
finish
"""
)
STARTED, REFUSED, UNPROBED = "started", "refused", "unprobed"
_RECORD = re.compile(r"(LOG|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT):  (.*)")


@dataclass(frozen=True)
class Probe:
    """``said``: what the binary refused with, its FATAL. ``notes``: what was not, or could not be probed."""

    status: str = UNPROBED
    said: str = ""
    hint: str = ""
    notes: Tuple[str, ...] = ()

    @property
    def of_memory(self) -> bool:
        return any(word in self.said for word in ("memory", "semaphores", "SIGKILL"))


def read(out: str, data_directory: str, slots: Sequence[Mapping[str, Any]] = (), prepared: int = 0) -> Probe:
    """What ``PROBE_SH`` printed. ``slots`` and ``prepared`` (transactions) are in the real directory, not in its."""
    head, _blank, text = out.partition("\n\n")
    first, *rows = head.split("\n")
    if not first.startswith("oncall-probe "):
        return unprobed(line(out) or "the probe returned nothing")
    facts = [row.partition(" ")[::2] for row in rows]
    values = dict(value.split(" ", 1) for kind, value in facts if kind == "value" and " " in value)
    notes = tuple("Not probed: %s." % mask(value) for kind, value in facts if kind == "note")
    work = next((value for kind, value in facts if kind == "work"), "")
    text = text.replace(work, data_directory) if work else text
    status = first.partition(" ")[2]
    if status == UNPROBED:
        return unprobed(text, notes)
    said = contradictions(values, slots, prepared) + [
        "%s is %s, but its primary had %s" % tuple(value.split(" ", 2)) for kind, value in facts if kind == "primary"
    ]
    if status == STARTED and not said:
        return Probe(STARTED, notes=notes + tuple(_warnings(text)))
    if said:
        return Probe(REFUSED, said[0], "", notes)
    return Probe(REFUSED, *_refusal(text, next((value for kind, value in facts if kind == "code"), "")), notes)


def unprobed(why: str, notes: Tuple[str, ...] = ()) -> Probe:
    text = "Whether it would start again could not be probed: %s." % line(mask(why)).rstrip(".")
    return Probe(UNPROBED, notes=(text, *notes))


def contradictions(values: Mapping[str, str], slots: Sequence[Mapping[str, Any]], prepared: int) -> List[str]:
    """What an empty data directory does not refuse, and the real one would (slot.c, twophase.c)."""
    found = []
    if slots and values.get("wal_level") == "minimal":
        found.append("replication slot %s exists, but wal_level is minimal" % slots[0]["name"])
    logical = [slot for slot in slots if slot["type"] == "logical"]
    if logical and values.get("wal_level") == "replica":
        found.append("logical replication slot %s exists, but wal_level is replica" % logical[0]["name"])
    for name, count, what in (
        ("max_replication_slots", len(slots), "replication slots exist"),
        ("max_prepared_transactions", prepared, "transactions are prepared"),
    ):
        if values.get(name, "").isdigit() and int(values[name]) < count:
            found.append("%s is %s, but %d %s" % (name, values[name], count, what))
    return found


def waited_for(said: str, waiting: Sequence[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """Of the settings that wait for a restart, those that the server's words name, else those that they mean."""
    names = meant(said, [each["name"] for each in waiting])
    return [each for each in waiting if each["name"] in names]


def advice(said: str, waiting: Sequence[Mapping[str, Any]], waits: str = "waits") -> str:
    """``It refuses wal_level (waits for this restart). Correct it in ...``; nothing where nothing waits."""
    found = waited_for(said, waiting) or list(waiting)
    if not found:
        return ""
    return "It refuses %s (%s for this restart). Correct %s" % (
        " or ".join(each["name"] for each in found),
        waits,
        " or ".join(place(each) for each in found[:3]),
    )


def place(setting: Mapping[str, Any]) -> str:
    """Where to correct it: ``wal_level in /data/postgresql.auto.conf line 3 (minimal; it was replica)``."""
    was = "it was %s" % (setting["current"] or "empty")
    if not setting["file"]:
        return "%s, which is in no file any more (%s)" % (setting["name"], was)
    return "%s in %s line %s (%s; %s)" % (setting["name"], setting["file"], setting["line"], setting["setting"], was)


def _records(text: str) -> List[Tuple[str, str]]:
    found: List[Tuple[str, str]] = []
    for row in text.split("\n"):
        match = _RECORD.match(row)
        if match:
            found.append((match.group(1), match.group(2)))
        elif row.startswith("\t") and found:
            found[-1] = (found[-1][0], "%s %s" % (found[-1][1], row.strip()))
    return found


def _refusal(text: str, code: str) -> Tuple[str, str]:
    """(the FATAL with what led to it, its HINT)."""
    records = _records(text)
    at = next((at for at, each in enumerate(records) if each[0] in ("FATAL", "PANIC")), None)
    if at is None:
        if code == "137":  # nobody but the kernel does that to it
            return "it was killed by SIGKILL while it started: its memory limit is too low", ""
        return line(mask(text), 400) or "exit code %s" % code, ""
    before = [said for severity, said in records[:at] if severity == "LOG" and _bad(said)]
    after: Dict[str, str] = {}
    for severity, said in records[at + 1 :]:
        if severity not in ("DETAIL", "HINT", "CONTEXT"):
            break
        after[severity] = said
    more = [each for each in [*before[-2:], after.get("DETAIL", "")] if each]
    said = "%s: %s%s" % (*records[at], " (%s)" % "; ".join(more) if more else "")
    return line(mask(said), 400), line(mask(after.get("HINT", "")), 400)


def _warnings(text: str) -> List[str]:
    """It starts, but not on each of its addresses."""
    return [
        "It would start, but: %s." % line(mask(said)).rstrip(".")
        for severity, said in _records(text)
        if (severity == "WARNING" and "could not" in said) or (severity == "LOG" and "could not bind" in said)
    ]


def _bad(said: str) -> bool:
    return any(word in said for word in ("could not", "error", "invalid", "unrecognized"))
