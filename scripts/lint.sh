#!/usr/bin/env bash
# Every check that reads the code without running it, less ansible-test sanity (scripts/sanity.sh).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$CHECKOUT/.venv/bin:$PATH

# The folder names that mypy, antsibull-docs and ansible-doc want.
tree=build/typing
mkdir -p "$tree/ansible_collections/oncall"
ln -sfn "$CHECKOUT" "$tree/ansible_collections/oncall/postgresql"

# Alpine's shell, for the scripts that go into containers.
command -v busybox >/dev/null || apt busybox || fail "busybox is missing: install it"

failed=()
check() { # check NAME COMMAND...: all of them are run, whatever one says
    say "lint: $1"
    "${@:2}" || failed+=("$1")
}

check "ruff" ruff check --quiet
check "ruff format" ruff format --check --quiet
check "mypy" mypy --no-error-summary "$tree/ansible_collections/oncall/postgresql/plugins" tests demo scripts molecule/*/*.py
check "shellcheck" shellcheck -x -P SCRIPTDIR scripts/*.sh roles/*/files/*.sh .ci/run
check "shell inside Python" python -m scripts.shell
check "antsibull-changelog" antsibull-changelog lint
check "antsibull-docs" env ANSIBLE_COLLECTIONS_PATH="$CHECKOUT/$tree" \
    antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck --disallow-unknown-collection-refs .
check "ansible-lint" ansible-lint --offline --strict -q

galaxy() {
    rm -rf build/galaxy && mkdir -p build/galaxy
    ansible-galaxy collection build --output-path build/galaxy . >/dev/null || return 1
    (cd build/galaxy && python -m galaxy_importer.main ./*.tar.gz >importer.log 2>&1) || { cat build/galaxy/importer.log; return 1; }
    ! grep -E '^(ERROR|WARNING)' build/galaxy/importer.log
}
check "galaxy-importer" galaxy

[ ${#failed[@]} -eq 0 ] || fail "found something: $(IFS=,; echo "${failed[*]}")"
