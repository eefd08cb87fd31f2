#!/usr/bin/env bash
# Draws docs/guides/screens: the screen with its sample data, as text, by the built program in a terminal (tmux).
#
#   contrib/screens.sh           writes the files
#   contrib/screens.sh --check   fails when they are not what the program draws
#
# QCHAT=PATH names the program; otherwise target/debug/qchat.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { printf 'error: %s\n' "$*" >&2; exit 1; }
case ${1:-} in
    "") into=docs/guides/screens ;;
    --check) into= ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) die "usage: contrib/screens.sh [--check]" ;;
esac
command -v tmux >/dev/null || die "tmux is missing: sudo apt-get install tmux"
qchat=$(realpath "${QCHAT:-target/debug/qchat}")
[ -x "$qchat" ] || die "$qchat is missing: cargo build"

temporary=$(mktemp -d "${TMPDIR:-/tmp}/qchat-screens.XXXXXXXX")
tm() { tmux -S "$temporary/tmux" -f /dev/null "$@"; }
trap 'tm kill-server 2>/dev/null || true; rm -rf "$temporary"' EXIT
: >"$temporary/config.toml"
drawn=${into:-$temporary/drawn}
mkdir -p "$drawn"

# Waits until the screen shows something.
shows() {
    local tries=0
    until tm capture-pane -p -t screen | grep -qF -- "$1"; do
        tries=$((tries + 1))
        [ $tries -le 100 ] || { tm capture-pane -p -t screen >&2; die "the screen does not show: $1"; }
        sleep 0.1
    done
}

# picture NAME COLUMNS ROWS WORDS KEY…: presses keys, waits for words, and writes what is there.
picture() {
    local name=$1 columns=$2 rows=$3 words=$4
    shift 4
    tm new-session -d -s screen -x "$columns" -y "$rows" \
        "env LC_ALL=C.UTF-8 NO_COLOR=1 QCHAT_CONFIG='$temporary/config.toml' '$qchat' --demo"
    shows observatory
    local key
    # Each when what came before is drawn.
    for key in "$@"; do tm send-keys -t screen "$key"; sleep 0.3; done
    shows "$words"
    tm capture-pane -p -t screen | sed 's/ *$//' >"$drawn/$name.txt"
    tm send-keys -t screen C-q
    while tm has-session -t screen 2>/dev/null; do sleep 0.1; done
}

picture room 100 30 "Matches are here" Tab
picture narrow 50 20 "Matches are here" Tab
picture message 100 30 "sealed in epoch 17" Tab Up Up Up Up Enter
picture palette 100 20 "settings" C-p "set"
picture search 100 20 "messages" C-f "ladder"
picture members 100 30 "not verified" Tab F2
picture keys 100 30 "phone in the van" Tab F3
picture quantum 100 36 "CHSH" F5
picture settings 100 20 "notifications" F8

if [ -z "$into" ]; then
    diff -r docs/guides/screens "$drawn" || die "docs/guides/screens is out of date: contrib/screens.sh"
fi
