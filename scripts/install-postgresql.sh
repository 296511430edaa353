#!/usr/bin/env bash
# The tests want one PostgreSQL with TLS on this machine (the wheel's builds have none), openssl for its certificates,
# PgBouncer, pgBackRest, Barman, and check_pgactivity, to compare with.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing=()
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
command -v openssl >/dev/null || missing+=(openssl)
command -v pgbouncer >/dev/null || missing+=(pgbouncer)
command -v pgbackrest >/dev/null || missing+=(pgbackrest)
command -v barman >/dev/null || missing+=(barman)
[ -x /usr/lib/nagios/plugins/check_pgactivity ] || missing+=(check-pgactivity)
command -v busybox >/dev/null || missing+=(busybox) # Alpine's shell, which the look script must agree with
[ ${#missing[@]} -gt 0 ] || exit 0
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
    # Only its programs: no cluster is made, and none is started.
    apt postgresql-common || fail "PostgreSQL with TLS is needed: apt-get install ${missing[*]}"
    [ -w /etc/postgresql-common ] || fail "PostgreSQL's programs are needed: apt-get install ${missing[*]}"
    grep -q '^create_main_cluster' /etc/postgresql-common/createcluster.conf 2>/dev/null ||
        echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
fi
apt "${missing[@]}" || fail "needed for the tests: apt-get install ${missing[*]}"
