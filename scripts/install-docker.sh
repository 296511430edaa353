#!/usr/bin/env bash
# install-docker.sh: what the lab stands on. A Docker Engine that runs, Compose v2, mmdebstrap, sshd and sudo; what is
# missing comes from Debian's or Ubuntu's own packages. Does nothing, quickly, when all is there.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin

compose_v2() {
    docker compose version >/dev/null 2>&1 && return
    [[ $(docker-compose version --short 2>/dev/null) =~ ^v?([2-9]|[1-9][0-9]) ]]
}

candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \(.*\)/\1/p' | grep -v '(none)'; }

# Debian 12 has only Compose v1. Its successor's package installs there too: it is fetched with an apt configuration of
# its own, so that the machine's sources stay as they are, from the mirror that those name.
compose_from_trixie() {
    local mirror work
    # shellcheck disable=SC2016  # the dollar is apt's
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 -E '/debian/?$') || return 1
    work=$(mktemp -d) && chmod 755 "$work" && mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/none"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
    local own=(-q -o "Dir::Etc::sourcelist=$work/sources.list" -o "Dir::Etc::sourceparts=$work/none" -o "Dir::Etc::preferencesparts=$work/none"
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o 'Acquire::Languages=none'
        -o 'Acquire::Check-Valid-Until=false')
    (cd "$work" && apt-get "${own[@]}" update && apt-get "${own[@]}" download docker-compose) >/dev/null &&
        apt "$work"/docker-compose_*.deb
    local code=$?
    rm -rf "$work"
    return $code
}

packages=()
command -v dockerd >/dev/null || packages+=(docker.io)
command -v iptables >/dev/null || packages+=(iptables)
command -v mmdebstrap >/dev/null || packages+=(mmdebstrap)
command -v sshd >/dev/null || packages+=(openssh-server)
command -v ssh >/dev/null || packages+=(openssh-client)
command -v sudo >/dev/null || packages+=(sudo)
command -v nsenter >/dev/null || packages+=(util-linux)
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || packages+=(debian-archive-keyring)
# An engine may live elsewhere (DOCKER_HOST, Docker Desktop): then its client is all that is needed.
if docker info >/dev/null 2>&1; then
    packages=("${packages[@]/docker.io/}") && packages=(${packages[@]+${packages[@]}})
fi
if [ ${#packages[@]} -gt 0 ]; then
    apt "${packages[@]}" || fail "the lab needs ${packages[*]}: install them and run this again"
fi
# From Debian 13 on the client is a package of its own.
command -v docker >/dev/null || apt docker-cli || fail "the lab needs the docker command: install it and run this again"

if ! compose_v2; then
    if [[ $(candidate docker-compose) =~ ^([0-9]+:)?[2-9] ]]; then
        apt docker-compose
    elif [ -n "$(candidate docker-compose-v2)" ]; then
        apt docker-compose-v2
    else
        compose_from_trixie
    fi || true
    compose_v2 || fail "the lab needs Compose v2 (docker compose, or docker-compose 2.x): install it and run this again"
fi

if ! docker info >/dev/null 2>&1; then
    [ "$(id -u)" -eq 0 ] || fail "no Docker Engine answers this user: start it, or run this as root"
    log=${TMPDIR:-/tmp}/oncall-dockerd.log
    if [ -d /run/systemd/system ]; then
        systemctl start docker || true
    else
        # Left by an engine that was killed: a number that now names nobody, somebody else, or a zombie.
        for file in /run/docker.pid /run/docker/containerd/containerd.pid; do
            ps -o stat= -o comm= -p "$(cat "$file" 2>/dev/null || echo 1)" | grep -qE '^[^Z]\S* +(dockerd|containerd)$' || rm -f "$file"
        done
        say "starting the Docker Engine, log in $log"
        setsid dockerd >"$log" 2>&1 </dev/null &
    fi
    for _ in $(seq 300); do
        docker info >/dev/null 2>&1 && break
        sleep 0.1
    done
    docker info >/dev/null 2>&1 || fail "the Docker Engine does not start: see $log or journalctl -u docker"
fi
