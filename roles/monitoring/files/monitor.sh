#!/bin/sh
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Counts the sessions of one PostgreSQL server: a line in a log, metrics for node_exporter, an alert.
#
#   sh monitor.sh          one run, as the timer starts it; prints nothing
#   sh monitor.sh check    asks and prints the line; writes and sends nothing
#   sh monitor.sh test     sends a message by each channel of the alert
#
# What it is to do stands in the file "config" beside it. Needs a POSIX shell, flock, timeout, date and sed (busybox has
# them all), and psql or docker or podman. It logs in as a role of its own, takes one connection, and ends by itself.
set -u
umask 077
export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

server='' state='' log='' textfile='' user=oncall_monitor database=postgres threshold=80
inventory_name=''                          # what ansible-playbook --limit takes, where it is not the server's name here
data='' bin='' host='' port=''             # psql on this host
engine='' project='' service=''            # or in the container of a Compose service
mail='' webhook=''
BACK=5                                     # an alert is over that many percent below the threshold
LEFT_OUT=3                                 # so many runs, since the former one has not ended, are an alert
CONNECT_SECONDS=5 ASK_SECONDS=20 SEND_SECONDS=30
AGAIN_SECONDS=15                           # then no answer is asked for again, before anybody is woken

# --- beside the server: on the host, or fed to the shell of its container

# postmaster.pid says where the server listens: port (line 4), socket directory (5), address (6); postmaster.opts where
# its programs are. The address comes first: on a socket the log-in lines often want another OS user than ours.
ask() {
    data=${1:-${PGDATA-}} bin=$2 host=$3 port=$4 user=$5 database=$6
    unset PGHOST PGHOSTADDR PGPORT PGSERVICE PGSERVICEFILE PGUSER PGDATABASE PGTARGETSESSIONATTRS PGREQUIREAUTH
    if [ -z "$host" ] && [ -n "${1-}" ] && ! [ -x "$data" ]; then
        echo "cannot ask: $data cannot be entered; without it another server might answer" >&2
        exit 1
    fi
    if [ -z "$host" ] && [ -n "$data" ] && [ -x "$data" ]; then
        if ! [ -r "$data/postmaster.pid" ]; then
            echo "no server is running in $data" >&2
            exit 1
        fi
        { read -r pid; read -r _; read -r _; read -r listens; read -r socket; read -r address; } <"$data/postmaster.pid"
        if [ -d /proc/self ] && ! [ -d "/proc/${pid#-}" ]; then # its port may be another server's by now
            echo "no server is running in $data: its postmaster.pid is stale" >&2
            exit 1
        fi
        case $address in '*' | 0.0.0.0) address=127.0.0.1 ;; ::) address=::1 ;; esac
        host=${address:-$socket} port=${port:-$listens}
        if [ -z "$bin" ] && [ -r "$data/postmaster.opts" ]; then
            read -r program _ <"$data/postmaster.opts"
            bin=${program%/*}
        fi
    fi
    if [ -x "$bin/psql" ]; then PATH=$bin:$PATH; fi
    if ! command -v psql >/dev/null; then
        echo "cannot ask: psql is missing: install PostgreSQL's client, or set bin_directory in oncall_target" >&2
        exit 1
    fi
    export PGCONNECT_TIMEOUT=$CONNECT_SECONDS PGAPPNAME=oncall
    export PGDATABASE="$database" # as an argument a name with = would be a connection string
    export PGOPTIONS="-c statement_timeout=10s -c lock_timeout=500ms -c default_transaction_read_only=on -c search_path=pg_catalog"
    set -- psql -X -q -A -t -w -F ' ' ${host:+-h "$host"} ${port:+-p "$port"} -U "$user"
    # In a container, where our own timeout does not reach it.
    if command -v timeout >/dev/null; then set -- timeout "$ASK_SECONDS" "$@"; fi
    "$@" <<'SQL'
SELECT 'oncall', pg_has_role('pg_read_all_stats', 'USAGE')::int, m.slots, m.usable, count(a.pid),
       count(*) FILTER (WHERE a.state = 'active'),
       count(*) FILTER (WHERE a.state = 'idle'),
       count(*) FILTER (WHERE a.state LIKE 'idle in transaction%'),
       count(*) FILTER (WHERE a.wait_event_type = 'Lock'),
       greatest(coalesce(max(extract(epoch FROM clock_timestamp() - a.xact_start)), 0), 0)::int
  FROM (SELECT s.slots, s.slots - current_setting('superuser_reserved_connections')::int
                        - coalesce(current_setting('reserved_connections', true)::int, 0) AS usable
          FROM (SELECT current_setting('max_connections')::int AS slots) s) m
  LEFT JOIN pg_stat_activity a
    ON a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND a.application_name <> 'oncall'
   AND a.state IS DISTINCT FROM 'starting'
 GROUP BY m.slots, m.usable;
SQL
}

if [ "${1-}" = ask ]; then
    shift
    ask "$@"
    exit
fi

# --- on the host

case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
here=$(CDPATH='' cd -- "$here" && pwd) || exit 1
# shellcheck source=/dev/null
. "$here/config" || exit 1

fail() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

for each in flock timeout date sed; do
    command -v "$each" >/dev/null || fail "$each is missing: install util-linux and coreutils, or busybox"
done

# The id of the service's only container that runs. What "compose run" starts has the same labels, and one more.
container() {
    of() { timeout "$CONNECT_SECONDS" "$engine" ps -q --filter "label=com.docker.compose.project=$project" \
        --filter "label=com.docker.compose.service=$service" "$@"; }
    if ! { all=$(of) && aside=$(of --filter label=com.docker.compose.oneoff=True); }; then
        echo "cannot ask: $engine does not say which containers run" >&2
        return 1
    fi
    id=''
    for each in $all; do
        if printf '%s\n' "$aside" | grep -qx "$each"; then continue; fi
        [ -z "$id" ] || { echo "cannot ask: service $service of project $project has several containers" >&2; return 1; }
        id=$each
    done
    [ -n "$id" ] || { echo "no container of service $service in project $project is running" >&2; return 1; }
    echo "$id"
}

# The answer and what was said on the way there. The password goes by a file or a pipe, never by an argument.
ask_server() {
    if [ -z "$project" ]; then
        PGPASSFILE=$here/pgpass timeout "$ASK_SECONDS" sh "$here/monitor.sh" ask \
            "$data" "$bin" "$host" "$port" "$user" "$database"
        return
    fi
    if [ -z "$engine" ]; then engine=$(command -v docker || command -v podman) || fail "cannot ask: neither docker nor podman is here"; fi
    id=$(container) || return 1
    {
        # Unescaped as libpq does, then quoted for the shell that reads it there.
        sed -n "s/\\\\\\(.\\)/\\1/g; s/'/'\\\\''/g; s/^\\*:\\*:\\*:\\*:\\(.*\\)/export PGPASSWORD='\\1'/p" "$here/pgpass"
        cat "$here/monitor.sh"
    } | timeout "$ASK_SECONDS" "$engine" exec -i "$id" sh -s ask "$data" "$bin" "$host" "$port" "$user" "$database"
}

# One line of UTF-8, without which JSON is none: a server may speak in another encoding.
one_line() {
    tr '\000-\037\177' ' ' | if command -v iconv >/dev/null; then iconv -c -f UTF-8 -t UTF-8; else tr '\200-\377' '?'; fi
}

# Sets up (0 or 1), problem (none, connections or down), is (its subject), line, and the figures where there are any.
look() {
    up=0 full=0 problem=down is='does not answer' slots='' usable='' used='' active='' idle='' in_transaction='' other='' blocked='' oldest=''
    said=$(ask_server 2>&1)
    row=$(printf '%s\n' "$said" | sed -n 's/^oncall\(\( [0-9]\{1,18\}\)\{9\}\)$/\1/p')
    if [ -z "$row" ]; then
        said=$(printf '%s' "$said" | one_line)
        line="no answer: ${said:-within $ASK_SECONDS seconds}"
        # Words of the server, which may speak another language: then it is just down.
        case $said in *"too many clients already"* | *"remaining connection slots are reserved"*)
            full=1 problem=connections line="no connection slot left: $said" ;;
        *"FATAL:  the database system is "*) ;; # starting up, shutting down
        *"FATAL:  too many connections for role"*) is='cannot be watched' ;;
        *FATAL:*) is='refuses the monitoring login' line="login refused: $said" ;;
        *"cannot ask: "*) is='cannot be watched' line=$said ;;
        esac
        return
    fi
    read -r sees slots usable used active idle in_transaction blocked oldest <<ROW
$row
ROW
    if [ "$sees" != 1 ]; then
        slots='' usable='' used='' active='' idle='' in_transaction='' blocked='' oldest='' is='cannot be watched'
        line="role $user does not see the sessions of others: GRANT pg_monitor TO $(printf '%s' "$user" | sed 's/"/""/g; s/.*/"&"/')"
        return
    fi
    up=1 problem=none
    other=$((used - active - idle - in_transaction))
    percent=$((used * 100 / (usable > 0 ? usable : 1)))
    line="$used of $usable usable connection slots in use ($percent%): $active active, $idle idle"
    line="$line, $in_transaction idle in transaction, $other other; $blocked blocked; oldest transaction $oldest s"
    limit=$threshold
    # Not an alert and its end by turns while the count goes up and down by one.
    if [ "$(kept alert.log none)" = connections ]; then limit=$((threshold > BACK ? threshold - BACK : 0)); fi
    if [ $((used * 100)) -gt $((usable * limit)) ]; then problem=connections; fi
}

# --- what is remembered from run to run: a word, written over the former one, which takes no space on a full disk

kept() { # NAME OTHERWISE
    word=''
    { read -r word _ <"$state/$1"; } 2>/dev/null
    echo "${word:-$2}"
}

number() { # NAME: 0 where it is none
    word=$(kept "$1" 0)
    case $word in *[!0-9]*) word=0 ;; esac
    echo "$word"
}

keep() { { printf '%-15s\n' "$2" 1<>"$state/$1"; } 2>/dev/null; } # NAME WORD

note() { printf '%s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$server" "$*" >>"$log"; }

# --- metrics: written beside, then moved, so that nobody reads half of them

gauge() { # NAME HELP VALUE [LABEL="VALUE"]: nothing where there is no value; HELP once for all its lines
    [ -n "$3" ] || return 0
    if [ -n "$2" ]; then printf '# HELP oncall_postgresql_%s %s\n# TYPE oncall_postgresql_%s gauge\n' "$1" "$2" "$1"; fi
    printf 'oncall_postgresql_%s{server="%s"%s} %s\n' "$1" "$server" "${4:+,$4}" "$3"
}

metrics() {
    gauge up "Whether the server answered the monitoring role." "$up"
    gauge last_run_timestamp_seconds "When it was asked last." "$now"
    gauge last_success_timestamp_seconds "When it answered last; 0 for never." "$success"
    gauge slots_exhausted "Whether the login was refused because no connection slot was left." "$full"
    gauge alert_active "Whether an alert is on: connections above the threshold, or no answer." "$on"
    gauge max_connections "The setting max_connections." "$slots"
    gauge usable_connections "Slots for ordinary roles: max_connections less the reserved ones." "$usable"
    gauge connections_used "Client sessions, our own left out." "$used"
    gauge connections "Client sessions by state." "$active" 'state="active"'
    gauge connections "" "$idle" 'state="idle"'
    gauge connections "" "$in_transaction" 'state="idle in transaction"'
    gauge connections "" "$other" 'state="other"'
    gauge blocked_sessions "Client sessions that wait for a lock." "$blocked"
    gauge oldest_transaction_seconds "Age of the oldest transaction of a client." "$oldest"
}

write_metrics() {
    if [ -z "$textfile" ] || ! [ -d "${textfile%/*}" ]; then return; fi
    text=$(metrics)
    # The directory may belong to somebody else, whose symlink root must not follow: a new file, or none (set -C).
    rm -f "$textfile.tmp"
    if said=$( (umask 022; set -C; printf '%s\n' "$text" >"$textfile.tmp") 2>&1 && mv -f "$textfile.tmp" "$textfile" 2>&1); then
        return
    fi
    rm -f "$textfile.tmp"
    note "the metrics could not be written to $textfile: $said"
}

# --- the alert: a message when it begins and one when it is over, by each channel

by_log() { note "$1: $2" || true; } # where it cannot be written, the other channels are

# What is here to send it with.
mailer() {
    for each in sendmail mail; do
        if command -v "$each" >/dev/null; then echo "$each"; return; fi
    done
    echo "alerts cannot be mailed: neither sendmail nor mail is here" >&2
    return 1
}

poster() {
    if command -v curl >/dev/null; then echo curl; return; fi
    if wget --help 2>&1 | grep -q -e --input-file; then echo wget; return; fi
    echo "alerts cannot be posted: neither curl nor GNU wget is here" >&2
    return 1
}

by_mail() {
    [ -n "$mail" ] || return 0
    case $(mailer) in
    sendmail) printf 'To: %s\nSubject: %s\n\n%s\n' "$mail" "$1" "$2" | timeout -k 5 "$SEND_SECONDS" sendmail -t ;;
    mail) printf '%s\n' "$2" | timeout -k 5 "$SEND_SECONDS" mail -s "$1" "$mail" ;;
    *) return 1 ;;
    esac
}

# The address may hold a token: it goes by standard input.
by_webhook() {
    [ -n "$webhook" ] || return 0
    json=$(printf '%s: %s' "$1" "$2" | sed 's/[\\"]/\\&/g')
    json="{\"text\": \"$json\", \"host\": \"$server\", \"action\": \"$3\"}"
    type='Content-Type: application/json'
    case $(poster) in
    curl)
        status=$(printf '%s\n' "$webhook" | sed 's/[\\"]/\\&/g; s/.*/url = "&"/' |
            timeout -k 5 "$SEND_SECONDS" curl -sSf -K - -o /dev/null -w '%{http_code}' -H "$type" --data-binary "$json") || return 1
        case $status in 2*) ;; *) echo "HTTP status $status"; return 1 ;; esac # such as "moved": it went nowhere
        ;;
    wget)
        printf '%s\n' "$webhook" |
            timeout -k 5 "$SEND_SECONDS" wget -nv -t 1 --max-redirect=0 -O /dev/null -i - --header "$type" --post-data "$json"
        ;;
    *) return 1 ;;
    esac
}

send() { # CHANNEL SUBJECT TEXT ACTION; sets said where it fails
    # Neither with our lock nor with a pipe to us: a mailer may leave a process behind, which would not let us end.
    out=$state/said
    (true >"$out") 2>/dev/null || out=/dev/null # a disk that is full or read-only stops no alert
    if "by_$1" "$2" "$3" "$4" >"$out" 2>&1 9>&-; then sent=0; else sent=1; fi
    said="no alert by $1: $(one_line <"$out")"
    rm -f "$state/said"
    return $sent
}

alert() {
    text="$line. Run: ansible-playbook oncall.postgresql.triage --limit ${inventory_name:-$server}"
    case $problem in
    none) subject="OK: PostgreSQL $server" action=resolve text=$line ;;
    down) subject="PostgreSQL $server $is" action=trigger ;;
    *) subject="PostgreSQL $server: more than $threshold% of the connection slots in use" action=trigger ;;
    esac
    for channel in log mail webhook; do
        if [ "$(kept "alert.$channel" none)" = "$problem" ]; then continue; fi
        if ! send "$channel" "$subject" "$text" "$action"; then
            note "$said" # and again in the next run
        elif ! keep "alert.$channel" "$problem"; then
            note "$state cannot be written: the message by $channel will be repeated"
        fi
    done
}

# --- a run

run() {
    look
    if [ "$problem" = down ] && [ "$(kept alert.log none)" != down ]; then
        note "$line; asking again"
        sleep "$AGAIN_SECONDS"
        look
    fi
    now=$(date +%s)
    if [ "$up" = 1 ]; then keep success "$now"; fi
    keep left_out 0
    success=$(number success)
    on=1
    if [ "$problem" = none ]; then on=0; fi
    note "$line"
    write_metrics
    alert
}

# Another run has the lock. It may hang for good, such as on a network file system, and then nobody watches.
left_out() {
    left=$(($(number left_out) + 1))
    keep left_out "$left"
    note "left out: the former run has not ended"
    if [ "$left" -lt "$LEFT_OUT" ]; then return; fi
    problem=down is='cannot be watched' line="$left runs were left out: a former run of $0 has not ended"
    alert
}

case ${1-run} in
check)
    look
    echo "$line"
    if [ -n "$textfile" ] && ! [ -d "${textfile%/*}" ]; then echo "no metrics: there is no directory ${textfile%/*}"; fi
    if [ -n "$mail" ]; then mailer >/dev/null || up=0; fi
    if [ -n "$webhook" ]; then poster >/dev/null || up=0; fi
    [ "$up" = 1 ]
    ;;
test)
    failed=0
    if [ -z "$mail$webhook" ]; then
        echo "alerts go to $log only: set monitoring_mail or monitoring_webhook"
        exit 1
    fi
    for channel in mail webhook; do
        send "$channel" "Test: PostgreSQL $server" "a test of the alert, nothing is wrong" test || { echo "$said"; failed=1; }
    done
    exit $failed
    ;;
run)
    if (true >>"$state/lock") 2>/dev/null; then exec 9>>"$state/lock"; else exec 9<"$state/lock"; fi
    if flock -n 9; then run; else left_out; fi
    ;;
*) fail "there is no $1: run, check or test" ;;
esac
