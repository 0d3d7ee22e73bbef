# Sourced by the launcher, the tests and the gate: makes a virtual environment with this project in it, once.
#
#   prepare ROOT NAME [EXTRA]    ROOT/NAME holds the project (editable) and what [EXTRA] asks for
#
# The stamp in the environment is written last, so one that is half made never looks done, and comparing
# it starts no Python. Leaves with 69 when the environment cannot be made, 75 when another start is at it.
# shellcheck shell=sh

# Schedulers hand down little or no PATH, and Python may well live in /usr/local.
PATH=${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
export PATH

prepare() {
    root=$1 venv=$1/$2 extra=${3:-}
    stamp=$venv/.modelwatch log=$venv/setup.log
    sum=$(cksum <"$root/pyproject.toml")
    is_ready && return
    [ -w "$root" ] || give_up 69 "cannot write in $root: start this once as its owner, to set up $venv"
    take_lock "$venv.lock"
    is_ready || set_up </dev/null
    leave_lock
}

is_ready() {
    is_whole && [ "$made_from" = "$sum" ]
}

# A Python that was upgraded or removed leaves a dangling link behind, a tree that was moved a wrong path.
is_whole() {
    [ -x "$venv/bin/python" ] && [ -r "$stamp" ] &&
        { IFS= read -r made_in && IFS= read -r made_from; } <"$stamp" && [ "$made_in" = "$root" ]
}

set_up() {
    if is_whole; then
        say "pyproject.toml has changed: bringing $venv up to date (up to a minute)"
        rm "$stamp"
    else
        say "setting up $venv, this once (about a minute)"
        find_python
        make_room
        work "$python" -m venv "$venv" || give_up 69 "$python made no virtual environment:" "$(cat "$log")"
    fi
    work env PIP_USER=0 "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        --editable ".${extra:+[$extra]}" ||
        give_up 69 "pip could not install the project; the next start tries again:" "$(cat "$log")"
    printf '%s\n' "$root" "$sum" >"$stamp"
}

# The log tells an environment of ours from one that somebody else made here, which is not ours to remove.
make_room() {
    if [ -e "$log" ]; then
        rm -rf "$venv.old" && mv "$venv" "$venv.old"
    fi
    rm -rf "$venv.old"
    rmdir "$venv" 2>/dev/null || true
    { mkdir "$venv" && : >"$log"; } 2>/dev/null ||
        give_up 69 "cannot make $venv: should it be there and not in use, move it away"
}

# Does one step, and names it in the lock, for it outlives a start that is killed.
work() {
    sh -c 'echo "$$" >"$1" && cd "$2" && shift 2 && exec "$@"' sh "$lock/$$" "$root" "$@" >"$log" 2>&1
}

# Sets $python to the real path of the first candidate that works: a shim is tried, not trusted, and a
# link such as python3 would one day point at another version than the environment was made with.
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
    give_up 69 "no Python to set up with ($tried): $cure"
}

# The lock is a directory with one file named after its holder's process id. Only one process can remove
# that file, so of several that find the same dead holder exactly one clears the lock away.
take_lock() {
    lock=$1 waits=0 empty=0 told=''
    until take_free_lock; do
        holder=$(ls "$lock" 2>/dev/null) || true
        if [ -z "$holder" ]; then
            # Its maker is about to write its id, or died before it could.
            empty=$((empty + 1))
            [ "$empty" -lt 25 ] || rmdir "$lock" 2>/dev/null || true
        elif is_alive "$holder"; then
            [ -n "$told" ] || say "waiting for process $holder, which is setting up $venv"
            told=$holder
        elif rm "$lock/$holder" 2>/dev/null && rmdir "$lock" 2>/dev/null; then
            continue
        fi
        waits=$((waits + 1))
        [ "$waits" -lt 3000 ] || give_up 75 "$lock is held by ${told:-nobody}: remove it when no set-up is running"
        sleep 0.2 2>/dev/null || sleep 1
    done
    trap leave_lock EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

take_free_lock() {
    mkdir "$lock" 2>/dev/null && (: >"$lock/$$") 2>/dev/null || return 1
    # Paused for seconds between these two steps, this process may find that another took its place.
    [ "$(ls "$lock")" = "$$" ] || { rm -f "$lock/$$" && return 1; }
}

is_alive() {
    is_running "$1" || { read -r step <"$lock/$1" && is_running "$step"; } 2>/dev/null
}

is_running() {
    kill -0 "$1" 2>/dev/null || [ -d "/proc/$1" ] || return 1
    # One that has ended is listed until its parent asks for it; in a container that may be never.
    { IFS= read -r state <"/proc/$1/stat"; } 2>/dev/null || return 0
    case $state in *') Z '*) return 1 ;; esac
}

leave_lock() {
    rm -f "$lock/$$"
    rmdir "$lock" 2>/dev/null || true
    trap - EXIT HUP INT TERM
}

say() {
    printf 'modelwatch: %s\n' "$@" >&2
}

give_up() {
    code=$1
    shift
    say "$1"
    shift
    [ $# -eq 0 ] || printf '%s\n' "$@" >&2
    exit "$code"
}
