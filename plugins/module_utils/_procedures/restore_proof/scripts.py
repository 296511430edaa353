# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the throw-away container, and before it in a toolbox. The backup is mounted read-only at BACKUP."""

from __future__ import annotations

BACKUP, HOME = "/oncall_backup", "/oncall"
DATA, SOCKETS, LOG = HOME + "/data", HOME + "/run", HOME + "/log"

# $1 whom the server runs as, $2 the programs' directory or nothing. Lines of "name value".
EXAMINE_SH = r"""
LC_ALL=C; export LC_ALL
[ -z "$2" ] || PATH=$2:$PATH
b=/oncall_backup
say() { printf '%s %s\n' "$1" "$2"; }
say program "$(postgres --version 2>/dev/null)"
say uid "$(id -u "$1" 2>/dev/null)"
say gid "$(id -g "$1" 2>/dev/null)"
say os_name "$(id -un "$1" 2>/dev/null)"
# shellcheck disable=SC2046  # words on purpose
set -- $(df -Pk / | tail -n 1)
say total_kib "$2"
say free_kib "$4"
say modified "$(stat -c %Y "$b")"
# shellcheck disable=SC2046
set -- $(du -sk "$b")
say kib "$1"
kind=unknown zipped='' head=''
content() { if [ -n "$zipped" ]; then gzip -dc "$b" 2>/dev/null; else cat "$b"; fi; }
if [ -d "$b" ]; then
    if ! ls "$b" >/dev/null 2>&1; then kind=unreadable
    elif [ -f "$b/PG_VERSION" ] && [ -f "$b/global/pg_control" ]; then
        kind=base_directory
        say version "$(cat "$b/PG_VERSION")"
        say running "$(head -n 1 "$b/postmaster.pid" 2>/dev/null)"
        for each in "$b"/pg_tblspc/*; do [ ! -e "$each" ] && [ ! -L "$each" ] || say tablespace "$each"; done
    elif [ -f "$b/toc.dat" ]; then kind=directory
    elif [ -f "$b/base.tar" ] || [ -f "$b/base.tar.gz" ]; then
        kind=base_tar
        [ -f "$b/base.tar" ] || zipped=yes
        for each in "$b"/[0-9]*.tar*; do [ ! -e "$each" ] || say tablespace "$each"; done
    fi
elif [ ! -r "$b" ]; then kind=unreadable
elif [ ! -s "$b" ]; then kind=empty
else
    if [ "$(head -c 2 "$b" | od -An -tx1 | tr -d ' \n')" = 1f8b ]; then zipped=yes; fi
    head=$(content | head -c 65536 | tr '\000' ' ' | head -n 500)
    case $head in
    PGDMP*) kind=custom ;;
    *'-- PostgreSQL database cluster dump'*) kind=plain; say cluster yes ;;
    *'-- PostgreSQL database dump'*) kind=plain ;;
    *) case $(content | tar -tf - 2>/dev/null | head -n 1) in
       toc.dat) kind=tar ;;
       backup_label|tablespace_map|PG_VERSION|./backup_label) kind=base_tar ;;
       esac ;;
    esac
fi
say kind "$kind"
say zipped "$zipped"
case $kind in
plain)
    say version "$(printf '%s\n' "$head" | sed -n 's/^-- Dumped from database version //p' | head -n 1)"
    say connects "$(printf '%s\n' "$head" | sed -n 's/^\\connect //p' | head -n 1)" ;;
custom|tar|directory)
    if [ -n "$zipped" ]; then listed=$(content | pg_restore -l 2>&1); else listed=$(pg_restore -l "$b" 2>&1); fi
    say version "$(printf '%s\n' "$listed" | sed -n 's/^; *Dumped from database version: *//p' | head -n 1)"
    say database "$(printf '%s\n' "$listed" | sed -n 's/^; *dbname: *//p' | head -n 1)"
    say trouble "$(printf '%s\n' "$listed" | grep '^pg_restore: ' | head -n 1)" ;;
esac
exit 0
"""

# The first process. It lives as long as somebody holds its input: a run that is killed takes the container with it.
# The server gets a fast shutdown, and the container ends when nothing of PostgreSQL runs in it any more.
KEEP_SH = r"""
exec 3<&0
cat <&3 >/dev/null 2>&1 &
reader=$!
trap 'kill "$reader" 2>/dev/null' TERM INT HUP
wait "$reader"
trap '' TERM INT HUP
ours() {
    for one in /proc/[0-9]*; do
        name=''
        read -r name <"$one/comm" || continue
        case $name in postgres|initdb|pg_ctl|pg_restore|psql) return 0 ;; esac
    done 2>/dev/null
    return 1
}
while ours; do
    server=''
    [ ! -f /oncall/data/postmaster.pid ] || read -r server </oncall/data/postmaster.pid
    case $server in ''|*[!0-9]*) ;; *) kill -INT "$server" 2>/dev/null ;; esac
    sleep 0.3
done
exit 0
"""

# As root: the directories and files of ours. $1 uid, $2 gid, $3 OS user, $4 more settings, then roles it may become.
PREPARE_SH = r"""
uid=$1 gid=$2 user=$3 more=$4
shift 4
umask 077
mkdir -p /oncall/data /oncall/run || exit 1
for role in "$@"; do
    printf 'oncall "%s" "%s"\noncall root "%s"\n' "$user" "$role" "$role"
done >/oncall/pg_ident.conf
printf 'local all all peer map=oncall\n' >/oncall/pg_hba.conf
cat >/oncall/server.conf <<END
listen_addresses = ''
unix_socket_directories = '/oncall/run'
hba_file = '/oncall/pg_hba.conf'
ident_file = '/oncall/pg_ident.conf'
lc_messages = 'C'
archive_mode = off
autovacuum = off
fsync = off
full_page_writes = off
restart_after_crash = off
max_connections = 30
max_wal_senders = 0
max_logical_replication_workers = 0
max_replication_slots = 1000
wal_level = logical
shared_buffers = '64MB'
maintenance_work_mem = '64MB'
max_wal_size = '256MB'
$more
END
chown -R "$uid:$gid" /oncall
"""

# Before what runs long: it is ended where it would leave less than $1 KiB of the disk, the server's own.
_WATCHED_SH = r"""
LC_ALL=C; export LC_ALL
watched() {
    reserve=$1
    shift
    "$@" &
    job=$!
    while kill -0 "$job" 2>/dev/null; do
        left=$(df -Pk /oncall | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)
        if [ "$left" -lt "$reserve" ]; then
            printf 'no room: %s KiB are left on the disk\n' "$left" >&2
            kill -TERM "$job"
            break
        fi
        sleep 0.3
    done
    wait "$job"
}
"""

# As root: $1 reserve, $2 kind, $3 zipped, $4 uid, $5 gid. The copy starts as a server of its own: no standby, no
# settings of ALTER SYSTEM.
COPY_SH = (
    _WATCHED_SH
    + r"""
b=/oncall_backup d=/oncall/data
unpack() { # file or the same with .gz, where to
    if [ -f "$1.gz" ]; then
        { gzip -dc "$1.gz" || printf 'gzip cannot read all of it\n' >&2; } | tar -xf - -C "$2"
    else tar -xf "$1" -C "$2"; fi
}
copy() {
    case $2 in
    base_directory) cp -R "$b/." "$d" ;;
    *)  if [ -d "$b" ]; then
            unpack "$b/base.tar" "$d" || return 1
            if [ -f "$b/pg_wal.tar" ] || [ -f "$b/pg_wal.tar.gz" ]; then
                mkdir -p "$d/pg_wal" && unpack "$b/pg_wal.tar" "$d/pg_wal" || return 1
            fi
        elif [ -n "$3" ]; then { gzip -dc "$b" || printf 'gzip cannot read all of it\n' >&2; } | tar -xf - -C "$d"
        else tar -xf "$b" -C "$d"; fi
        [ ! -f "$b/backup_manifest" ] || cp "$b/backup_manifest" "$d/" ;;
    esac
}
watched "$1" copy "$@" || exit 1
[ -f "$d/PG_VERSION" ] || { printf 'it holds no PG_VERSION\n' >&2; exit 1; }
cat "$d/PG_VERSION"
chown -R "$4:$5" "$d" && chmod 700 "$d"
"""
)

# As the server's user, on the copy: $1 the programs' directory. What the backup's own manifest says of its files.
VERIFY_SH = r"""
LC_ALL=C; export LC_ALL
[ -z "$1" ] || PATH=$1:$PATH
d=/oncall/data
if [ ! -f "$d/backup_manifest" ] || ! command -v pg_verifybackup >/dev/null 2>&1; then exit 99; fi
pg_verifybackup -n "$d" 2>&1 | head -n 50
"""

# As the server's user: $1 programs, $2 "new" or "copy", $3 its first role, $4 seconds for the start.
START_SH = r"""
LC_MESSAGES=C; export LC_MESSAGES
[ -z "$1" ] || PATH=$1:$PATH
d=/oncall/data
cd /oncall || exit 1
if [ "$2" = new ]; then
    initdb -D "$d" -U "$3" -A peer -E UTF8 --no-sync >/oncall/initdb 2>&1 || { cat /oncall/initdb >&2; exit 1; }
else
    : >"$d/postgresql.auto.conf"
    for each in standby.signal recovery.signal postmaster.pid; do
        [ ! -e "$d/$each" ] || mv "$d/$each" "/oncall/$each" || exit 1
    done
    LC_ALL=C pg_controldata -D "$d" |
        sed -n 's/^max_prepared_xacts setting: */max_prepared_transactions = /p' >>server.conf
fi
if ! pg_ctl -D "$d" -l /oncall/log -w -t "$4" -s -o '-c config_file=/oncall/server.conf' start; then
    grep -E 'FATAL|PANIC|ERROR' /oncall/log | tail -n 5 >&2
    exit 1
fi
"""

# $1 programs, $2.. the roles that it may be: the name of the first one that ever was.
OWNER_SH = r"""
[ -z "$1" ] || PATH=$1:$PATH
shift
query='SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10'
for role in "$@"; do
    if psql -h /oncall/run -U "$role" -d template1 -XAtqc "$query"; then
        exit 0
    fi
done
exit 1
"""

# As the server's user: $1 programs, $2 its superuser. The extension that reads the data, wherever the image has it.
AMCHECK_SH = r"""
[ -z "$1" ] || PATH=$1:$PATH
PGHOST=/oncall/run PGUSER=$2; export PGHOST PGUSER
PGDATABASE=template1; export PGDATABASE
psql -XAtqc 'SELECT datname FROM pg_catalog.pg_database WHERE datallowconn' | while read -r PGDATABASE; do
    psql -Xqc 'CREATE EXTENSION IF NOT EXISTS amcheck' </dev/null
done
"""

# As the server's user: $1 programs, $2 the role that it may become from now on.
ADMIT_SH = r"""
[ -z "$1" ] || PATH=$1:$PATH
printf 'oncall "%s" "%s"\n' "$(id -un)" "$2" >>/oncall/pg_ident.conf && pg_ctl -D /oncall/data -s reload
"""

# As root, who may read the backup: $1 programs, $2 reserve, $3 kind, $4 zipped, $5 role, $6 database, $7 whether the
# dump makes its databases. Its words go to a file, of which the end counts.
RESTORE_SH = (
    _WATCHED_SH
    + r"""
[ -z "$1" ] || PATH=$1:$PATH
kind=$3 zipped=$4 database=$6 makes=$7
PGHOST=/oncall/run PGUSER=$5; export PGHOST PGUSER
b=/oncall_backup said=/oncall/said
content() {
    if [ -n "$zipped" ]; then gzip -dc "$b" || printf 'error: gzip cannot read all of it\n' >&2; else cat "$b"; fi
}
# shellcheck disable=SC2329  # by "watched"
restore() {
    if [ "$kind" = plain ]; then
        content | psql -X -q -d "${database:-postgres}" >/dev/null
        return
    fi
    set -- --create -d postgres
    [ "$database" != postgres ] || set -- -d postgres
    if [ -n "$zipped" ]; then content | pg_restore "$@"
    elif [ "$kind" = tar ]; then pg_restore "$@" "$b"
    else pg_restore "$@" -j 2 "$b"; fi
}
if [ "$kind" = plain ] && [ -z "$makes" ] && [ "$database" != postgres ]; then
    createdb -T template0 "$database" || exit 1
fi
watched "$2" restore 2>"$said"
code=$?
if [ "$kind" = plain ]; then
    if [ -n "$zipped" ]; then content 2>/dev/null | tail -c 600; else tail -c 600 "$b"; fi |
        grep -q 'PostgreSQL database\( cluster\)\{0,1\} dump complete' ||
        printf 'error: the dump has no end: it was cut off\n' >>"$said"
fi
grep -E 'ERROR:|FATAL:|PANIC:|error:|no room' "$said" | head -n 2000
exit "$code"
"""
)
