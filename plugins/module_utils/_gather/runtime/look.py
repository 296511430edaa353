# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server stands on, read by one POSIX shell script: where the server runs, or beside its stopped files.

The script uses builtins where it can, for a process costs a millisecond: eight commands for a running server, two
more for a stopped one. It writes sections: a line ``TOKEN name``, what a command said (standard output and error
together), a line ``TOKEN = exit code``. The random token, given in the first line, keeps any content from being taken
for a separator.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import shlex
import struct
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Sequence, Set, Tuple, TypedDict

from ..._core.mask import mask
from ..._core.numbers import whole
from ..._core.times import utc
from ..shell import PROGRAMS_PART

if TYPE_CHECKING:
    from ..._model.facts import Cluster, Configuration, ControlData, DataDirectory, Disk, Listening, LockFile


class Look(TypedDict):
    """What the script brought back; null or empty where a reading failed (``errors``: reading -> what it said)."""

    data_directory: Optional[DataDirectory]
    program_version: Optional[str]  # null unless asked with ``stopped``
    other_clusters: List[Cluster]
    disks: List[Disk]
    lock_file: Optional[LockFile]
    control: Optional[ControlData]
    configuration: Optional[Configuration]  # null unless asked with ``stopped``
    altered_settings: Optional[List[str]]  # null unless asked with ``stopped``
    system_identifier: Optional[str]
    settings: Dict[str, str]  # of a server that is down: where it would listen
    listening: Optional[List[Listening]]
    nofile_soft: Optional[int]
    nofile_hard: Optional[int]
    log_text: Optional[str]  # the last lines of the collector's log file, unmasked: give it to _log.classify only
    log_path: Optional[str]
    postmaster_cwd: Optional[str]  # the data directory of the running postmaster, by /proc
    errors: Dict[str, str]


_LOOK_SH = (
    PROGRAMS_PART
    + r"""
cd / || exit 0 # a program of ours that works in a data directory would be taken for a second server of it
LC_ALL=C; PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export LC_ALL PATH
nl='
'
unset uid ppid state pm pm_uid cwd line version owner entries exe log run_uid run_gid run_name
section() { printf '\n%s %s\n' "$T" "$1"; }
result() { printf '\n%s = %s\n' "$T" "$1"; }
first_line() { line=; [ -f "$1" ] && [ -r "$1" ] && IFS= read -r line <"$1"; }
is_server() {
    comm=; read -r comm <"/proc/$1/comm" && case $comm in postgres|postmaster) ;; *) false ;; esac
} 2>/dev/null
identity() { # of a process: uid, ppid, state
    uid=; ppid=; state=
    while read -r key value _; do
        case $key in State:) state=$value ;; PPid:) ppid=$value ;; Uid:) uid=$value; break ;; esac
    done <"/proc/$1/status"
} 2>/dev/null
is_postmaster() {
    is_server "$1" && identity "$1" || return 1
    case $state in Z|X) return 1 ;; esac
    ! is_server "$ppid"
}
as_server() { # run the command string $1 as the user $run_uid, by what this system has for it
    if [ "$me" != 0 ]; then sh -c "$1" 2>&1; return; fi
    for how in setpriv gosu su-exec runuser su chroot; do
        command -v "$how" >/dev/null || continue
        case $how in
            setpriv) said=$(setpriv --reuid "$run_uid" --regid "$run_gid" --clear-groups sh -c "$1" 2>&1) ;;
            gosu|su-exec) said=$("$how" "$run_uid:$run_gid" sh -c "$1" 2>&1) ;;
            chroot) said=$(chroot --userspec="$run_uid:$run_gid" / sh -c "$1" 2>&1) ;;
            *) [ -n "$run_name" ] || continue; said=$("$how" -s /bin/sh -c "$1" "$run_name" 2>&1) ;;
        esac
        code=$?
        case $said in "$how: "*) continue ;; esac
        printf '%s\n' "$said"; return "$code"
    done
    echo "oncall: no way to run a command as uid $run_uid"; return 126
}

identity $$; me=$uid
postgres_uid=
# which process is the postmaster, and which directory is its own
at_home() { [ ! -d "/proc/$1/cwd/" ] || [ "/proc/$1/cwd" -ef "$D" ]; } # hidden: it may be
if [ -n "$D" ]; then # its number may be that of another directory's server by now
    first_line "$D/postmaster.pid"
    case $line in ''|*[!0-9]*) ;; *) is_postmaster "$line" && at_home "$line" && pm=$line ;; esac
fi
if [ -z "$pm" ]; then
    for p in /proc/[0-9]*; do
        p=${p#/proc/}; is_postmaster "$p" || continue
        if [ -z "$D" ] || [ "/proc/$p/cwd" -ef "$D" ]; then pm=$p; break; fi
    done
fi
if [ -n "$pm" ]; then
    identity "$pm"; pm_uid=$uid; run_uid=$uid
    cwd=$(cd -P "/proc/$pm/cwd" 2>/dev/null && pwd -P 2>/dev/null)
fi
while IFS=: read -r name _ uid gid _; do
    [ "$name" = postgres ] && postgres_uid=$uid
done 2>/dev/null </etc/passwd
find_group() {
    run_name=; run_gid=
    while IFS=: read -r name _ uid gid _; do
        [ "$uid" = "$run_uid" ] && { run_name=$name; run_gid=$gid; break; }
    done 2>/dev/null </etc/passwd
    [ -n "$run_gid" ] || run_gid=$run_uid
}
if [ -n "$pm" ] && [ -z "$cwd" ]; then # root without CAP_SYS_PTRACE may not see it, the server's own user may
    find_group; cwd=$(as_server "cd -P /proc/$pm/cwd && pwd -P")
    case $cwd in /*) ;; *) cwd= ;; esac
fi
if [ -z "$D" ]; then
    D=$cwd
    if [ -z "$D" ] && [ -n "$pm" ]; then
        D=$(tr '\0' '\n' <"/proc/$pm/cmdline" | while IFS= read -r word; do
            [ "$next" = 1 ] && { printf '%s' "$word"; break; }
            case $word in -D) next=1 ;; -D?*) printf '%s' "${word#-D}"; break ;; esac
        done)
    fi
    [ -n "$D" ] || D=$PGDATA
fi

section where
printf '%s\n' "directory=$D" "postmaster=$pm" "postmaster_uid=$pm_uid" "cwd=$cwd" "postgres_uid=$postgres_uid"
result 0

if [ -n "$D" ]; then
    section stat
    said=$(stat -L -c '%a %u %g %d %Y %n' "$D" "$D/pg_wal" "$D/PG_VERSION" "$D/global/pg_control" 2>&1)
    printf '%s\n' "$said"
    result 0
    owner=${said#* }; owner=${owner%% *}
    case $owner in ''|*[!0-9]*) owner= ;; esac

    section directory
    first_line "$D/PG_VERSION"; version=$line
    case $version in *[!0-9.]*) version= ;; esac
    printf 'version=%s\n' "$version"
    if [ -d "$D" ] && [ -r "$D" ] && [ -x "$D" ]; then
        entries=0
        for f in "$D"/* "$D"/.[!.]* "$D"/..?*; do
            if [ -e "$f" ] || [ -L "$f" ]; then entries=$((entries + 1)); fi
        done
        printf 'entries=%s\n' "$entries"
    fi
    for f in standby recovery; do [ -e "$D/$f.signal" ] && printf '%s=1\n' "$f"; done
    [ -e "$D/backup_label" ] && echo backup_label=1
    for f in global global/pg_control base pg_wal; do [ -e "$D/$f" ] && printf 'holds_%s=1\n' "$f"; done
    if [ -r "$D/base" ] && [ -x "$D/base" ]; then
        databases=0
        for f in "$D"/base/[0-9]*; do [ -d "$f" ] && databases=$((databases + 1)); done
        printf 'databases=%s\n' "$databases"
    fi
    result 0

    if [ -z "$version" ] && [ -n "$M" ]; then
        section clusters
        printf '%s\n' "$M" | while IFS= read -r mount; do
            for f in "$mount" "$mount/data" "$mount"/*/docker; do
                first_line "$f/PG_VERSION"
                case $line in ''|*[!0-9.]*) ;; *) printf '%s=%s\n' "$line" "$f" ;; esac
            done
        done
        result 0
    fi

    wal=; [ -d "$D/pg_wal" ] && wal=$D/pg_wal
    section space; df -Pk "$D" ${wal:+"$wal"} 2>&1; result $?
    section statfs; stat -f -c '%S %b %a %c %d %n' "$D/." ${wal:+"$wal/."} 2>&1; result $?

    if [ -e "$D/postmaster.pid" ]; then
        section lock
        { while IFS= read -r line || [ -n "$line" ]; do printf '%s\n' "$line"; done <"$D/postmaster.pid"; } 2>&1
        result $?
        first_line "$D/postmaster.pid"; pid=${line#-}
        case $pid in
            ''|*[!0-9]*) ;;
            *)
                section alive
                identity "$pid" # a zombie is as good as gone
                case $state in
                    Z|X) echo 0 ;;
                    ?) echo 1 ;;
                    *) if kill -0 "$pid" 2>/dev/null; then echo 1; else echo 0; fi ;;
                esac
                result 0 ;;
        esac
    fi
fi

# the server's own programs
has() { [ -n "$1" ] && [ -x "$1/pg_controldata" ] && [ -x "$1/postgres" ] && B=$1; }
if ! has "$B"; then
    B=
    if [ -n "$pm" ]; then
        exe=$(readlink "/proc/$pm/exe" 2>/dev/null); exe=${exe% (deleted)}; has "${exe%/*}"
    fi
    if [ -z "$B" ]; then
        programs "$version"; found=$(command -v pg_controldata) && has "${found%/*}"
    fi
fi

control=
if [ -n "$D" ] && { [ -f "$D/PG_VERSION" ] || [ -d "$D/global" ]; }; then
    section control
    if [ -n "$B" ]; then
        control=$("$B/pg_controldata" -D "$D" 2>&1); code=$?
        printf '%s\n' "$control"; result $code
    else
        echo "oncall: pg_controldata was not found"; result 127
    fi
fi
value_of() { # of a line "$1: value" in $control
    found=
    case $control in *"$1:"*) found=${control#*"$1:"}; found=${found%%"$nl"*}; found=${found##* } ;; esac
}
if [ -n "$STOPPED" ] && [ -n "$B" ]; then
    section program; "$B/postgres" -V 2>&1; result $?
fi
if [ -n "$STOPPED" ] && [ -n "$D" ] && [ -n "$B" ]; then
    value_of 'Latest checkpoint location'; lsn=$found
    value_of "Latest checkpoint's TimeLineID"; timeline=$found
    if [ -n "$lsn" ]; then
        section checkpoint
        if [ -x "$B/pg_waldump" ]; then
            "$B/pg_waldump" -p "$D/pg_wal" -t "$timeline" -s "$lsn" -n 1 2>&1; result $?
        else
            echo "oncall: pg_waldump was not found"; result 127
        fi
    fi
    if [ -d "$D" ]; then
        if [ -z "$run_uid" ]; then
            case $owner in ''|0) run_uid=$postgres_uid ;; *) run_uid=$owner ;; esac
        fi
        section configuration
        if [ -n "$run_uid" ] || [ "$me" != 0 ]; then
            find_group
            ONCALL_BIN=$B; ONCALL_DATA=$D; ONCALL_NAME=data_directory; export ONCALL_BIN ONCALL_DATA ONCALL_NAME
            as_server "$CHECK"; code=$?; result $code
            for ONCALL_NAME in port listen_addresses unix_socket_directories; do
                [ $code = 0 ] || break
                section "setting_$ONCALL_NAME"; as_server "$CHECK"; result $?
            done
        else
            echo "oncall: no user to run the server's program as"; result 126
        fi
    fi
    if [ -r "$D/postgresql.auto.conf" ]; then
        section altered # a row a setting, name = 'value'; a value may be secret
        while read -r line || [ -n "$line" ]; do
            line=${line%%[[:blank:]=]*}
            case $line in ''|\#*) ;; *) printf '%s\n' "$line" ;; esac
        done <"$D/postgresql.auto.conf"
        result $?
    fi
fi

section sockets
net=/proc/net; [ -n "$pm" ] && [ -r "/proc/$pm/net/tcp" ] && net=/proc/$pm/net
set --; for f in "$net/tcp" "$net/tcp6"; do [ -r "$f" ] && set -- "$@" "$f"; done
grep -h -E '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:0000 0A ' "$@" 2>&1; result $?
if [ -n "$pm" ]; then
    section descriptors
    said=$(ls -l "/proc/$pm/fd" 2>&1); code=$?
    if [ $code != 0 ] && [ "$me" = 0 ]; then find_group; said=$(as_server "ls -l /proc/$pm/fd"); code=$?; fi
    printf '%s\n' "$said"; result $code
    section limits
    {
        while read -r line; do
            case $line in 'Max open files'*) printf '%s\n' "$line" ;; esac
        done <"/proc/$pm/limits"
    } 2>&1
    result $?
fi

if [ -n "$D" ] && [ -r "$D/current_logfiles" ]; then
    log=
    while read -r kind path; do
        case $kind in stderr) log=$path ;; *) [ -n "$log" ] || log=$path ;; esac
    done 2>/dev/null <"$D/current_logfiles"
    case $log in ''|/*) ;; *) log=$D/$log ;; esac
    if [ -n "$log" ]; then
        section log_path; printf '%s\n' "$log"; result 0
        section log; tail -c "$LOG_BYTES" "$log" 2>&1; result $?
    fi
fi
exit 0
"""
)


def script(
    data_directory: Optional[str],
    bin_directory: Optional[str],
    stopped: bool,
    arguments: Sequence[str] = (),
    log_lines: int = 100,
    mounts: Sequence[str] = (),
) -> str:
    """The text for ``sh -c`` (dash, busybox, bash); it changes nothing, and always exits 0.

    ``data_directory`` None: that of the running postmaster, else ``$PGDATA``. ``stopped`` adds what only a server that
    is down needs (is the checkpoint readable, is the configuration valid), with the server's own ``arguments``.
    ``mounts``: where to look for a cluster if the data directory holds none.
    ``lock_file.pid_alive`` speaks of the pid namespace it runs in: run elsewhere (a toolbox), the caller knows better.
    """
    if arguments and arguments[0].rsplit("/", 1)[-1] in ("postgres", "postmaster"):
        arguments = arguments[1:]
    check = " ".join(
        ['exec "$ONCALL_BIN/postgres" -D "$ONCALL_DATA"']
        + [shlex.quote(word) for word in arguments]
        + ['-C "$ONCALL_NAME"']
    )
    token = "oncall-" + secrets.token_hex(8)
    settings = {
        "T": token,
        "D": data_directory or "",
        "B": bin_directory or "",
        "STOPPED": "1" if stopped else "",
        "CHECK": check,
        "M": "\n".join(mount for mount in mounts if "\n" not in mount),
        "LOG_BYTES": str(max(65536, 600 * log_lines)),
    }
    head = ["echo look %s %d" % (token, log_lines)]
    head += ["%s=%s" % (name, shlex.quote(value)) for name, value in settings.items()]
    return "\n".join(head) + _LOOK_SH


_SETTING = "setting_"


class _Section(TypedDict):
    text: str
    code: int


def parse(out: str) -> Look:
    """The script's output as facts; whatever is missing or strange becomes null, never an exception."""
    look: Look = {
        "data_directory": None,
        "program_version": None,
        "other_clusters": [],
        "disks": [],
        "lock_file": None,
        "control": None,
        "configuration": None,
        "altered_settings": None,
        "system_identifier": None,
        "settings": {},
        "listening": None,
        "nofile_soft": None,
        "nofile_hard": None,
        "log_text": None,
        "log_path": None,
        "postmaster_cwd": None,
        "errors": {},
    }
    head = re.search(r"^look (oncall-[0-9a-f]{16}) (\d{1,9})\r?$", out, re.MULTILINE)
    if head is None:
        look["errors"]["look"] = _brief(out) or "the script returned nothing"
        return look
    sections = _sections(out[head.end() :], head.group(1))
    where = _pairs(sections.get("where"))
    details = _pairs(sections.get("directory"))
    path = where.get("directory")
    stats = _stats(sections.get("stat"))
    look["postmaster_cwd"] = where.get("cwd")
    if path is None:
        look["errors"]["data_directory"] = "neither a running postmaster nor PGDATA shows where it is"
    else:
        look["data_directory"] = _data_directory(path, stats, where, details, sections.get("stat"), look["errors"])
        look["disks"] = _disks(path, stats, sections, look["errors"])
    look["program_version"] = _program_version(sections)
    look["other_clusters"] = [
        {"path": found, "version": version}
        for version, _equals, found in (row.partition("=") for row in _text(sections, "clusters").splitlines())
        if found
    ]
    look["lock_file"] = _lock_file(sections, look["errors"])
    if look["data_directory"] is not None and look["data_directory"]["exists"]:
        other_start = "standby" in details or "recovery" in details or "backup_label" in details
        written = stats.get("%s/global/pg_control" % path)
        look["control"] = _control(sections, written, other_start, look["errors"])
        look["configuration"] = _configuration(sections, look["errors"])
    if sections.get("altered", {"code": -1})["code"] == 0:
        look["altered_settings"] = [name.strip() for name in _text(sections, "altered").splitlines() if name.strip()]
    look["system_identifier"] = dict(_colon_pairs(_text(sections, "control"))).get("Database system identifier")
    # The last line: a warning may stand before it.
    look["settings"] = {
        name[len(_SETTING) :]: section["text"].strip("\n").rpartition("\n")[2]
        for name, section in sections.items()
        if name.startswith(_SETTING) and section["code"] == 0
    }
    look["listening"] = _listening(sections, look["errors"])
    look["nofile_soft"], look["nofile_hard"] = _limits(sections)
    _log(sections, int(head.group(2)), look)
    return look


def _sections(text: str, token: str) -> Dict[str, _Section]:
    found: Dict[str, _Section] = {}
    name = None
    for part in re.split(r"(?:^|\n)%s " % re.escape(token), text):
        title, _newline, body = part.partition("\n")
        title = title.strip()
        if title.startswith("= "):
            code = whole(title[2:])
            if name is not None and code is not None:
                found[name]["code"] = code
            name = None
        elif title:
            name = title
            found[name] = {"text": body, "code": -1}  # -1: the script was ended inside it
    return found


def _brief(text: str) -> str:
    """The telling end of what a command said, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return str(mask("; ".join(lines[-3:])))[:500]


def _pairs(section: Optional[_Section]) -> Dict[str, str]:
    """``name=value`` lines; an empty value is left out."""
    pairs: Dict[str, str] = {}
    for line in (section["text"] if section else "").splitlines():
        name, equals, value = line.partition("=")
        if equals and value:
            pairs[name] = value
    return pairs


class _Stat(TypedDict):
    mode: str
    uid: int
    device: str
    written: int  # seconds of the epoch


def _stats(section: Optional[_Section]) -> Dict[str, _Stat]:
    stats: Dict[str, _Stat] = {}
    for line in (section["text"] if section else "").splitlines():
        match = re.match(r"^([0-7]+) ([0-9]{1,10}) \d+ (\w+) (\d{1,12}) (.+)$", line)
        if match:
            stats[match.group(5)] = {
                "mode": match.group(1),
                "uid": int(match.group(2)),
                "device": match.group(3),
                "written": int(match.group(4)),
            }
    return stats


def _data_directory(
    path: str,
    stats: Dict[str, _Stat],
    where: Dict[str, str],
    details: Dict[str, str],
    section: Optional[_Section],
    errors: Dict[str, str],
) -> Optional[DataDirectory]:
    stat = stats.get(path)
    if stat is None:
        said = section["text"] if section else ""
        if "No such file" not in said.split("\n", 1)[0]:  # it may be there, but we may not see it
            errors["data_directory"] = _brief(said.split("\n", 1)[0]) or "could not be examined"
            return None
    initialised_by = stats.get(path + "/PG_VERSION")
    expected = whole(where.get("postmaster_uid"))
    if expected is None:
        expected = whole(where.get("postgres_uid"))
    if expected is None and initialised_by is not None:
        expected = initialised_by["uid"]
    return {
        "path": path,
        "exists": stat is not None,
        "mode": stat["mode"].rjust(4, "0") if stat else None,
        "owner_uid": stat["uid"] if stat else None,
        "expected_uid": expected,
        "version": details.get("version"),
        "entries": whole(details.get("entries")),
        "cluster_files": [name[len("holds_") :] for name in details if name.startswith("holds_")]
        if "entries" in details
        else None,
        "databases": whole(details.get("databases")),
        "standby_signal": "standby" in details,
        "recovery_signal": "recovery" in details,
        "backup_label": "backup_label" in details,
    }


def _program_version(sections: Dict[str, _Section]) -> Optional[str]:
    found = re.search(r"^postgres \(.*?\) (\d+(?:\.\d+|\w+)?)", _text(sections, "program"), re.MULTILINE)
    return found.group(1) if found else None


def _disks(path: str, stats: Dict[str, _Stat], sections: Dict[str, _Section], errors: Dict[str, str]) -> List[Disk]:
    """Bytes by df, inodes by statfs; by statfs alone where df knows no mount (its block size may be a guess there)."""
    rows = [
        (int(row[0]) * 1024, max(0, int(row[1])) * 1024)
        for row in re.findall(
            r"^.*?\s(\d{1,18})\s+-?\d+\s+(-?\d{1,18})\s+(?:\d+%|-)\s+/.*$", _text(sections, "space"), re.MULTILINE
        )
    ]
    systems = [
        tuple(int(number) for number in row)
        for row in re.findall(r"^%s .*$" % " ".join([r"(\d{1,18})"] * 5), _text(sections, "statfs"), re.MULTILINE)
    ]
    wanted = [("data", path)]
    wal = stats.get(path + "/pg_wal")
    if path in stats and wal is not None and wal["device"] != stats[path]["device"]:
        wanted.append(("wal", path + "/pg_wal"))
    disks: List[Disk] = []
    for place, (role, of) in enumerate(wanted):
        system = systems[place] if place < len(systems) else None
        if place < len(rows):
            total, free = rows[place]
        elif system is not None:
            total, free = system[0] * system[1], system[0] * system[2]
        else:
            if path in stats:
                errors["disks"] = _brief(_text(sections, "space")) or "df printed nothing"
            break
        inodes = system is not None and system[3] > 0
        disks.append(
            {
                "role": role,
                "path": of,
                "total_bytes": total,
                "free_bytes": free,
                "total_inodes": system[3] if system is not None and inodes else None,
                "free_inodes": system[4] if system is not None and inodes else None,
            }
        )
    return disks


def _text(sections: Dict[str, _Section], name: str) -> str:
    return sections[name]["text"] if name in sections else ""


def _lock_file(sections: Dict[str, _Section], errors: Dict[str, str]) -> Optional[LockFile]:
    """Lines as in src/include/utils/pidfile.h: pid, data directory, start, port, sockets, address, shm key, status."""
    if "lock" not in sections:
        return None
    if sections["lock"]["code"] != 0 and "denied" in sections["lock"]["text"]:
        errors["lock_file"] = _brief(sections["lock"]["text"])
        return None
    lines = [line.strip() for line in sections["lock"]["text"].split("\n")]
    lines += [""] * (8 - len(lines))
    alive = _text(sections, "alive").strip()
    return {
        "pid": whole(lines[0].lstrip("-")),
        "pid_alive": alive == "1" if alive else None,
        "started_at": utc(whole(lines[2])),
        "port": whole(lines[3]),
        "socket_directory": lines[4] or None,
        "listen_address": lines[5] or None,
        "status": lines[7] or None,
    }


def _control(
    sections: Dict[str, _Section], written: Optional[_Stat], other_start: bool, errors: Dict[str, str]
) -> Optional[ControlData]:
    if "control" not in sections:
        return None
    said, code = sections["control"]["text"], sections["control"]["code"]
    if code in (-1, 126, 127) or (code != 0 and "Permission denied" in said):
        errors["control"] = _brief(said) or "pg_controldata did not finish"
        return None
    values = dict(_colon_pairs(said))
    readable = code == 0 and "Database cluster state" in values
    bad_crc = "CRC checksum does not match" in said
    lsn = values.get("Latest checkpoint location")
    warnings = [line for line in said.splitlines() if re.match(r"(?i)^(warning|pg_controldata): ", line)]
    message = _brief("\n".join(warnings) if warnings else said) if bad_crc or not readable else None
    checkpoint, complaint = _checkpoint(sections, lsn, errors) if readable and not bad_crc else (None, None)
    if checkpoint is False and other_start:
        checkpoint = None  # such a server may take its first record from an archive, a primary or a backup's label
    return {
        "readable": readable,
        "crc_ok": not bad_crc if readable else None,
        "system_identifier": values.get("Database system identifier") if readable and not bad_crc else None,
        "state": values.get("Database cluster state"),
        "written_at": utc(written["written"]) if written is not None else None,
        "checkpoint_lsn": lsn,
        "checkpoint_wal_file": values.get("Latest checkpoint's REDO WAL file"),
        "checkpoint_readable": checkpoint,
        "message": message or complaint,
    }


def _colon_pairs(text: str) -> Iterator[Tuple[str, str]]:
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and value.strip():
            yield name.strip(), value.strip()


def _checkpoint(
    sections: Dict[str, _Section], lsn: Optional[str], errors: Dict[str, str]
) -> Tuple[Optional[bool], Optional[str]]:
    if "checkpoint" not in sections or lsn is None:
        return None, None
    said, code = sections["checkpoint"]["text"], sections["checkpoint"]["code"]
    if code in (-1, 126, 127) or "Permission denied" in said:
        errors["checkpoint"] = _brief(said) or "pg_waldump did not finish"
        return None, None
    record = re.search(r"lsn: ([0-9A-F]+)/([0-9A-F]+),.*desc: CHECKPOINT_", said)
    # pg_waldump goes on to the next valid record when this one is not: the position tells
    readable = bool(code == 0 and record and _lsn(record.group(1) + "/" + record.group(2)) == _lsn(lsn))
    return readable, None if readable else _brief(said) or "no checkpoint record at %s" % lsn


def _lsn(text: str) -> Optional[Tuple[int, int]]:
    match = re.match(r"^([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})$", text)
    return (int(match.group(1), 16), int(match.group(2), 16)) if match else None


# what stops ``postgres -C`` although the configuration may be fine
_NOT_ITS_CONFIGURATION = re.compile(
    r"could not access (?:directory|the server configuration file) .*: Permission denied"
    r"|execution of the PostgreSQL server is not permitted|^oncall: |Exec format",
    re.MULTILINE,
)


def _configuration(sections: Dict[str, _Section], errors: Dict[str, str]) -> Optional[Configuration]:
    if "configuration" not in sections:
        return None
    said, code = sections["configuration"]["text"], sections["configuration"]["code"]
    if code == 0:
        return {"valid": True, "message": None}
    if code in (-1, 126, 127) or code > 128 or _NOT_ITS_CONFIGURATION.search(said):
        errors["configuration"] = _brief(said) or "the server's program did not finish (exit code %d)" % code
        return {"valid": None, "message": _brief(said) or None}
    lines = [re.sub(r"^.*?\b[A-Z]+:  ", "", line.strip()) for line in said.splitlines() if line.strip()]
    return {"valid": False, "message": _brief("\n".join(lines)) or None}


_SOCKET = re.compile(r"(?:[0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4}\Z")


def _listening(sections: Dict[str, _Section], errors: Dict[str, str]) -> Optional[List[Listening]]:
    section = sections.get("sockets")
    if section is None or section["code"] not in (0, 1):  # 1: grep found none
        errors["listening"] = _brief(section["text"]) if section else "not reached"
        return None
    own: Optional[Set[str]] = None
    if "descriptors" in sections and sections["descriptors"]["code"] == 0:
        own = set(re.findall(r"socket:\[(\d+)\]", sections["descriptors"]["text"]))
    sockets: List[Listening] = []
    for line in section["text"].splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[3] != "0A" or not _SOCKET.match(fields[1]):
            continue
        address, _colon, port = fields[1].partition(":")
        sockets.append(
            {"address": _address(address), "port": int(port, 16), "ours": fields[9] in own if own is not None else None}
        )
    return sorted(sockets, key=lambda each: (each["port"], each["address"]))


def _address(text: str) -> str:
    """The kernel prints 32-bit words of the network's bytes as the machine's numbers."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    return str(ipaddress.ip_address(packed))


def _limits(sections: Dict[str, _Section]) -> Tuple[Optional[int], Optional[int]]:
    match = re.search(r"^Max open files\s+(\S+)\s+(\S+)", _text(sections, "limits"), re.MULTILINE)
    return (whole(match.group(1)), whole(match.group(2))) if match else (None, None)


def _log(sections: Dict[str, _Section], lines: int, look: Look) -> None:
    look["log_path"] = _text(sections, "log_path").strip("\n") or None
    if "log" in sections:
        if sections["log"]["code"] == 0:
            look["log_text"] = "\n".join(sections["log"]["text"].rstrip("\n").split("\n")[-lines:])
        else:
            look["errors"]["log"] = _brief(sections["log"]["text"])
