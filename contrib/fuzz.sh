#!/usr/bin/env bash
# Fuzzes every decoder for SECONDS in total (60 unless told), shared evenly among the targets. What was found worth
# keeping goes on in the next run, from target/fuzz/corpus; what breaks a target is left in target/fuzz/artifacts.
# `contrib/fuzz.sh 3600 messages stored` fuzzes these two alone; `contrib/fuzz.sh --build` only builds them all.
set -euo pipefail
cd "$(dirname "$0")/.."

# Each with the length that its input may have, bytes.
table='
frames          4096   frames of both directions
envelopes       4096   envelopes, and the changes that they declare
rest            4096   JSON bodies of the REST interface
content         2048   content, its padding, room settings
names            256   ids, user names, ids of pre-shared keys, fault codes, safety numbers
sanitize        1024   what peers say, on a screen
recovery_words   512   recovery words
statements      4096   account record, device list, certificate, credential, pin, a whole directory
signed          2048   the same, of which each edit is signed
links           8192   what two devices say to each other when one is linked, labels of devices, notes of accounts
backups        16384   heads, keys, chunks and items of backups, recovery proofs
keys            4096   public keys, signatures, login proofs
sealed          2048   HPKE keys and ciphertexts
authenticated   4096   authenticated data, requests to be added again
key_packages    8192   KeyPackages, and for whom a Welcome is
welcomes        8192   Welcomes and ratchet trees
messages        4096   application messages, proposals, commits
stored          8192   stored groups and their trees
anchors         1024   where in the log a joiner begins
vault           1024   the file with the wrapped key of the database
agent             64   what goes to an agent and comes from it
tokens          2048   access tokens
hints           2048   what nodes tell each other
directory       4096   heads of the key directory, ways between them, proofs, entries
'

build() {
    # Without a sanitizer, which a stable compiler does not have: all this code is safe Rust or a library's.
    cargo fuzz build --fuzz-dir qchat-proto/fuzz --sanitizer none --target-dir target/fuzz
}
if [ "${1:-}" = --build ]; then
    build
    exit
fi

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { printf 'usage: contrib/fuzz.sh [SECONDS [TARGET…]] | --build\n' >&2; exit 2; }
shift || true

names=()
declare -A lengths
while read -r name length _; do
    [ -n "$name" ] || continue
    lengths[$name]=$length
    names+=("$name")
done <<<"$table"
[ $# = 0 ] || names=("$@")

build
host=$(rustc -vV | sed -n 's/^host: //p')

share=$((seconds / ${#names[@]}))
[ "$share" -gt 0 ] || share=1
status=0
for name in "${names[@]}"; do
    [ -n "${lengths[$name]:-}" ] || { printf 'error: there is no target %s\n' "$name" >&2; exit 2; }
    corpus=target/fuzz/corpus/$name
    artifacts=target/fuzz/artifacts/$name
    mkdir -p "$corpus" "$artifacts"
    log=target/fuzz/$name.log
    if "target/fuzz/$host/release/$name" "$corpus" -max_total_time="$share" -max_len="${lengths[$name]}" -timeout=20 \
        -rss_limit_mb=2048 -artifact_prefix="$artifacts/" -print_final_stats=1 >"$log" 2>&1; then
        awk -v name="$name" '/^stat::number_of_executed_units/ { runs = $2 } /^#.* cov: / { edges = $4 }
            END { printf "%-16s %9d runs, %5d edges of the code\n", name, runs, edges }' "$log"
    else
        printf '%s BROKE, see %s:\n' "$name" "$log"
        grep -A 4 -E 'panicked|ERROR: libFuzzer|Test unit written' "$log" || tail -n 20 "$log"
        status=1
    fi
done
exit "$status"
