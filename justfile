# What one can do here. `just` lists it; each recipe is also a plain command.

_default:
    @just --list --unsorted

# Two people, one encrypted conversation; `just demo --keep` leaves the daemon running.
demo *arguments:
    contrib/demo.sh {{arguments}}

# All that CI checks.
test:
    contrib/test.sh

# The quick tests: everything beside the code, no database server, no built programs.
unit:
    cargo test --workspace --lib --bins --locked

# The directions in which the parts may know each other.
layers:
    cargo test -p qchat-tests --locked --test layers

# Formats every source.
fmt:
    cargo fmt --all

# The lints that CI holds.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Licences, known weaknesses and sources of the dependencies (needs cargo-deny).
deny:
    cargo deny check

# What a session's steps and the built programs cost; docs/performance.md explains the figures.
bench:
    cargo build --release --locked -p qchatd -p qchat-cli
    cargo bench --locked -p qchat-tests --bench session
    cargo bench --locked -p qchat-proto --bench groups
    taskset -c 1 cargo bench --locked -p qchat-proto --bench crypto -- --verbose
    cargo bench --locked -p qchat-tests --bench programs

# The manual, out of the definitions that the programs read their arguments and settings by.
man:
    rm -f man/*
    cargo run -p qchat-cli -- man --dir man
    cargo run -p qchatd -- man --dir man
