# Creates a virtual environment with this project, once. Sourced by the launcher, tests/run and .ci/run.
#
#   prepare ROOT NAME [--newest] [--with=EXTRA] [EXTRA ...]
#
# ROOT/NAME gets the project (editable) with these extras; those of --with, and --newest, stay for later starts.
#
# Packages have the versions and digests of cron/requirements/: base.txt, and one file for each extra. --newest
# installs the newest versions instead, unchecked; the environment then stays with them. So does a Python or
# platform for which one of them does not list wheels. That never depends on what an index answers.
#
# The stamp in the environment is written last, so that an incomplete one is never used; comparing it starts
# no Python. Exits with 69 if the environment cannot be created, with 75 if another process keeps the lock.
# shellcheck shell=sh

# Schedulers set a short PATH or none, and Python may be in /usr/local.
PATH=${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
export PATH

prepare() {
    root=$1 venv=$1/$2 newest='' with='' extras='' requirements=cron/requirements/base.txt
    stamp=$venv/.modelwatch log=$venv/setup.log
    shift 2
    [ ! -r "$venv/.with" ] || IFS= read -r with <"$venv/.with" || with=''
    for each in "$@"; do
        case $each in
        --newest) newest=yes ;;
        --with=*) case " $with " in *" ${each#--with=} "*) ;; *) with="$with ${each#--with=}" ;; esac ;;
        *) add_extra "$each" ;;
        esac
    done
    for each in $with; do add_extra "$each"; done
    # shellcheck disable=SC2086  # they are words
    sum=$(cd -P -- "$root" && cat pyproject.toml $requirements | cksum)
    is_ready && return
    [ -w "$root" ] || fail 69 "cannot write to $root: start this once as its owner, to set up $venv"
    take_lock "$venv.lock"
    is_ready || set_up </dev/null
    release_lock
}

add_extra() {
    case ,$extras, in *",$1,"*) return ;; esac
    extras=${extras:+$extras,}$1 requirements="$requirements cron/requirements/$1.txt"
}

is_ready() {
    [ -z "$newest" ] && is_complete && [ "$stamped_sum" = "$sum" ]
}

# False after Python was upgraded or removed (a dangling link) and after the tree was moved (a wrong path).
is_complete() {
    [ -x "$venv/bin/python" ] && [ -r "$stamp" ] &&
        { IFS= read -r stamped_root && IFS= read -r stamped_sum; } <"$stamp" && [ "$stamped_root" = "$root" ]
}

set_up() {
    # Chosen before, and kept also where the environment is made again.
    [ ! -e "$venv/.newest" ] || newest=yes
    if is_complete; then
        why='since its requirements have changed'
        [ -z "$newest" ] || why='to the newest packages, unchecked'
        message "updating $venv, $why (up to a minute)"
        rm "$stamp"
    else
        message "setting up $venv, this once (about a minute)"
        find_python
        make_directory
        run_step "$python" -m venv "$venv" || fail 69 "$python could not create a virtual environment:" "$(cat "$log")"
    fi
    [ -z "$with" ] || printf '%s\n' "${with# }" >"$venv/.with"
    if [ -n "$newest" ]; then
        : >"$venv/.newest"
        install_newest
    elif has_wheels; then
        install_locked
    else
        message "cron/requirements/ does not cover Python ${target#* } on ${target% *}: \
installing the newest versions, unchecked"
        install_newest
    fi
    printf '%s\n' "$root" "$sum" >"$stamp"
}

install_locked() {
    # shellcheck disable=SC2046  # they are words
    pip_install --require-hashes $(printf ' --requirement %s' $requirements) || fail_pip
    pip_install --no-deps --no-build-isolation --editable . || fail_pip
}

install_newest() {
    pip_install --upgrade --upgrade-strategy eager --editable ".${extras:+[$extras]}" || fail_pip
}

# An editable project has no file whose digest could be required, so that the machine's pip may not ask for one.
pip_install() {
    run_step env PIP_USER=0 PIP_REQUIRE_HASHES=0 "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "$@"
}

# Whether each file of requirements lists wheels for the platform and version of this Python; $target has both.
has_wheels() {
    target=$("$venv/bin/python" -c '
import os, sys, sysconfig
platform = (sysconfig.get_config_var("SOABI") or "").split("-", 2)[-1]
if sys.implementation.name != "cpython": platform = sys.implementation.name
if platform == "darwin": platform = os.uname().machine + "-darwin"
print(platform or sys.platform, "%d.%d" % sys.version_info[:2] + sys.abiflags)')
    for each in $requirements; do
        grep -q -e "^# ${target% *}:.* ${target#* } " -e "^# ${target% *}:.* ${target#* }\$" "$root/$each" || return 1
    done
}

fail_pip() {
    output=$(cat "$log")
    case $output in
    *'DO NOT MATCH THE HASHES'*)
        cause='a package is not the file that cron/requirements/ names, and was not installed'
        cure='Find out who altered it: the package index, a proxy, or a cache' ;;
    *'Retrying (Retry('* | *'Max retries exceeded'* | *'Could not fetch URL'*)
        cause='pip cannot reach a package index'
        cure="Check the network, HTTPS_PROXY and 'pip config list'; PIP_INDEX_URL names another index" ;;
    *'No matching distribution found'*)
        cause='the package index lacks a version that is needed'
        cure='Use another index (PIP_INDEX_URL), or accept other, unchecked versions: start once with --newest' ;;
    *)
        cause='pip could not install the project'
        cure='Its output says why' ;;
    esac
    fail 69 "$cause. $cure; the next start tries again:" "$output"
}

# Only a directory with our log is removed; any other was not created here.
make_directory() {
    if [ -e "$log" ]; then
        rm -rf "$venv.old" && mv "$venv" "$venv.old"
    fi
    rm -rf "$venv.old"
    rmdir "$venv" 2>/dev/null || true
    { mkdir "$venv" && : >"$log"; } 2>/dev/null ||
        fail 69 "cannot make $venv: if it exists and is not in use, move it away"
}

# Runs one step with its process id in the lock, since the step outlives a killed launcher.
run_step() {
    sh -c 'echo "$$" >"$1" && cd "$2" && shift 2 && exec "$@"' sh "$lock/$$" "$root" "$@" >"$log" 2>&1
}

# Sets $python to the real path of the first candidate that works. Each is started, since it may be a shim;
# the path is resolved, since a link such as python3 may later point to another version.
find_python() {
    tried='' cure='install Python 3.11 or newer, or set PYTHON=/path/to/python3'
    probe='
import sys
if sys.version_info < (3, 11): sys.exit(11)
try: import ensurepip, venv
except ImportError: sys.exit(12)
import os
print(os.path.realpath(sys.executable))'
    for name in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python3.14 python3.15; do
        python=$("$name" -c "$probe" 2>/dev/null) && [ -x "$python" ] && return
        case $? in
        11) why='older than 3.11' ;;
        12) why='without venv' cure="install its venv module (Debian, Ubuntu: apt install python3-venv)" ;;
        126 | 127) why='not found' ;;
        *) why='does not start' ;;
        esac
        tried="$tried${tried:+, }$name $why"
    done
    fail 69 "no usable Python ($tried): $cure"
}

# The lock is a directory with one file, named by the process id of its holder. Only one process can remove
# that file, so that exactly one of several removes the lock of a dead holder.
take_lock() {
    lock=$1 waits=0 empty=0 waited_for=''
    until take_free_lock; do
        holder=$(ls "$lock" 2>/dev/null) || true
        if [ -z "$holder" ]; then
            # The holder has not written its id yet, or died before it could.
            empty=$((empty + 1))
            [ "$empty" -lt 25 ] || rmdir "$lock" 2>/dev/null || true
        elif is_alive "$holder"; then
            [ -n "$waited_for" ] || message "waiting for process $holder, which is setting up $venv"
            waited_for=$holder
        elif rm "$lock/$holder" 2>/dev/null && rmdir "$lock" 2>/dev/null; then
            continue
        fi
        waits=$((waits + 1))
        [ "$waits" -lt 3000 ] ||
            fail 75 "$lock is held by process ${waited_for:-(unknown)}: remove it if no set-up is running"
        sleep 0.2 2>/dev/null || sleep 1
    done
    trap release_lock EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

take_free_lock() {
    mkdir "$lock" 2>/dev/null && (: >"$lock/$$") 2>/dev/null || return 1
    # Another process may have replaced the lock if this one was paused between the two commands.
    [ "$(ls "$lock")" = "$$" ] || { rm -f "$lock/$$" && return 1; }
}

is_alive() {
    is_running "$1" || { read -r step <"$lock/$1" && is_running "$step"; } 2>/dev/null
}

is_running() {
    kill -0 "$1" 2>/dev/null || [ -d "/proc/$1" ] || return 1
    # A zombie is listed until its parent waits for it; in a container that may never happen.
    { IFS= read -r state <"/proc/$1/stat"; } 2>/dev/null || return 0
    case $state in *') Z '*) return 1 ;; esac
}

release_lock() {
    rm -f "$lock/$$"
    rmdir "$lock" 2>/dev/null || true
    trap - EXIT HUP INT TERM
}

message() {
    printf 'modelwatch: %s\n' "$@" >&2
}

fail() {
    code=$1
    shift
    message "$1"
    shift
    [ $# -eq 0 ] || printf '%s\n' "$@" >&2
    exit "$code"
}
