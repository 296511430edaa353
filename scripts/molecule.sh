#!/usr/bin/env bash
# The Molecule scenarios; some need Docker (with-docker.sh).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$CHECKOUT/.venv/bin:$PATH molecule test --all
