#!/usr/bin/env bash
# Checks everything: style, types, who imports whom, and all tests against real processes. bash tests/run.sh [pytest options]
#
# With options, only pytest is run, with these: bash tests/run.sh tests/unit -k clock
set -euo pipefail

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$here"

if [[ -n ${VIRTUAL_ENV:-} && -x $VIRTUAL_ENV/bin/bazaar && -x $VIRTUAL_ENV/bin/ruff ]]; then
    bin="$VIRTUAL_ENV/bin"
else
    bash run.sh --help >/dev/null # makes .venv with the project in it, if that is still to be done
    bin="$here/.venv/bin"
    stamp="$here/.venv/.installed-dev"
    if ! [[ -f $stamp && "$(cat "$stamp")" == "$(cksum <pyproject.toml)" ]]; then
        echo "tests/run.sh: installing the tools of the tests (once)"
        "$bin/python" -m pip install --quiet --disable-pip-version-check --no-input --editable '.[dev]'
        cksum <pyproject.toml >"$stamp"
    fi
fi

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
