#!/usr/bin/env bash
# install-podman.sh: what tests/lab/test_podman.py stands on beside install-docker.sh (whose Compose and images it uses):
# Podman with a network whose containers find each other by name. Does nothing, quickly, when all is there.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin

helper() { [ -x "/usr/lib/podman/$1" ] || [ -x "/usr/libexec/podman/$1" ]; }

packages=()
command -v podman >/dev/null || packages+=(podman)
command -v runc >/dev/null || packages+=(runc)
helper netavark || packages+=(netavark)
helper aardvark-dns || packages+=(aardvark-dns)
if [ ${#packages[@]} -gt 0 ]; then
    apt "${packages[@]}" || fail "the Podman test needs ${packages[*]}: install them and run this again"
fi
podman version >/dev/null || fail "podman is installed and does not run (above)"
