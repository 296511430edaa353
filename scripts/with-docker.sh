#!/usr/bin/env bash
# with-docker.sh COMMAND...: run it with a Docker Engine at hand. An engine that we had to start is stopped afterwards.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

stop_engine() {
    local pid
    pid=$(cat /run/docker.pid 2>/dev/null) || return 0
    say "stopping the Docker Engine that was started for this"
    kill "$pid"
    for _ in $(seq 150); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
}

docker info >/dev/null 2>&1 && running=yes || running=no
scripts/install-docker.sh
# One that systemd looks after is the machine's own from now on.
[ "$running" = yes ] || [ -d /run/systemd/system ] || trap stop_engine EXIT
"$@"
