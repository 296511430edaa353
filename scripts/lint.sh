#!/usr/bin/env bash
# Every check that reads the code without running it, less ansible-test sanity (scripts/sanity.sh).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$CHECKOUT/.venv/bin:$PATH

# The folder names that mypy, antsibull-docs and ansible-doc want.
tree=build/typing
mkdir -p "$tree/ansible_collections/oncall"
ln -sfn "$CHECKOUT" "$tree/ansible_collections/oncall/postgresql"

check() { say "lint: $1"; shift; "$@"; }

check "ruff" ruff check --quiet
check "ruff format" ruff format --check --quiet
check "mypy" mypy --no-error-summary "$tree/ansible_collections/oncall/postgresql/plugins" tests demo scripts molecule/default
check "shellcheck" shellcheck -x -P SCRIPTDIR scripts/*.sh .ci/run
check "antsibull-changelog" antsibull-changelog lint
ANSIBLE_COLLECTIONS_PATH=$CHECKOUT/$tree check "antsibull-docs" \
    antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck --disallow-unknown-collection-refs .
check "ansible-lint" ansible-lint --offline --strict -q

check "galaxy-importer" true
rm -rf build/galaxy
mkdir -p build/galaxy
ansible-galaxy collection build --output-path build/galaxy . >/dev/null
cd build/galaxy || exit
python -m galaxy_importer.main ./*.tar.gz >importer.log 2>&1 || { cat importer.log; fail "galaxy-importer refused the collection"; }
! grep -E '^(ERROR|WARNING)' importer.log || fail "galaxy-importer found something (above)"
