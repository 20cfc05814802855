# What every script here says and how: sourced by `x`, `.ci/run` and the scripts beside this file.
# People read stderr; stdout is for what another command reads.

# The folder for what may be kept between clones; losing it costs time and nothing else.
cache=${WASMILL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wasmill}

bold='' red='' plain=''
[ ! -t 2 ] || { bold=$'\033[1m' red=$'\033[31m' plain=$'\033[0m'; }

say() { echo "$bold▸ $*$plain" >&2; }

# stop SENTENCE...: one line each for what is wrong and what to do.
stop() {
    echo "$red✗ $1$plain" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

# since SECONDS: how long ago that was, for people.
since() {
    local took=$((SECONDS - $1))
    if [ $took -ge 120 ]; then echo "$((took / 60)) min $((took % 60)) s"; else echo "$took s"; fi
}

# step WHAT COMMAND...: says what it does, does it in this shell, says how long it took. A command that fails has said
# why; its status is the step's. Beware: bash ignores `set -e` within a function called from here.
step() {
    local what=$1 start=$SECONDS status=0
    shift
    say "$what"
    "$@" || status=$?
    if [ $status -eq 0 ]; then
        echo "  done: $what ($(since "$start"))" >&2
    else
        echo "$red  failed: $what ($(since "$start"), exit status $status)$plain" >&2
    fi
    return $status
}
