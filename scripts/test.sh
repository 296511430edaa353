#!/usr/bin/env bash
# Everything CI runs, in the order of what fails soonest; stops at the first stage that fails, and sums up.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
summary=()
background=

finish() {
    local code=$?
    [ -z "$background" ] || { kill "$background" && wait "$background"; } 2>/dev/null || true
    printf "\n== summary (%d min %d s)\n" $((SECONDS / 60)) $((SECONDS % 60))
    printf '%s\n' "${summary[@]}"
    exit "$code"
}
trap finish EXIT

# stage NAME COMMAND...
stage() {
    local name=$1 begun=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    if "$@"; then
        summary+=("$(printf '  %-28s ok %9d s' "$name" $((SECONDS - begun)))")
    else
        local code=$?
        summary+=("$(printf '  %-28s FAILED %5d s' "$name" $((SECONDS - begun)))")
        exit "$code"
    fi
}

pytest() { .venv/bin/python -m pytest "$@"; }
oldest() { .venv-2.17/bin/python -m pytest "$@"; }

images() {
    wait "$background" || { cat build/images.log; return 1; }
    background=
}

stage "virtualenvs" eval 'scripts/venv.sh .venv run demo dev && scripts/venv.sh .venv-2.17 ansible-2.17'
stage "PostgreSQL with TLS" scripts/install-postgresql.sh

# Building the lab's images is mostly downloading and unpacking: beside the stages that want a processor.
mkdir -p build
.venv/bin/python -m tests.lab.images >build/images.log 2>&1 &
background=$!

stage "lint" scripts/lint.sh
stage "unit" pytest tests/unit
stage "sanity" scripts/sanity.sh
stage "demo" .venv/bin/python demo/demo.py
stage "molecule" scripts/molecule.sh
stage "images" images
stage "integration" pytest tests/integration
stage "playbooks, ansible-core 2.19" pytest tests/playbooks
stage "playbooks, ansible-core 2.17" oldest tests/playbooks tests/unit/test_triage_playbook.py
stage "lab" pytest -n 2 tests/lab
