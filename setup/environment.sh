# shellcheck shell=bash
# Sourced by run.sh and tests/run.sh: the virtual environment in .venv, with the project in it.
#
# `set_up` makes it, or makes it anew, if need be; where all is there that costs some milliseconds. It is done again only
# when pyproject.toml, the place of the checkout, or the Python it was made with is no more what it was, or when it was
# cut short the time before.

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$here/.venv"
python=""
wants_mongod=yes

say() {
    echo "$me: $*"
}

refuse() {
    echo "$me: $*" >&2
    exit 2
}

# shellcheck source=system.sh
. "$here/setup/system.sh"

# What has to be the same for an installation to be still the right one; fails where the environment's Python does not
# run. It is a link to the system's, which is another version after an upgrade, and then finds nothing of what is there.
wanted_stamp() {
    cksum <"$here/pyproject.toml"
    echo "$here"
    "$venv/bin/python" -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null
}

# Whether the environment works, and has what the extra $1 of pyproject.toml names; none for the project alone.
is_set_up() {
    local stamp="$venv/.installed${1:+-$1}" wanted
    [[ -f $stamp ]] && wanted="$(wanted_stamp)" && [[ "$(cat "$stamp")" == "$wanted" ]]
}

# Whether the environment can be installed into: its making was not cut short, and its Python finds what it put there.
# The program `pip` is made when all of pip's files are there, so it says that these are not half of them.
is_made() {
    [[ -x $venv/bin/pip ]] && "$venv/bin/python" -c 'import pip' 2>/dev/null
}

# Refuses if what pip said ($1) is that it could not reach its index.
refuse_without_network() {
    if grep -qE 'NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|ConnectionResetError|Network is unreachable' <<<"$1"; then
        refuse "the package index cannot be reached: the first start needs the network once, and behind a proxy https_proxy set"
    fi
}

make_venv() {
    local said
    if [[ -e $venv ]]; then
        say "the virtual environment in .venv is unfinished, or for another Python: making it anew (once)"
    else
        say "making a virtual environment in .venv (once)"
    fi
    if ! said="$(environment_with_pip 2>&1)"; then
        rm -rf "$venv"
        refuse_without_network "$said"
        tail -n 5 <<<"$said" >&2
        refuse "the virtual environment could not be made (see above)"
    fi
}

# Debian keeps `ensurepip` apart; a pip that is there already does as well.
environment_with_pip() {
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv --clear "$venv"
    else
        "$python" -m venv --clear --without-pip "$venv" &&
            "$python" -m pip --disable-pip-version-check --no-input --retries 2 --python "$venv/bin/python" install pip
    fi
}

# Installs the project, with the extra $1 of pyproject.toml if one is named.
install_project() {
    local log="$venv/install.log"
    if [[ -n ${1:-} ]]; then
        say "installing what the tests need besides (once)"
    else
        say "installing what the trading post needs (once; a minute or so)"
    fi
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --retries 2 --editable "$here${1:+[$1]}" >"$log" 2>&1; then
        refuse_without_network "$(cat "$log")"
        tail -n 5 "$log" >&2
        refuse "the installation failed (see above; all of it is in $log)"
    fi
    wanted_stamp >"$venv/.installed${1:+-$1}"
    say "installed"
}

# Two first starts at the same time must not install into one another. The lock is that of an open file, so whoever
# takes it may end, and it ends with this shell at the latest.
lock() {
    exec 9<"$here/pyproject.toml"
    if command -v flock >/dev/null 2>&1; then
        flock 9
    elif python="$(find_python)"; then
        "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    fi
}

# set_up [EXTRA]
set_up() {
    is_set_up "$@" && return
    lock
    if ! is_made; then
        bring_system
        make_venv
    elif ! is_set_up; then # What is needed of the system may be more than it was.
        bring_system
    fi
    is_set_up || install_project
    [[ -z ${1:-} ]] || is_set_up "$1" || install_project "$1"
    exec 9<&-
}
