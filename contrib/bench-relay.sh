#!/usr/bin/env bash
# What the relay does on one core: the daemon on the first core, the load tool on the second, on SQLite in the clear and over
# TLS, and on a PostgreSQL of its own, which shares the daemon's core. Prints the tables of docs/performance.md.
#
#   contrib/bench-relay.sh [--no-build] [--long]
#
# --long adds what takes minutes: live traffic while 100 devices read a million stored envelopes.
#
# QCHAT_BENCH_DIR            where the databases lie, on whose disk commits wait (a new directory in /tmp)
# QCHAT_BENCH_SECONDS        how long each shape is measured (5)
# QCHAT_BENCH_POSTGRES_CORES cores of PostgreSQL (0)
set -euo pipefail
cd "$(dirname "$0")/.."

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

build=yes long=no
for argument in "$@"; do
    case $argument in
    --no-build) build=no ;;
    --long) long=yes ;;
    *) die "usage: contrib/bench-relay.sh [--no-build] [--long]" ;;
    esac
done
seconds=${QCHAT_BENCH_SECONDS:-5}
postgres_cores=${QCHAT_BENCH_POSTGRES_CORES:-0}
seed=7 accounts=10000

if [ "$build" = yes ]; then
    # Apart: together, the daemon's SQLite would be the client's, which encrypts.
    cargo build --release --locked -p qchatd
    cargo build --release --locked -p qchat-tests --bin qchat-load
fi
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
qchatd=$target/release/qchatd qchat_load=$target/release/qchat-load
[ -x "$qchatd" ] && [ -x "$qchat_load" ] || die "$qchatd or qchat-load is not built"

server_core=() client_core=() postgres_core=()
if command -v taskset >/dev/null && [ "$(nproc)" -ge 2 ]; then
    server_core=(taskset -c 0) client_core=(taskset -c 1) postgres_core=(taskset -c "$postgres_cores")
else
    printf 'fewer than two cores, or no taskset: daemon and load tool share them\n' >&2
fi

directory=$(mktemp -d "${QCHAT_BENCH_DIR:-/tmp}/qchat-bench.XXXXXXXX")
chmod 711 "$directory"
pid=
stop_daemon() {
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } || true
    pid=
}
clean() {
    local status=$?
    trap - EXIT INT TERM
    stop_daemon
    [ ! -d "$directory/postgres" ] || contrib/postgres.sh stop "$directory/postgres" || true
    rm -rf "$directory"
    exit "$status"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start_daemon DATA: on what QCHATD_DATABASE names, or SQLite in DATA; sets pid, server and ready (ms).
start_daemon() {
    local address=$directory/address scheme=http begun
    rm -f "$address"
    begun=$(date +%s%N)
    # No limits: thousands of accounts come from one address.
    QCHATD_LOG=warn "${server_core[@]}" "$qchatd" serve --data-dir "$1" --listen 127.0.0.1:0 --address-file "$address" \
        --max-connections 20000 $unlimited >>"$directory/log" 2>&1 &
    pid=$!
    until [ -s "$address" ]; do
        kill -0 "$pid" 2>/dev/null || { cat "$directory/log" >&2; die "the daemon ended"; }
        sleep 0.002
    done
    ready=$((($(date +%s%N) - begun) / 1000000))
    [ -z "${QCHATD_TLS_KEY:-}" ] || scheme=https
    server=$scheme://$(cat "$address")/
}

# The flags that take the daemon's limits off, as far as it has them.
unlimited=
for flag in $("$qchatd" serve --help | grep -oE -- '--(account|address)-[a-z-]+-per-[a-z]+' | sort -u); do
    unlimited="$unlimited $flag 0"
done

load() {
    "${client_core[@]}" "$qchat_load" --server "$server" --pid "$pid" --seed "$seed" --seeded-accounts "$accounts" --quiet "$@"
}

heading() { printf '\n%s\n\n' "$1"; }
columns() {
    printf '| shape | deliveries/s | envelopes/s | to each member, ms: p50, p99 | acknowledged, ms: p50, p99 | daemon, cores | µs a delivery | MiB |\n'
    printf '|---|---|---|---|---|---|---|---|\n'
}
shapes() {
    columns
    load --row relay --rooms 100 --members 2 --window 16 --warm-up 2 --duration "$seconds"
    load --row relay --rooms 20 --members 10 --window 8 --warm-up 2 --duration "$seconds"
    load --row relay --rooms 4 --members 100 --window 1 --warm-up 2 --duration "$seconds"
    load --row relay --rooms 20 --members 10 --rate 250 --warm-up 2 --duration "$seconds"
}
fill() { "$qchatd" admin seed --data-dir "$1" --seed "$seed" --rooms 0 --accounts "$2" --json >/dev/null; }

# How long the disk takes for what a commit waits for.
dd if=/dev/zero of="$directory/disk" bs=16k count=200 oflag=dsync 2>"$directory/dd" || true
printf 'a synchronous write of 16 KiB: %s\n' "$(sed -n 's/.* copied, \([0-9.]*\) s.*/\1/p' "$directory/dd" | awk '{ printf "%.2f ms", $1 * 5 }')"
rm -f "$directory/disk"

heading "SQLite"
mkdir "$directory/sqlite"
fill "$directory/sqlite" "$accounts"
start_daemon "$directory/sqlite"
shapes
stop_daemon

heading "SQLite, over TLS"
"$qchatd" tls generate --data-dir "$directory/sqlite" 127.0.0.1 >/dev/null
export QCHATD_TLS_CERTIFICATE=$directory/sqlite/tls.crt QCHATD_TLS_KEY=$directory/sqlite/tls.key
start_daemon "$directory/sqlite"
shapes
load idle --connections "$accounts" --hold 5
stop_daemon
unset QCHATD_TLS_CERTIFICATE QCHATD_TLS_KEY

heading "PostgreSQL, on cores $postgres_cores"
mkdir -m 711 "$directory/postgres"
"${postgres_core[@]}" contrib/postgres.sh start "$directory/postgres"
QCHATD_DATABASE=$(cat "$directory/postgres/url")
export QCHATD_DATABASE
mkdir "$directory/with-postgres"
fill "$directory/with-postgres" 400
start_daemon "$directory/with-postgres"
shapes
stop_daemon
unset QCHATD_DATABASE
contrib/postgres.sh stop "$directory/postgres"

heading "Connections (SQLite)"
start_daemon "$directory/sqlite"
printf 'ready after %s ms, ' "$ready"
awk '/^VmRSS/ { printf "resident %.1f MiB\n", $2 / 1024 }' "/proc/$pid/status"
load idle --connections "$accounts" --hold 5
stop_daemon
start_daemon "$directory/sqlite"
load resume --connections 200 --at-once 64 --duration "$seconds"
load storm --connections 2000
stop_daemon

if [ "$long" = yes ]; then
    heading "10,000 connected accounts in 1,000 rooms, 1,000 messages a second in all (SQLite)"
    start_daemon "$directory/sqlite"
    columns
    load --row relay --rooms 1000 --members 10 --rate 1000 --warm-up 5 --duration "$seconds"
    stop_daemon

    heading "Beside what is idle (SQLite, 20 rooms of 10, 8 unanswered)"
    start_daemon "$directory/sqlite"
    columns
    load --row relay --rooms 20 --members 10 --window 8 --warm-up 2 --duration "$seconds"
    printf '\nand with 9,000 idle connections:\n\n'
    load idle --connections 9000 --after 1000 --hold 60 >"$directory/idle" &
    idle=$!
    # They are all there when the daemon has as many sockets.
    until [ "$(ls "/proc/$pid/fd" | wc -l)" -gt 9000 ]; do
        kill -0 "$idle" 2>/dev/null || die "the idle connections are gone"
        sleep 0.1
    done
    columns
    load --row relay --rooms 20 --members 10 --window 8 --warm-up 2 --duration "$seconds"
    kill "$idle" && wait "$idle" || true
    stop_daemon
    for stored in "1 10000 10" "1000 10000 10" "100000 1 2"; do
        read -r rooms messages members <<<"$stored"
        printf '\nand with %s rooms of %s envelopes each in the database:\n\n' "$rooms" "$messages"
        mkdir "$directory/stored"
        accounts=1000
        "$qchatd" admin seed --data-dir "$directory/stored" --seed "$seed" --accounts $accounts --rooms "$rooms" \
            --members "$members" --messages "$messages" --size 200 --json >/dev/null
        start_daemon "$directory/stored"
        columns
        load --seeded-rooms "$rooms" --seeded-members "$members" --row relay --rooms 20 --members 10 --window 8 \
            --warm-up 2 --duration "$seconds"
        stop_daemon
        rm -rf "$directory/stored"
    done

    heading "While 100 devices read a million stored envelopes (SQLite)"
    mkdir "$directory/full"
    accounts=300
    "$qchatd" admin seed --data-dir "$directory/full" --seed "$seed" --accounts $accounts --rooms 100 --members 10 \
        --messages 10000 --size 1000 --json >/dev/null
    start_daemon "$directory/full"
    columns
    seeded=(--seeded-rooms 100 --seeded-members 10)
    load --row "${seeded[@]}" relay --rooms 20 --members 10 --rate 250 --duration "$seconds"
    load --row "${seeded[@]}" relay --rooms 20 --members 10 --rate 250 --duration "$seconds" --pagers 100
    stop_daemon
fi
