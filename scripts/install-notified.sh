#!/usr/bin/env bash
# What the tests of notifications and of monitoring stand on, from Debian's or Ubuntu's own packages: Alertmanager, Prometheus with promtool,
# postgres_exporter, and a clock that can be put forward. Does only what is missing.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing=()
for each in prometheus-alertmanager prometheus prometheus-postgres-exporter; do
    command -v "$each" >/dev/null || missing+=("$each")
done
services=("${missing[@]}")
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || missing+=(libfaketime)
[ ${#missing[@]} -gt 0 ] || exit 0
apt "${missing[@]}" || fail "needed for the tests: apt-get install ${missing[*]}"
# Only their programs: none is left running or enabled.
for each in "${services[@]}"; do
    [ ! -d /run/systemd/system ] || systemctl disable --now "$each" >/dev/null 2>&1 || true
done
