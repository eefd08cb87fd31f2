#!/usr/bin/env bash
# A PostgreSQL of the tests' own, on a free port of 127.0.0.1, that offers TLS and takes plain connections too.
#
#   contrib/postgres.sh programs       prints the directory of PostgreSQL's server programs
#   contrib/postgres.sh start DIR      starts a server in DIR, an empty directory that everybody may walk through, and
#                                      writes DIR/url, DIR/root.crt (who signed its certificate, which is made out to
#                                      127.0.0.1 and to no name) and DIR/other.crt (who did not)
#   contrib/postgres.sh stop DIR [MODE] ends it: immediately, or in another of pg_ctl's modes
#   contrib/postgres.sh again DIR      starts it again, on the same port, after it was stopped or killed
#   contrib/postgres.sh standby DIR PRIMARY   makes one in DIR that follows the one in PRIMARY, which from then on commits
#                                      nothing that is not on both disks; DIR is as for start, or that of a server which is
#                                      down: then it is made anew on its port
#   contrib/postgres.sh promote DIR    makes a standby the primary, which waits for a standby of its own with its first commit
#   contrib/postgres.sh alone DIR      has a primary commit without a standby
set -euo pipefail

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Prints the directory of PostgreSQL's server programs, the newest first.
programs() {
    local directory
    for directory in \
        "$(pg_config --bindir 2>/dev/null || true)" \
        $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr) \
        "$(dirname "$(command -v initdb || echo /nowhere/initdb)")"; do
        if [ -x "$directory/initdb" ] && [ -x "$directory/postgres" ] && [ -x "$directory/pg_ctl" ]; then
            printf '%s\n' "$directory"
            return
        fi
    done
    return 1
}

# PostgreSQL refuses to run as root.
unprivileged=()
if [ "$(id -u)" = 0 ]; then
    user=postgres
    id -u "$user" >/dev/null 2>&1 || user=nobody
    if command -v setpriv >/dev/null; then
        unprivileged=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
    else
        unprivileged=(runuser -u "$user" --)
    fi
fi

# Runs one of its programs as its user, from a directory that this user may be in.
run() { (cd / && "${unprivileged[@]}" "$@"); }

# A certificate authority of one certificate: NAME.key and NAME.crt in the current directory.
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$1 of the tests" \
        -keyout "$1.key" -out "$1.crt" 2>/dev/null
}

certificates() (
    cd "$1"
    umask 077
    authority root
    authority other
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=PostgreSQL of the tests" \
        -keyout server.key -out server.csr 2>/dev/null
    printf 'subjectAltName = IP:127.0.0.1\n' >server.ext
    openssl x509 -req -in server.csr -CA root.crt -CAkey root.key -CAcreateserial -days 3650 -extfile server.ext \
        -out server.crt 2>/dev/null
    rm root.key other.key server.csr server.ext
    chmod 644 root.crt other.crt
)

# serve DIR: starts the server of DIR with its options, and waits until it is ready.
serve() {
    run "$(programs)/pg_ctl" -D "$1/cluster/data" -w -t 60 -l "$1/cluster/log" -o "$(cat "$1/options")" start >/dev/null
}

# again DIR: one that was killed leaves a file behind that names its process, which may wait for its parent to be told; and
# children that end a moment later, and keep the memory until then.
again() {
    local directory pid
    directory=$(cd "$1" && pwd)
    for _ in $(seq 50); do
        if [ -f "$directory/cluster/data/postmaster.pid" ]; then
            pid=$(head -n 1 "$directory/cluster/data/postmaster.pid")
            case $(ps -o stat= -p "$pid" 2>/dev/null) in "" | Z*) rm -f "$directory/cluster/data/postmaster.pid" ;; esac
        fi
        serve "$directory" 2>/dev/null && return
        sleep 0.1
    done
    tail -n 20 "$directory/cluster/log" >&2
    die "PostgreSQL did not start again"
}

# listen DIR: starts the server of DIR on a free port, and prints that.
listen() {
    local cluster=$1/cluster port
    # A free port is only free until somebody else takes it: try another one then.
    for _ in 1 2 3 4 5; do
        port=$(perl -MIO::Socket::INET \
            -e 'print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)->sockport')
        printf '%s' "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$cluster \
            -c max_connections=200 -c ssl=on -c ssl_cert_file=$cluster/server.crt -c ssl_key_file=$cluster/server.key" \
            >"$1/options"
        if serve "$1"; then
            printf '%s\n' "$port"
            return
        fi
    done
    cat "$cluster/log" >&2
    die "PostgreSQL did not start"
}

# ask DIR SQL: what the server of DIR answers.
ask() {
    PATH="$(programs):$PATH" psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --command "$2" \
        --dbname "$(cat "$1/url")"
}

start() {
    local directory programs password port
    directory=$(cd "$1" && pwd)
    programs=$(programs) || die "PostgreSQL's initdb is not found"
    command -v openssl >/dev/null || die "openssl is missing"
    local cluster=$directory/cluster
    mkdir "$cluster"
    certificates "$directory" || die "openssl made no certificates"
    mv "$directory/server.key" "$directory/server.crt" "$cluster"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s\n' "$password" >"$cluster/password"
    [ ${#unprivileged[@]} = 0 ] || chown -R "$user" "$cluster"
    run "$programs/initdb" -D "$cluster/data" -U qchat --auth=scram-sha-256 --pwfile="$cluster/password" \
        --encoding=UTF8 --locale=C --no-sync >"$directory/initdb.log" 2>&1 ||
        { cat "$directory/initdb.log" >&2; die "initdb failed"; }
    rm "$cluster/password"
    port=$(listen "$directory")
    (umask 077 && printf 'postgres://qchat:%s@127.0.0.1:%s/postgres\n' "$password" "$port" >"$directory/url")
}

standby() {
    local directory primary port server
    directory=$(cd "$1" && pwd)
    primary=$(cd "$2" && pwd)
    local cluster=$directory/cluster
    if [ ! -d "$cluster" ]; then
        mkdir "$cluster"
        cp "$primary/cluster/server.key" "$primary/cluster/server.crt" "$cluster"
        cp "$primary/root.crt" "$primary/other.crt" "$directory"
        [ ${#unprivileged[@]} = 0 ] || chown -R "$user" "$cluster"
    fi
    rm -rf "$cluster/data"
    run "$(programs)/pg_basebackup" --pgdata "$cluster/data" --dbname "$(cat "$primary/url")" --checkpoint fast \
        --write-recovery-conf --no-sync
    if [ -f "$directory/options" ]; then
        again "$directory"
    else
        port=$(listen "$directory")
        (umask 077 && sed "s,@127.0.0.1:[0-9]*/,@127.0.0.1:$port/," "$primary/url" >"$directory/url")
    fi
    # Only now: a primary that waits for a standby which is not there commits nothing. The standby does so once it is the
    # primary.
    for server in "$directory" "$primary"; do
        ask "$server" "ALTER SYSTEM SET synchronous_standby_names = '*'"
        ask "$server" "SELECT pg_reload_conf()" >/dev/null
    done
    for _ in $(seq 600); do
        [ "$(ask "$primary" "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")" = 1 ] && return
        sleep 0.1
    done
    tail -n 20 "$cluster/log" >&2
    die "the standby does not follow"
}

promote() {
    run "$(programs)/pg_ctl" -D "$1/cluster/data" -w -t 60 promote >/dev/null
}

alone() {
    ask "$1" "ALTER SYSTEM RESET synchronous_standby_names"
    ask "$1" "SELECT pg_reload_conf()" >/dev/null
}

stop() {
    if [ -f "$1/cluster/data/postmaster.pid" ]; then
        run "$(programs)/pg_ctl" -D "$1/cluster/data" -m "${2:-immediate}" -w stop >/dev/null
    fi
}

case "${1-} $#" in
"programs 1") programs ;;
"start 2") start "$2" ;;
"stop 2") stop "$2" ;;
"stop 3") stop "$2" "$3" ;;
"again 2") again "$2" ;;
"standby 3") standby "$2" "$3" ;;
"promote 2") promote "$(cd "$2" && pwd)" ;;
"alone 2") alone "$2" ;;
*) die "usage: contrib/postgres.sh programs | start DIR | stop DIR [MODE] | again DIR | standby DIR PRIMARY |
    promote DIR | alone DIR" ;;
esac
