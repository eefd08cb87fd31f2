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

heading "What the build needs"
command -v cargo >/dev/null || die "cargo is missing: install Rust from https://rustup.rs and run this again"
command -v cc >/dev/null || install_package "a C compiler" build-essential
command -v make >/dev/null || install_package "make" make
# OpenSSL's configuration needs modules that the minimal perl of a base system lacks.
perl -MIPC::Cmd -MFindBin -e 1 2>/dev/null || install_package "perl" perl
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt || die "install rustfmt: rustup component add rustfmt"
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy || die "install clippy: rustup component add clippy"
contrib/postgres.sh programs >/dev/null || install_package "PostgreSQL's server" postgresql
programs=$(contrib/postgres.sh programs) || die "PostgreSQL's initdb is not found, though its package is installed"
command -v openssl >/dev/null || install_package "openssl" openssl
for shell in zsh fish; do command -v "$shell" >/dev/null || install_package "$shell" "$shell"; done; export QCHAT_TEST_SHELLS="bash zsh fish"
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
stop() {
    local status=$?
    trap - EXIT INT TERM
    contrib/postgres.sh stop "$temporary" || true
    rm -rf "$temporary"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
contrib/postgres.sh start "$temporary"
QCHAT_TEST_POSTGRES_URL=$(cat "$temporary/url")
export QCHAT_TEST_POSTGRES_URL
# It offers TLS: who signed its certificate, and somebody else.
export QCHAT_TEST_POSTGRES_ROOT_CERT="$temporary/root.crt" QCHAT_TEST_POSTGRES_OTHER_CERT="$temporary/other.crt"
export PATH="$programs:$PATH"
printf 'ready on %s\n' "${QCHAT_TEST_POSTGRES_URL##*@}"

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
