#!/bin/sh
# Fills a virtual environment with exactly what a lock names, from wheels only.
# usage: environment.sh FOLDER LOCK [PROJECT...]
# A PROJECT is installed as it stands, editable. UV names a uv to use; without one, the lock's own.
set -eu

venv=$1
lock=$2
shift 2

find_python() {
    for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        # Run, not only found: a version switcher answers for versions it does not have.
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
                command -v "$name"
                return
            fi
            without_pip="$name"
        fi
    done
    if [ -n "${without_pip:-}" ]; then
        echo "error: $without_pip has no ensurepip; install its venv package (python3-venv)" >&2
    else
        echo "error: Python 3.11 or newer is needed; put it on the PATH or set PYTHON" >&2
    fi
    return 1
}

# pip reads its own configuration, uv reads other variables: hand over what maps one to one.
pip_setting() {
    "$venv/bin/python" -m pip config get "global.$1" 2>/dev/null || true
}

install_with_uv() {
    uv=${UV:-}
    if [ -z "$uv" ]; then
        awk '/^[a-z0-9]/ { wanted = /^uv==/ } wanted' "$lock" >"$venv/uv.lock.txt"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            --only-binary :all: -r "$venv/uv.lock.txt" || return 1
        uv="$venv/bin/uv"
    fi
    index=${PIP_INDEX_URL:-$(pip_setting index-url)}
    certificate=${PIP_CERT:-$(pip_setting cert)}
    [ -z "$index" ] || export UV_INDEX_URL="${UV_INDEX_URL:-$index}"
    [ -z "$certificate" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificate}"
    VIRTUAL_ENV="$venv" "$uv" pip sync --quiet --no-config --require-hashes \
        --only-binary :all: "$lock"
}

install_with_pip() {
    echo "uv could not install; trying pip, which takes a few minutes" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --only-binary :all: -r "$lock"
}

[ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip' 2>/dev/null || {
    python=$(find_python)
    echo "Creating $venv with $python ($("$python" -V))"
    rm -rf "$venv"
    "$python" -m venv "$venv"
}
venv=$(cd "$venv" && pwd)

echo "Installing $lock"
install_with_uv || install_with_pip
for project in "$@"; do
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --no-build-isolation -e "$project"
done
