#!/usr/bin/env bash
# ansible-test sanity, without an ignore file, on a copy of git's files (ansible-test wants the folder names).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

copy=build/ansible_collections/oncall/postgresql
rm -rf build/ansible_collections
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [ -e "$file" ] && printf '%s\0' "$file"
done | xargs -0 cp --parents -P -t "$copy"
git init -q "$copy"  # or ansible-test finds this checkout instead, which ignores build/

# ansible-test fetches a pip for its virtualenvs from a host that is not everywhere to be reached; Python ships one.
# This stands where that download would be cached, in a home of ansible-test's own: the user's is not touched.
export PIP_CACHE_DIR=${PIP_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pip}
REAL_HOME=$HOME
export HOME=$CHECKOUT/build/home
mkdir -p "$HOME/.ansible/test/cache"
cat >"$HOME/.ansible/test/cache/get_pip_24_2.py" <<'PYTHON'
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
words = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install"] + words))
PYTHON

# It tries every Python that it finds; a version manager's shims are found, but do not run.
for bin in "${PYENV_ROOT:-$REAL_HOME/.pyenv}"/versions/*/bin; do
    [ ! -d "$bin" ] || PATH=$bin:$PATH
done
PATH=$CHECKOUT/.venv/bin:$PATH
cd "$copy" || exit
! compgen -G 'tests/sanity/ignore-*.txt' >/dev/null || fail "tests/sanity holds an ignore file; there is to be none"
exec ansible-test sanity --color no --truncate 0 --requirements --python default "$@"
