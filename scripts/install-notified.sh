#!/usr/bin/env bash
# What the tests of notifications stand on: Alertmanager from Debian's or Ubuntu's own packages. Does only what is missing.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if ! command -v prometheus-alertmanager >/dev/null; then
    # Only its program: it is neither started nor enabled.
    apt prometheus-alertmanager || fail "needed for the tests: apt-get install prometheus-alertmanager"
    [ ! -d /run/systemd/system ] || systemctl disable --now prometheus-alertmanager >/dev/null 2>&1 || true
fi
