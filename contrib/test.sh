#!/usr/bin/env bash
# All that CI checks, on a fresh Debian or Ubuntu machine with Rust and build-essential:
# format, lints, and every test of the workspace (unit, property, story on SQLite and PostgreSQL, layers, end-to-end
# through the built programs). Starts a PostgreSQL of its own in a temporary directory and ends it.
set -euo pipefail
cd "$(dirname "$0")/.."

heading() { if [ -t 1 ]; then printf '\n\033[1m==> %s\033[0m\n' "$*"; else printf '\n==> %s\n' "$*"; fi; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs a command as root when that is possible without asking.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

apt_updated=no
# install_package WHAT PACKAGE: installs PACKAGE, which brings WHAT, or says what to do.
install_package() {
    local what=$1 package=$2
    local remedy="$what is missing: install it, on Debian or Ubuntu with: sudo apt-get install $package"
    command -v apt-get >/dev/null || die "$remedy"
    as_root true || die "$remedy"
    if [ "$apt_updated" = no ]; then
        as_root apt-get update -q || die "$remedy"
        apt_updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$package" || die "$remedy"
}

# Prints the directory of PostgreSQL's server programs, the newest first.
postgres_programs() {
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

heading "What the build needs"
command -v cargo >/dev/null || die "cargo is missing: install Rust from https://rustup.rs and run this again"
command -v cc >/dev/null || install_package "a C compiler" build-essential
command -v make >/dev/null || install_package "make" make
# OpenSSL's configuration needs modules that the minimal perl of a base system lacks.
perl -MIPC::Cmd -MFindBin -e 1 2>/dev/null || install_package "perl" perl
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt || die "install rustfmt: rustup component add rustfmt"
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy || die "install clippy: rustup component add clippy"
postgres_programs >/dev/null || install_package "PostgreSQL's server" postgresql
programs=$(postgres_programs) || die "PostgreSQL's initdb is not found, though its package is installed"
[ -x "$programs/psql" ] || command -v psql >/dev/null || install_package "psql" postgresql-client
printf '%s, %s, %s\n' "$(cargo --version)" "$(cc --version | head -n 1)" "$("$programs/postgres" --version)"

heading "Format"
cargo fmt --all --check

heading "Lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

heading "Build"
# One build for the programs and all tests, so that features are unified once.
cargo build --workspace --bins --tests --locked

heading "PostgreSQL in a temporary directory"
# Not below TMPDIR: the unprivileged user must be able to walk there.
temporary=$(mktemp -d /tmp/qchat-test.XXXXXXXX)
chmod 711 "$temporary"
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
cluster=$temporary/cluster
mkdir "$cluster"
[ ${#unprivileged[@]} = 0 ] || chown "$user" "$cluster"

stop() {
    local status=$?
    trap - EXIT INT TERM
    if [ -f "$cluster/data/postmaster.pid" ]; then
        (cd / && "${unprivileged[@]}" "$programs/pg_ctl" -D "$cluster/data" -m immediate -w stop >/dev/null 2>&1) || true
    fi
    rm -rf "$temporary"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s\n' "$password" >"$cluster/password"
[ ${#unprivileged[@]} = 0 ] || chown "$user" "$cluster/password"
(cd / && "${unprivileged[@]}" "$programs/initdb" -D "$cluster/data" -U qchat --auth=scram-sha-256 \
    --pwfile="$cluster/password" --encoding=UTF8 --locale=C --no-sync >"$temporary/initdb.log" 2>&1) ||
    { cat "$temporary/initdb.log" >&2; die "initdb failed"; }
rm "$cluster/password"

# A free port is only free until somebody else takes it: try another one then.
started=no
for _ in 1 2 3 4 5; do
    port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)->sockport')
    if (cd / && "${unprivileged[@]}" "$programs/pg_ctl" -D "$cluster/data" -w -t 60 -l "$cluster/log" \
        -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$cluster -c max_connections=200" \
        start >/dev/null); then
        started=yes
        break
    fi
done
[ "$started" = yes ] || { cat "$cluster/log" >&2; die "PostgreSQL did not start"; }
export QCHAT_TEST_POSTGRES_URL="postgres://qchat:$password@127.0.0.1:$port/postgres"
export PATH="$programs:$PATH"
printf 'ready on 127.0.0.1:%s\n' "$port"

heading "Tests"
log=$temporary/tests.log
status=0
cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$log" || status=$?

# Cargo prints one line a test program: "test result: ok. 12 passed; 0 failed; 0 ignored; ...".
read -r passed failed ignored < <(awk '
    /^test result:/ { for (i = 2; i < NF; i++) {
        if ($(i + 1) == "passed;") passed += $i
        if ($(i + 1) == "failed;") failed += $i
        if ($(i + 1) == "ignored;") ignored += $i } }
    END { print passed + 0, failed + 0, ignored + 0 }' "$log")

heading "Result"
if [ "$ignored" != 0 ]; then
    grep -E '^test .* \.\.\. ignored' "$log" || true
    printf '%s tests were skipped, and none may be\n' "$ignored"
    status=1
fi
[ "$passed" != 0 ] || status=1
printf '%s passed, %s failed\n' "$passed" "$failed"
exit "$status"
