#!/usr/bin/env bash
# Checks everything: style, types, who imports whom, and all tests against real processes. bash tests/run.sh [pytest options]
#
# With options, only pytest is run, with these: bash tests/run.sh tests/unit -k clock
set -euo pipefail

me="tests/run.sh"
# shellcheck source=../setup/environment.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../setup/environment.sh"
cd "$here"

if [[ -n ${VIRTUAL_ENV:-} && -x $VIRTUAL_ENV/bin/bazaar && -x $VIRTUAL_ENV/bin/ruff ]]; then
    venv="$VIRTUAL_ENV"
else
    set_up dev
fi
bin="$venv/bin"

if [[ $# -gt 0 ]]; then
    exec "$bin/python" -m pytest "$@"
fi
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/lint-imports" --no-cache --no-logo
# Timing is never asserted in absolute terms, so tests may share the machine with each other. Those of real towns wait
# for more than half of their time, so there are more at once than there are processors.
exec "$bin/python" -m pytest -n 3 --dist loadfile
