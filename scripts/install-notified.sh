#!/usr/bin/env bash
# install-notified.sh VIRTUALENVS...: what the tests of notifications stand on: Alertmanager from Debian's or Ubuntu's own
# packages, and in each virtualenv the collection community.general, for its module `mail`. Does only what is missing.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if ! command -v prometheus-alertmanager >/dev/null; then
    # Only its program: it is neither started nor enabled.
    apt prometheus-alertmanager || fail "needed for the tests: apt-get install prometheus-alertmanager"
    [ ! -d /run/systemd/system ] || systemctl disable --now prometheus-alertmanager >/dev/null 2>&1 || true
fi

for venv in "$@"; do
    "$venv/bin/python" scripts/collection.py community.general || fail "community.general could not be installed in $venv (above)"
done
