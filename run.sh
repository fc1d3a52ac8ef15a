#!/usr/bin/env bash
# Opens a town, or joins one: bash run.sh <host> <n> [options]
#
# Sets up what is missing first: a virtual environment in .venv beside this file, with the project in it. That is
# done again only when pyproject.toml changes. A virtual environment that is active and has this very project
# installed is used as it is.
set -euo pipefail

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
venv="$here/.venv"
stamp="$venv/.installed"

refuse() {
    echo "run.sh: $*" >&2
    exit 2
}

usage() {
    refuse "usage: bash run.sh <host> <n> [options], for example: bash run.sh localhost 6"
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.11 python3.12 python3.13 python3.14 python; do
        if [[ -n $candidate ]] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# Whether the program `bazaar` of the environment $1 runs the code beside this file.
is_ours() {
    [[ -x $1/bin/bazaar ]] &&
        [[ "$(cd / && "$1/bin/python" -c 'import os, peers; print(os.path.dirname(os.path.dirname(peers.__file__)))' 2>/dev/null)" == "$here" ]]
}

make_venv() {
    local python log
    python="$(find_python)" || refuse "Python 3.11 or newer is needed and was not found; install it, or name one: PYTHON=/path/to/python3 bash run.sh ..."
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        refuse "$python cannot make virtual environments; install the missing part (Debian, Ubuntu: apt install python3-venv)"
    fi
    echo "run.sh: making a virtual environment in .venv (once)"
    log="$(mktemp)"
    if ! "$python" -m venv --clear "$venv" >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -rf "$venv" "$log"
        refuse "the virtual environment could not be made (see above)"
    fi
    rm -f "$log"
}

install_project() {
    local log="$venv/install.log"
    echo "run.sh: installing what the trading post needs (once; a minute or so)"
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --editable "$here" >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        refuse "the installation failed (see above; all of it is in $log)"
    fi
    wanted_stamp >"$stamp"
    echo "run.sh: installed"
}

# What has to be the same for an installation to be still the right one.
wanted_stamp() {
    cksum <"$here/pyproject.toml"
    echo "$here"
}

set_up() {
    # Two first starts at the same time must not install into one another.
    if command -v flock >/dev/null 2>&1; then
        exec 9<"${BASH_SOURCE[0]}"
        flock 9
    fi
    if ! [[ -x $venv/bin/python ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
        make_venv
    fi
    if ! [[ -f $stamp && "$(cat "$stamp")" == "$(wanted_stamp)" ]]; then
        install_project
    fi
    if command -v flock >/dev/null 2>&1; then
        exec 9<&-
    fi
}

case "${1:-}" in
    -h | --help) ;;
    *) [[ $# -ge 2 ]] || usage ;;
esac
if [[ -n ${VIRTUAL_ENV:-} ]] && is_ours "$VIRTUAL_ENV"; then
    venv="$VIRTUAL_ENV"
else
    set_up
fi
exec "$venv/bin/bazaar" run "$@"
