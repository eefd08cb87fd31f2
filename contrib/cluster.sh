#!/usr/bin/env bash
# Several qchatd on one PostgreSQL, with Redis between them and HAProxy in front, on this machine alone.
#
#   contrib/cluster.sh run [N]              runs N nodes (3) in a temporary directory until Ctrl-C
#   contrib/cluster.sh start DIR [N]        starts them in DIR, an empty directory that everybody may walk through, and writes
#                                           DIR/address (of HAProxy) and DIR/nodes (an address a line)
#   contrib/cluster.sh kill DIR WHO         ends a node as a power cut would; nodes are counted from 1, and `redis` is Redis
#   contrib/cluster.sh restart DIR WHO      lets a node or Redis end, or finds it killed, and starts it again
#   contrib/cluster.sh stop DIR             ends everything
#
# Needs redis-server, haproxy and PostgreSQL's server (apt-get install redis-server haproxy postgresql), and a built qchatd:
# QCHATD names it, else it is looked for in target/release and target/debug. With QCHATD_DATABASE in the environment that
# database is used, and no PostgreSQL is started.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

free_port() {
    perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)->sockport'
}

# eventually WHAT COMMAND...: waits up to half a minute for a command to succeed.
eventually() {
    local what=$1
    shift
    for _ in $(seq 600); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    die "$what: not within half a minute"
}

# Whether somebody listens on a port of this machine.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

daemon() {
    local candidate
    for candidate in "${QCHATD-}" "$here/../target/release/qchatd" "$here/../target/debug/qchatd"; do
        [ -n "$candidate" ] && [ -x "$candidate" ] && { printf '%s\n' "$candidate"; return; }
    done
    die "qchatd is not built: cargo build --release --bin qchatd"
}

# end DIR SIGNAL: ends the process of DIR/pid, and waits until it has.
end() {
    [ -f "$1/pid" ] || return 0
    local pid
    pid=$(cat "$1/pid")
    kill "-$2" "$pid" 2>/dev/null || true
    for _ in $(seq 600); do
        # One that has ended and waits for its parent to be told is as good as gone.
        case $(ps -o stat= -p "$pid" 2>/dev/null) in "" | Z*) rm -f "$1/pid"; return ;; esac
        sleep 0.05
    done
    die "process $pid does not end"
}

# node DIR NUMBER: starts a node on its port, with what the others share.
node() {
    local directory=$1 number=$2 home=$1/node-$2
    mkdir -p "$home"
    [ -f "$home/port" ] || free_port >"$home/port"
    rm -f "$home/address"
    # URLs with passwords stand in no argument list.
    QCHATD_DATABASE=$(cat "$directory/database") QCHATD_REDIS_URL_FILE=$directory/redis/url \
        QCHATD_PEPPER_FILE=$directory/pepper.key QCHATD_TOKEN_KEY_FILE=$directory/token.key QCHATD_PROXY_PROTOCOL=true \
        setsid "$(daemon)" serve --node-name "node-$number" --data-dir "$home/data" \
        --listen "127.0.0.1:$(cat "$home/port")" --address-file "$home/address" --log-format json \
        </dev/null >>"$home/log" 2>&1 &
    printf '%s\n' $! >"$home/pid"
    eventually "node $number is ready (see $home/log)" test -s "$home/address"
}

start_redis() {
    local home=$1/redis password port
    mkdir "$home"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    port=$(free_port)
    (umask 077
        printf 'port %s\nbind 127.0.0.1\nrequirepass %s\nsave ""\nappendonly no\ndir %s\n' "$port" "$password" "$home" \
            >"$home/redis.conf"
        printf 'redis://:%s@127.0.0.1:%s\n' "$password" "$port" >"$home/url")
    serve_redis "$home"
}

# serve_redis HOME: starts Redis as HOME/redis.conf says.
serve_redis() {
    local port
    port=$(sed -n 's/^port //p' "$1/redis.conf")
    setsid redis-server "$1/redis.conf" </dev/null >>"$1/log" 2>&1 &
    printf '%s\n' $! >"$1/pid"
    eventually "Redis listens" listens "$port"
}

# home DIR WHO: where a node, by its number, or Redis lives.
home() { if [ "$2" = redis ]; then printf '%s\n' "$1/redis"; else printf '%s\n' "$1/node-$2"; fi; }

# again DIR WHO: lets a node or Redis end, and starts it again.
again() {
    end "$(home "$1" "$2")" TERM
    if [ "$2" = redis ]; then serve_redis "$1/redis"; else node "$1" "$2"; fi
}

start_haproxy() {
    local directory=$1 home=$1/haproxy port number=0 address
    mkdir "$home"
    port=$(free_port)
    {
        # As many connections as this machine lets a process have.
        sed -e "s/^    bind .*/    bind 127.0.0.1:$port/" -e '/^    server /d' -e '/^    maxconn /d' "$here/cluster/haproxy.cfg"
        while read -r address; do
            number=$((number + 1))
            printf '    server node-%s %s\n' "$number" "$address"
        done <"$directory/nodes"
    } >"$home/haproxy.cfg"
    setsid haproxy -db -f "$home/haproxy.cfg" </dev/null >"$home/log" 2>&1 &
    printf '%s\n' $! >"$home/pid"
    eventually "HAProxy listens (see $home/log)" listens "$port"
    printf '127.0.0.1:%s\n' "$port" >"$directory/address"
}

start() {
    local directory number count=${2:-3}
    directory=$(cd "$1" && pwd)
    command -v redis-server >/dev/null || die "redis-server is missing: apt-get install redis-server"
    command -v haproxy >/dev/null || die "haproxy is missing: apt-get install haproxy"
    daemon >/dev/null
    umask 022
    if [ -n "${QCHATD_DATABASE-}" ]; then
        (umask 077 && printf '%s\n' "$QCHATD_DATABASE" >"$directory/database")
    else
        mkdir "$directory/postgres"
        chmod 711 "$directory/postgres"
        "$here/postgres.sh" start "$directory/postgres"
        (umask 077 && cp "$directory/postgres/url" "$directory/database")
    fi
    start_redis "$directory"
    # One by one: the first makes the keys that all share.
    for number in $(seq "$count"); do
        node "$directory" "$number"
        cat "$directory/node-$number/address"
    done >"$directory/nodes"
    start_haproxy "$directory"
}

stop() {
    local home
    for home in "$1"/haproxy "$1"/node-* "$1"/redis; do end "$home" TERM; done
    [ ! -d "$1/postgres" ] || "$here/postgres.sh" stop "$1/postgres"
}

run() {
    local directory
    # Not below TMPDIR: PostgreSQL's user must be able to walk there.
    directory=$(mktemp -d /tmp/qchat-cluster.XXXXXXXX)
    chmod 711 "$directory"
    trap 'trap - EXIT INT TERM; stop "$directory" || true; rm -rf "$directory"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start "$directory" "$1"
    printf 'http://%s leads to %s nodes; %s has their logs. Ctrl-C ends them.\n' \
        "$(cat "$directory/address")" "$1" "$directory"
    printf 'try: qchat --server http://%s register alice\n' "$(cat "$directory/address")"
    while :; do sleep 3600 & wait $!; done
}

case "${1-} $#" in
"run 1") run 3 ;;
"run 2") run "$2" ;;
"start 2" | "start 3") start "$2" "${3:-3}" ;;
"kill 3") end "$(home "$2" "$3")" KILL ;;
"restart 3") again "$(cd "$2" && pwd)" "$3" ;;
"stop 2") stop "$2" ;;
*) die "usage: contrib/cluster.sh run [N] | start DIR [N] | kill DIR WHO | restart DIR WHO | stop DIR" ;;
esac
