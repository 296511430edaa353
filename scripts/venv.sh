#!/usr/bin/env bash
# venv.sh DIRECTORY NAMES...: a virtualenv with the packages of requirements/NAME.txt and this checkout linked into it
# as the collection. Does only what is missing. PYTHON=... chooses the interpreter, LEAST=12 asks for Python 3.12 or later.
# With LEAST, exit code 3 says that this machine has no such Python.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
venv=$1
shift

usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, int(sys.argv[1])) <= sys.version_info < (3, 14))' "${LEAST:-11}" 2>/dev/null
}

find_python() {
    local candidate
    local candidates=(python3.11 python3.12 python3.13 python3)
    # An activated virtualenv or a version manager may hide the system's one, and its own.
    candidates+=(/usr/bin/python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[1-3]*/bin/python)
    [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if usable "$candidate"; then command -v "$candidate"; return; fi
    done
    return 1
}

choose_python() {
    find_python && return
    [ -z "${LEAST:-}" ] || exit 3
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is no Python 3.11 to 3.13 with the modules venv and ensurepip"
    apt python3 python3-venv >&2 || fail "Python 3.11 to 3.13 with venv is needed: apt-get install python3-venv (or say PYTHON=...)"
    find_python && return
    apt python3.11 python3.11-venv >&2 && find_python && return
    fail "no Python 3.11 to 3.13 here: install one, or name it by PYTHON=..."
}

# A virtualenv holds absolute paths: one that was moved, or whose Python went away, is made anew.
if ! { "$venv/bin/python" -m pip --version && grep -qF "$CHECKOUT/$venv/bin/" "$venv/bin/pip"; } >/dev/null 2>&1; then
    python=$(choose_python) || exit
    say "$venv: $("$python" --version), $python"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

mkdir -p "$venv/installed"
wanted=()
for name in "$@"; do
    cmp -s "requirements/$name.txt" "$venv/installed/$name.txt" || wanted+=("$name")
done
if [ ${#wanted[@]} -gt 0 ]; then
    files=("${wanted[@]/#/-rrequirements/}")
    files=("${files[@]/%/.txt}")
    say "$venv: installing requirements/{$(IFS=,; echo "${wanted[*]}")}.txt"
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-input "${files[@]}" 2>&1 |
        sed '/^WARNING: /d' || fail "pip could not install what $venv needs (above)"
    for name in "${wanted[@]}"; do cp "requirements/$name.txt" "$venv/installed/$name.txt"; done
fi

collections="$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ansible_collections/oncall"
if [ "$(readlink "$collections/postgresql" 2>/dev/null)" != "$CHECKOUT" ]; then
    mkdir -p "$collections"
    rm -rf "$collections/postgresql"
    ln -s "$CHECKOUT" "$collections/postgresql"
fi
