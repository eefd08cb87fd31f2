#!/usr/bin/env bash
# All that CI checks, on a fresh Debian or Ubuntu machine with Rust and build-essential:
# format, spelling, dependencies, lints, every test of the workspace (unit, property, story on SQLite and PostgreSQL,
# layers, end-to-end through the built programs), how many lines they run, and every decoder against a minute of
# fuzzing. Starts a PostgreSQL of its own in a temporary directory and ends it.
set -euo pipefail
cd "$(dirname "$0")/.."

# Each with the time since the start, so that it shows what a run is spent on.
heading() {
    local since
    printf -v since '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60))
    if [ -t 1 ]; then printf '\n\033[1m==> %s  %s\033[0m\n' "$since" "$*"; else printf '\n==> %s  %s\n' "$since" "$*"; fi
}
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

# is_there COMMAND VERSION: whether the tool is installed in exactly this version.
is_there() {
    read -ra command <<<"$1"
    [[ $("${command[@]}" --version 2>/dev/null) = *" $2" ]]
}

# install_tool COMMAND PACKAGE VERSION: one of cargo's tools, in exactly this version.
install_tool() {
    local package=$2 version=$3
    is_there "$1" "$version" && return
    printf 'installing %s %s\n' "$package" "$version"
    # Without optimisation: it would take longer to build than it runs.
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=target/tools/$package \
        cargo install --debug --locked --quiet "$package@$version" ||
        die "$package is missing: install it with: cargo install --locked $package@$version"
    rm -rf "target/tools/$package"
}

# The share of lines that the tests have to run, per cent.
least_coverage=80

heading "What the build needs"
command -v cargo >/dev/null || die "cargo is missing: install Rust from https://rustup.rs and run this again"
command -v cc >/dev/null || install_package "a C compiler" build-essential
command -v make >/dev/null || install_package "make" make
# OpenSSL's configuration needs modules that the minimal perl of a base system lacks.
perl -MIPC::Cmd -MFindBin -e 1 2>/dev/null || install_package "perl" perl
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt || die "install rustfmt: rustup component add rustfmt"
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy || die "install clippy: rustup component add clippy"
rustup component list --installed 2>/dev/null | grep -q '^llvm-tools' || rustup component add llvm-tools ||
    die "install llvm-tools: rustup component add llvm-tools"
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
# As a program that is built already, where Python can bring it.
if ! is_there typos 1.52.0 && python3 -m pip install --quiet --target target/typos typos==1.52.0 2>/dev/null; then
    export PATH="$PWD/target/typos/bin:$PATH"
fi
install_tool typos typos-cli 1.52.0
install_tool "cargo llvm-cov" cargo-llvm-cov 0.9.1
contrib/postgres.sh programs >/dev/null || install_package "PostgreSQL's server" postgresql
programs=$(contrib/postgres.sh programs) || die "PostgreSQL's initdb is not found, though its package is installed"
command -v systemd-analyze >/dev/null || install_package "systemd-analyze" systemd
command -v openssl >/dev/null || install_package "openssl" openssl
for shell in zsh fish; do command -v "$shell" >/dev/null || install_package "$shell" "$shell"; done; export QCHAT_TEST_SHELLS="bash zsh fish"
command -v redis-server >/dev/null || install_package "redis-server" redis-server
command -v prlimit >/dev/null || install_package "prlimit" util-linux
ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || install_package "libfaketime" faketime
command -v haproxy >/dev/null || install_package "haproxy" haproxy
command -v dbus-run-session >/dev/null || install_package "dbus-run-session" dbus
command -v gnome-keyring-daemon >/dev/null || install_package "a keyring" gnome-keyring
[ -x "$programs/psql" ] || command -v psql >/dev/null || install_package "psql" postgresql-client
printf '%s, %s, %s\n' "$(cargo --version)" "$(cc --version | head -n 1)" "$("$programs/postgres" --version)"

heading "Format"
cargo fmt --all --check

heading "The service's sandbox"
# Ten times the exposure that `security` prints at its end.
systemd-analyze security --offline=true --threshold=11 contrib/systemd/qchatd.service
# The program is installed where it runs, not here.
wrong=$(systemd-analyze verify --man=no contrib/systemd/qchatd.service contrib/systemd/qchatd.socket 2>&1 |
    grep -v 'qchatd is not executable' || true)
[ -z "$wrong" ] || die "$wrong"

heading "Spelling"
typos

# Panics and errors say where they are without it, and there is much less to compile and to link.
export CARGO_PROFILE_DEV_DEBUG=0
# What is built once is built faster so.
export CARGO_INCREMENTAL=0

# Not below TMPDIR: the unprivileged user must be able to walk there.
temporary=$(mktemp -d /tmp/qchat-test.XXXXXXXX)
chmod 711 "$temporary"
besides=
stop() {
    local status=$?
    trap - EXIT INT TERM
    [ -z "$besides" ] || kill -- "-$besides" 2>/dev/null || true
    contrib/postgres.sh stop "$temporary" || true
    rm -rf "$temporary"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What is needed last is built with what the tests leave of the processor: they wait often.
build_besides() {
    install_tool "cargo deny" cargo-deny 0.20.2
    install_tool "cargo fuzz" cargo-fuzz 0.13.2
    contrib/fuzz.sh --build
}
set -m
(renice -n 19 "$BASHPID"; build_besides) >"$temporary/besides.log" 2>&1 &
besides=$!
set +m

# From here on what is built counts the lines that run.
environment=$(contrib/coverage.sh env)
eval "$environment"

heading "Build, and the lints of what is built"
# Clippy is the compiler of this workspace's own crates: what it compiles is what the tests run, so that nothing is compiled
# twice. One build for the programs, tests, benchmarks and examples, so that features are unified once.
RUSTC_WORKSPACE_WRAPPER=$(rustup which clippy-driver)
export RUSTC_WORKSPACE_WRAPPER CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
cargo build --workspace --all-targets --locked

heading "PostgreSQL in a temporary directory"
contrib/postgres.sh start "$temporary"
QCHAT_TEST_POSTGRES_URL=$(cat "$temporary/url")
export QCHAT_TEST_POSTGRES_URL
# It offers TLS: who signed its certificate, and somebody else.
export QCHAT_TEST_POSTGRES_ROOT_CERT="$temporary/root.crt" QCHAT_TEST_POSTGRES_OTHER_CERT="$temporary/other.crt"
export PATH="$programs:$PATH"
printf 'ready on %s\n' "${QCHAT_TEST_POSTGRES_URL##*@}"

heading "Tests"
contrib/coverage.sh clean
# Programs that are tested wait often: for one another, and for what is to happen later.
RUST_TEST_THREADS=$(($(nproc) + 1))
export RUST_TEST_THREADS
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

heading "Lines that the tests run"
# Without what programs ran that a test has killed, and with the tests that stand beside the code.
contrib/coverage.sh report --summary-only --fail-under-lines "$least_coverage" >"$temporary/coverage" ||
    { printf 'less than %s %% of the lines\n' "$least_coverage"; status=1; }
awk '$1 ~ /\// { split($1, path, "/"); lines[path[1]] += $8; missed[path[1]] += $9 }
    $1 == "TOTAL" { lines["in all"] = $8; missed["in all"] = $9 }
    END { for (part in lines) printf "%-14s %6.2f %% of %6d lines\n", part, 100 - 100 * missed[part] / lines[part], lines[part] }' \
    "$temporary/coverage" | sort -r

heading "What was built beside the tests"
wait "$besides" || { cat "$temporary/besides.log"; die "the tools that check the dependencies and fuzz are not there"; }
besides=

heading "Dependencies"
# All but the advisories, whose database is not here: deny.toml has the versions that are safe.
cargo deny --locked check -A license-exception-not-encountered bans licenses sources || status=1
# The fuzz targets have fewer: what deny.toml says beside them is no mistake.
cargo deny --locked --manifest-path qchat-proto/fuzz/Cargo.toml \
    check -A unmatched-skip -A unmatched-skip-root -A unnecessary-skip -A license-not-encountered bans licenses sources ||
    status=1

heading "A minute of fuzzing"
# Built as always: the counts are for the tests.
env -u RUSTC_WRAPPER -u RUSTC_WORKSPACE_WRAPPER -u CARGO_TARGET_DIR contrib/fuzz.sh 60 || status=1

heading "Result"
if [ "$ignored" != 0 ]; then
    grep -E '^test .* \.\.\. ignored' "$log" || true
    printf '%s tests were skipped, and none may be\n' "$ignored"
    status=1
fi
[ "$passed" != 0 ] || status=1
printf '%s passed, %s failed\n' "$passed" "$failed"
exit "$status"
