#!/usr/bin/env bash
# Whether the screen's memory stays flat: a daemon on SQLite, two people, and the real screen of one of them in a terminal (tmux), while
# the other one writes.
#
#   contrib/soak.sh [MINUTES] [RATE]     60 minutes and 50 messages/s when nothing is said
#
# The screen's resident memory is looked at every 30 seconds, in a run of less than ten minutes twenty times. Exit status 0 only if the
# median of the last quarter is at most a tenth above that of the first, and the screen shows the last message.
# QCHAT_PROGRAMS=DIRECTORY names where qchatd and qchat are; otherwise target/release.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { printf 'error: %s\n' "$*" >&2; exit 1; }
case ${1:-} in
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
minutes=${1:-60}
rate=${2:-50}
[[ $minutes =~ ^[1-9][0-9]*$ && $rate =~ ^[1-9][0-9]*$ && $# -le 2 ]] || die "usage: contrib/soak.sh [MINUTES] [RATE]"
command -v tmux >/dev/null || die "tmux is missing: sudo apt-get install tmux"
programs=$(realpath "${QCHAT_PROGRAMS:-target/release}")
for program in qchatd qchat; do
    [ -x "$programs/$program" ] || die "$programs/$program is missing: cargo build --release -p qchatd -p qchat-cli"
done

temporary=$(mktemp -d "${TMPDIR:-/tmp}/qchat-soak.XXXXXXXX")
tm() { tmux -S "$temporary/tmux" -f /dev/null "$@"; }
daemon=
speaking=
writing=
stop() {
    local status=$?
    trap - EXIT INT TERM
    tm kill-server 2>/dev/null || true
    for process in $speaking $writing $daemon; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$temporary"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Waits up to 30 seconds until something holds.
wait_for() {
    local what=$1 tries=0
    shift
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -le 300 ] || die "$what"
        sleep 0.1
    done
}

mkdir -m 700 "$temporary/server" "$temporary/alice" "$temporary/bob"
"$programs/qchatd" serve --data-dir "$temporary/server" --listen 127.0.0.1:0 --address-file "$temporary/address" \
    >"$temporary/qchatd.log" 2>&1 </dev/null &
daemon=$!
wait_for "qchatd was not ready within 30 seconds" test -s "$temporary/address"
url=http://$(head -n 1 "$temporary/address")
: >"$temporary/config.toml"
for user in alice bob; do
    (umask 077; od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$temporary/$user/passphrase")
done
# The words that begin a command of somebody's.
of() {
    printf '%s\n' "$programs/qchat" --data-dir "$temporary/$1/data" --profile "$1" --server "$url" \
        --passphrase-file "$temporary/$1/passphrase" --no-input
}
as() {
    local words
    mapfile -t words < <(of "$1")
    shift
    QCHAT_CONFIG=$temporary/config.toml "${words[@]}" "$@"
}
for user in alice bob; do
    as $user register $user --recovery-file "$temporary/$user/recovery" >/dev/null 2>"$temporary/why" ||
        die "$user is not registered: $(cat "$temporary/why")"
done
as alice room create soak >/dev/null
as alice room invite soak bob >/dev/null
as bob room join soak >/dev/null

shows() { tm capture-pane -p -t screen | grep -qF -- "$1"; }
mapfile -t words < <(of alice)
tm new-session -d -s screen -x 120 -y 40 \
    "exec env LC_ALL=C.UTF-8 TERM=xterm-256color COLORFGBG='15;0' QCHAT_CONFIG='$temporary/config.toml' $(printf '%q ' "${words[@]}")"
wait_for "the screen does not open" shows soak
screen=$(tm list-panes -t screen -F '#{pane_pid}')

# What bob says, ten times a second, to a `qchat rpc` of his; a line for each at the end says what has become of it.
said=$temporary/said
speak() {
    local number=0 tenth=0 due began
    began=$(date +%s%N)
    # A machine that is too slow for the rate says less, and is not waited for.
    while [ $tenth -lt $((minutes * 600)) ] && [ $(($(date +%s%N) - began)) -lt $((minutes * 60000000000)) ]; do
        tenth=$((tenth + 1))
        due=$((tenth * rate / 10))
        while [ $number -lt "$due" ]; do
            number=$((number + 1))
            printf '{"jsonrpc":"2.0","id":%d,"method":"send","params":{"room":"soak","text":"message %d. %s"}}\n' \
                "$number" "$number" "The heron lands at noon, and nobody has seen where it went."
        done
        echo "$number" >"$said"
        local left=$((began + tenth * 100000000 - $(date +%s%N)))
        [ $left -le 0 ] || sleep "$(printf '0.%09d' "$left")"
    done
}
mkfifo "$temporary/requests"
mapfile -t words < <(of bob)
QCHAT_CONFIG=$temporary/config.toml "${words[@]}" rpc <"$temporary/requests" >"$temporary/answers" &
writing=$!
speak >"$temporary/requests" &
speaking=$!

seconds=$((minutes * 60))
every=$((seconds >= 600 ? 30 : seconds / 20))
memory=()
began=$SECONDS
while [ $((SECONDS - began)) -lt "$seconds" ]; do
    sleep "$every"
    kilobytes=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$screen/status") || true
    [ -n "$kilobytes" ] || die "the screen has ended"
    memory+=("$kilobytes")
    printf '%5d s  %7d kB  %d messages\n' $((SECONDS - began)) "$kilobytes" "$(cat "$said" 2>/dev/null || echo 0)"
done
wait "$speaking" || die "not everything was written"
speaking=
wait "$writing" || die "bob's program has failed: $(tail -n 1 "$temporary/answers")"
writing=
refused=$(grep -c '"error"' "$temporary/answers" || true)
[ "$refused" = 0 ] || die "$refused messages were refused: $(grep -m 1 '"error"' "$temporary/answers")"
wait_for "the screen does not show the last message" shows "message $(cat "$said")."

# minimum, median and maximum of a quarter, kB
count=${#memory[@]}
quarter=$((count / 4))
[ $quarter -ge 1 ] || die "too few samples"
figures() { printf '%s\n' "$@" | sort -n | awk '{ all[NR] = $1 } END { print all[1], all[int((NR + 1) / 2)], all[NR] }'; }
read -r least first most < <(figures "${memory[@]:0:quarter}")
printf 'first quarter: %d to %d kB, median %d\n' "$least" "$most" "$first"
read -r least last most < <(figures "${memory[@]:count-quarter}")
printf 'last quarter:  %d to %d kB, median %d\n' "$least" "$most" "$last"
printf '%d messages, the median of the last quarter is %d.%d %% of the first\n' \
    "$(cat "$said")" $((last * 100 / first)) $((last * 1000 / first % 10))
[ $((last * 10)) -le $((first * 11)) ] || die "the screen's memory has grown by more than a tenth"
