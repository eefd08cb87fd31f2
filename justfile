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

# Spelling (needs typos-cli).
typos:
    typos

# Licences, known weaknesses and sources of the dependencies (needs cargo-deny, and the network for RustSec's database).
deny:
    cargo deny check -A license-exception-not-encountered

# The lines that the tests of the last `just test` ran, as pages (needs cargo-llvm-cov).
coverage:
    contrib/coverage.sh report --html

# Every decoder against the fuzzer, for so many seconds in all (needs cargo-fuzz).
fuzz seconds="600" *targets:
    contrib/fuzz.sh {{seconds}} {{targets}}

# The relay's core in virtual time, under faults by a seed: CI runs 2,000; `just simulate 100000 5000` as many from 5000 on.
simulate seeds="2000" first="1":
    QCHAT_SIMULATION_SEEDS={{seeds}} QCHAT_SIMULATION_FIRST={{first}} cargo test --workspace --locked --test simulation whatever -- --nocapture

# Whether a test notices when the protocol's code is changed (needs cargo-mutants): all of it takes many hours, so name files
# as docs/quality.md does.
mutants *options:
    cargo mutants -p qchat-proto {{options}}

# Checks, lints and quick tests at every change (needs bacon).
watch:
    bacon

# Faults under load: the built daemon is killed, starved, cut off and flooded, and held to its promise. `just faults --list` says
# how; docs/quality.md has the figures of a long run (`just faults --long`), which takes PostgreSQL, Redis, HAProxy, faketime
# and root.
faults *options:
    cargo build --workspace --bins --tests --locked
    target/debug/qchat-faults {{options}}

# What a session's steps and the built programs cost; docs/performance.md explains the figures.
bench:
    cargo build --release --locked -p qchatd -p qchat-cli
    cargo bench --locked -p qchat-tests --bench session
    cargo bench --locked -p qchat-proto --bench groups
    taskset -c 1 cargo bench --locked -p qchat-proto --bench crypto -- --verbose
    cargo bench --locked -p qchat-tests --bench programs
    cargo bench --locked -p qchat-tests --bench directory -- 1000 100000
    cargo bench --locked -p qchat-tests --bench rooms -- 1000
    cargo bench --locked -p qchat-cli --bench search -- 1000000
    cargo bench --locked -p qchat-cli --bench screen -- 1000000

# What the relay does on one core, on both databases; `just bench-relay --long` adds what takes minutes.
bench-relay *options:
    contrib/bench-relay.sh {{options}}

# Whether the screen's memory stays flat while messages arrive: `just soak 60 50` for 60 minutes at 50 a second.
soak *options:
    cargo build --release --locked -p qchatd -p qchat-cli
    contrib/soak.sh {{options}}

# The manual, out of the definitions that the programs read their arguments and settings by.
man:
    rm -f man/*
    cargo run -p qchat-cli -- man --dir man
    cargo run -p qchatd -- man --dir man
