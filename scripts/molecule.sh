#!/usr/bin/env bash
# The Molecule scenarios; they need no Docker.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$CHECKOUT/.venv/bin:$PATH molecule test --all
