#!/usr/bin/env bash
# Opens a town, or joins one: bash run.sh <host> <n> [options]
#
# Brings what is missing first (setup/): packages of the system where it may, saying which, and a virtual environment in
# .venv beside this file, with the project in it. A virtual environment that is active and has this very project
# installed is used as it is.
set -euo pipefail

me="run.sh"
# shellcheck source=setup/environment.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup/environment.sh"

usage() {
    refuse "usage: bash run.sh <host> <n> [options], for example: bash run.sh localhost 6"
}

# Whether the program `bazaar` of the environment $1 runs the code beside this file.
is_ours() {
    [[ -x $1/bin/bazaar ]] &&
        [[ "$(cd / && "$1/bin/python" -c 'import os, peers; print(os.path.dirname(os.path.dirname(peers.__file__)))' 2>/dev/null)" == "$here" ]]
}

case "${1:-}" in
    -h | --help) ;;
    *) [[ $# -ge 2 ]] || usage ;;
esac
if [[ -n ${VIRTUAL_ENV:-} ]] && is_ours "$VIRTUAL_ENV"; then
    venv="$VIRTUAL_ENV"
else
    runs_mongod "$@" || wants_mongod=no
    set_up
fi
exec "$venv/bin/bazaar" run "$@"
