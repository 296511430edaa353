# shellcheck shell=bash
# Shared by the scripts beside it; sourced, not run.
set -euo pipefail
{ : <&0; } 2>/dev/null || exec </dev/null # standard input was closed: what is opened next would be taken for it
cd "$(dirname "${BASH_SOURCE[0]}")/.." && cd "$(pwd -P)"
export CHECKOUT=$PWD
export ANSIBLE_HOME=${ANSIBLE_HOME:-$PWD/build/ansible} # not the user's: a copy of the collection there would be found first

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# apt PACKAGES...: install them where we may (Debian or Ubuntu; root, or sudo without a question or at a terminal).
apt() {
    local sudo=()
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; } || return 1
        sudo=(sudo)
    fi
    say "installing by apt: $*"
    "${sudo[@]}" apt-get update -q </dev/null >/dev/null || return 1
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" </dev/null >/dev/null
}
