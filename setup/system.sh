# shellcheck shell=bash
# Sourced by environment.sh: what the trading post needs of the system, and how it gets there where it is missing.
#
# Who sources this has `say`, `refuse` and `python`, which `bring_system` sets. It runs on bash 3.2 too, as macOS has it.

# Prints the first Python that is new enough.
find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        if [[ -n $candidate ]] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# Whether the Python $1 can make an environment with pip in it: by itself, or with a pip that it has already.
makes_environments() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null || "$1" -c 'import pip, venv' 2>/dev/null
}

# Whether a run with these words may need a mongod here. Whoever brings books, or joins a town that has some, does without;
# but a machine that is invited to books in several members brings one of these.
runs_mongod() {
    local word before="" invitation=""
    for word in "$@"; do
        case "$word" in
            --invite=*) invitation="${word#*=}" ;;
            *) [[ $before != --invite ]] || invitation="$word" ;;
        esac
        before="$word"
    done
    if [[ -n $invitation ]]; then
        grep -Eqs '"replicas": *([2-9]|[1-9][0-9])' -- "$invitation"
        return
    fi
    case " $* ${BAZAAR_MONGO:+--mongo }" in
        *" --mongo"* | *" --nameserver "* | *" --nameserver="*) return 1 ;;
    esac
}

# Whether the loader finds the one library of the bundled mongod that Python itself does not need; `db/mongod` asks
# after all of them when a mongod does not start. Where another mongod is run, or none, nothing is asked.
has_libcurl() {
    [[ $wants_mongod == no || $(uname -s) != Linux ]] || command -v mongod >/dev/null 2>&1 ||
        "$1" -c 'import ctypes; ctypes.CDLL("libcurl.so.4")' 2>/dev/null
}

# Sets `lacks`, which is for people, and `packages`, as Debian and Ubuntu call them; both are empty where all is there.
look_at_system() {
    lacks="" packages=""
    if ! python="$(find_python)"; then
        lacks="Python 3.11 or newer" packages="python3 python3-venv"
        if command -v python3 >/dev/null 2>&1; then # Then it is the system's own that is too old.
            lacks="$lacks ($(python3 -V 2>&1) is too old)" packages="$(newer_python)"
        fi
        # It cannot be asked without a Python, and does no harm where it is there.
        [[ -z $packages || $wants_mongod == no ]] || packages="$packages libcurl4"
        return
    fi
    if ! makes_environments "$python"; then
        lacks="what Python makes virtual environments with" packages="$(venv_package)"
    fi
    if ! has_libcurl "$python"; then
        lacks="${lacks:+$lacks, and }libcurl.so.4, which the bundled mongod needs" packages="${packages:+$packages }libcurl4"
    fi
}

# Prints the packages that bring a newer Python beside one that is too old; nothing where the system knows of none.
newer_python() {
    local version
    for version in 3.14 3.13 3.12 3.11; do
        if apt-cache show "python$version-venv" >/dev/null 2>&1; then
            echo "python$version python$version-venv"
            return
        fi
    done
}

# Prints the package of `ensurepip` for `python`; Debian's own is called after the version it is for.
venv_package() {
    case "$python" in
        /usr/bin/python3.*) echo "${python##*/}-venv" ;;
        *) echo "python3-venv" ;;
    esac
}

# Runs apt-get with these options as root; what it says goes to the log. A proxy is handed through, which sudo would drop.
apt() {
    local name proxies=()
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        [[ -z ${!name:-} ]] || proxies+=("$name=${!name}")
    done
    # shellcheck disable=SC2086 # `as_root` is one word or two, or none
    $as_root env DEBIAN_FRONTEND=noninteractive ${proxies[@]+"${proxies[@]}"} apt-get -o DPkg::Lock::Timeout=300 "$@" \
        >>"$apt_log" 2>&1 </dev/null
}

# Installs `packages`, and says so before.
install_packages() {
    local command="apt-get install -y --no-install-recommends $packages"
    apt_log="$(mktemp)"
    say "this machine lacks $lacks; installing it: ${as_root:+sudo }$command"
    # The lists of packages may be missing, as in most images, or older than what the servers still have.
    # shellcheck disable=SC2086 # several packages
    if ! apt install -y --no-install-recommends $packages; then
        say "the lists of packages are old or missing: ${as_root:+sudo }apt-get update, and once more"
        apt update || true # What it could not fetch is seen by the next line.
        if ! apt install -y --no-install-recommends $packages; then
            grep -E '^[EW]:' "$apt_log" | grep -v 'Unable to locate package' | tail -n 3 >&2 || tail -n 3 "$apt_log" >&2
            rm -f "$apt_log"
            refuse "that failed (see above); without it the trading post cannot run. The first start needs the network, and behind a proxy http_proxy and https_proxy set"
        fi
    fi
    rm -f "$apt_log"
}

# What somebody who may not install packages has to type, or to be told.
how_to_install() {
    local command="apt-get update && apt-get install -y $packages"
    if command -v sudo >/dev/null 2>&1; then
        echo "type: sudo sh -c '$command'"
    else
        echo "type: su -c '$command'"
    fi
}

# Whether `python` is there and all else that is needed; brings it where that can be done without asking, and else says
# in one line how to. Installing a Python may show that it is too old, hence several rounds.
bring_system() {
    local round as_root="" apt_log=""
    for round in 1 2 3; do
        look_at_system
        [[ -n $lacks ]] || return 0
        if ! command -v apt-get >/dev/null 2>&1; then
            refuse "this machine lacks $lacks; install it$(elsewhere), or name another Python: PYTHON=/path/to/python3 bash run.sh ..."
        fi
        if [[ $(id -u) != 0 ]]; then
            sudo -n true 2>/dev/null || as_root=none
            [[ $as_root == none ]] || as_root="sudo -n"
        fi
        if [[ -z $packages && $as_root != none && $round == 1 ]]; then
            apt_log="$(mktemp)"
            say "this machine lacks $lacks; looking for a newer one: ${as_root:+sudo }apt-get update"
            apt update || true
            rm -f "$apt_log"
            continue
        fi
        [[ -n $packages ]] ||
            refuse "this machine lacks $lacks, and its packages have no newer one: install one from elsewhere, and name it: PYTHON=/path/to/python3 bash run.sh ..."
        [[ $as_root != none ]] || refuse "this machine lacks $lacks; $(how_to_install)"
        install_packages
    done
    look_at_system
    [[ -z $lacks ]] || refuse "this machine lacks $lacks, although $packages was installed"
}

# How it is had where there is no apt-get.
elsewhere() {
    if [[ $(uname -s) == Darwin ]]; then
        echo " (brew install python)"
    else
        echo " by your system's packages"
    fi
}
