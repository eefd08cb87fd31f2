#!/usr/bin/env bash
# Which lines the tests run. `env` prints the environment in which builds count (source it, then build and test as
# usual: programs that tests start count too), `clean` forgets the counts of former runs, and `report [OPTIONS]` is
# `cargo llvm-cov report` over what has been counted since.
set -euo pipefail
cd "$(dirname "$0")/.."

# Only the workspace's own crates are made to count. The files with the counts are named by an absolute path, so that
# programs find them from any directory.
environment() {
    # A directory of its own: cargo does not tell builds that count from those that do not.
    export CARGO_TARGET_DIR=$PWD/target/coverage
    printf 'export CARGO_TARGET_DIR=%q\n' "$CARGO_TARGET_DIR"
    cargo llvm-cov show-env --sh --no-cfg-coverage 2>/dev/null
}

# Asked for a second time inside itself, cargo-llvm-cov would start itself for ever.
if [ -z "${CARGO_LLVM_COV_SHOW_ENV:-}" ]; then
    lines=$(environment)
    eval "$lines"
fi

case ${1:-} in
env)
    printf '%s\n' "${lines:-}"
    ;;
clean)
    find "$CARGO_TARGET_DIR" -maxdepth 1 \( -name '*.profraw' -o -name '*.profdata' \) -delete
    ;;
report)
    shift
    # Sources that are generated lie below target; tests, benchmarks and examples leave themselves out.
    # What a killed program has half written tells nothing; the others do.
    cargo llvm-cov report --locked --failure-mode all --ignore-filename-regex '/target/' "$@"
    ;;
*)
    printf 'usage: contrib/coverage.sh env|clean|report [OPTIONS]\n' >&2
    exit 2
    ;;
esac
