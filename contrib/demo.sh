#!/usr/bin/env bash
# Two people, one encrypted conversation, through the real programs: builds them, starts a daemon on SQLite in a
# temporary directory, lets alice and bob talk, and shows what the daemon keeps of it.
#
#   contrib/demo.sh          ends everything; on a terminal it first opens the TUI as alice, with bob answering
#   contrib/demo.sh --keep   leaves the daemon running and prints how to open two terminals
#
# Exit status 0 only if both sides read both messages and the daemon's files hold no plaintext.
# QCHAT_DEMO_CARGO_PROFILE=dev uses a debug build.
set -euo pipefail
cd "$(dirname "$0")/.."

keep=no
case ${1:-} in
    "") ;;
    --keep) keep=yes ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) printf 'usage: contrib/demo.sh [--keep]\n' >&2; exit 2 ;;
esac
[ $# -le 1 ] || { printf 'usage: contrib/demo.sh [--keep]\n' >&2; exit 2; }

step() { if [ -t 1 ]; then printf '\n\033[1m==> %s\033[0m\n' "$*"; else printf '\n==> %s\n' "$*"; fi; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

daemon=
answering=
temporary=
stop() {
    local status=$?
    trap - EXIT INT TERM
    [ -z "$answering" ] || { kill -- "-$answering" || kill "$answering"; wait "$answering"; } 2>/dev/null || true
    if [ "$keep" = yes ] && [ "$status" = 0 ]; then exit 0; fi
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
        if [ "$status" != 0 ] && [ -s "$temporary/qchatd.log" ]; then
            printf '\nThe end of the daemon'\''s log:\n' >&2
            tail -n 20 "$temporary/qchatd.log" >&2
        fi
    fi
    [ -z "$temporary" ] || rm -rf "$temporary"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "Building qchatd and qchat (the first time takes some minutes)"
command -v cargo >/dev/null || die "cargo is missing: install Rust from https://rustup.rs and run this again"
for tool in cc make perl; do
    command -v $tool >/dev/null || die "$tool is missing: sudo apt-get install build-essential perl"
done
profile=${QCHAT_DEMO_CARGO_PROFILE:-release}
cargo build --profile "$profile" --locked -p qchatd -p qchat-cli
programs=${CARGO_TARGET_DIR:-target}/${profile/#dev/debug}
programs=$(cd "$programs" && pwd)

temporary=$(mktemp -d "${TMPDIR:-/tmp}/qchat-demo.XXXXXXXX")
server=$temporary/server
mkdir -m 700 "$server" "$temporary/alice" "$temporary/bob"

step "Starting qchatd on a free loopback port, with SQLite in $server"
"$programs/qchatd" serve --data-dir "$server" --listen 127.0.0.1:0 --address-file "$temporary/address" \
    >"$temporary/qchatd.log" 2>&1 </dev/null &
daemon=$!
tries=0
until [ -s "$temporary/address" ]; do
    kill -0 "$daemon" 2>/dev/null || die "qchatd ended before it was ready"
    tries=$((tries + 1))
    [ $tries -le 300 ] || die "qchatd was not ready within 30 seconds"
    sleep 0.1
done
url=http://$(head -n 1 "$temporary/address")
printf 'ready at %s\n' "$url"

# Passphrases are drawn for this run; they are also what the daemon's files are searched for below.
for user in alice bob; do
    (umask 077; printf '%s-%s\n' "$user" "$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')" >"$temporary/$user/passphrase")
done
as() {
    local user=$1
    shift
    "$programs/qchat" --data-dir "$temporary/$user/data" --profile "$user" --server "$url" \
        --passphrase-file "$temporary/$user/passphrase" --no-input "$@"
}

step "Registering alice and bob (the passphrase never leaves this machine)"
as alice register alice --recovery-file "$temporary/alice/recovery"
as bob register bob --recovery-file "$temporary/bob/recovery"

step "Alice creates a room and invites bob; bob joins"
room=general-plum-lantern
as alice room create "$room"
as alice room invite "$room" bob
as bob room join "$room"

step "Both write"
from_alice="Hello Bob, the heron lands at noon."
from_bob="Hello Alice, noon it is; bring the umbrella."
as alice send "$room" "$from_alice"
as bob send "$room" "$from_bob"

step "What alice reads"
as alice history "$room"
step "What bob reads"
as bob history "$room"

for user in alice bob; do
    as "$user" history "$room" --json >"$temporary/$user/history.json"
    for text in "$from_alice" "$from_bob"; do
        [ "$(grep -c -F "\"body\":\"$text\"" "$temporary/$user/history.json")" = 1 ] ||
            die "$user did not read exactly once: $text"
    done
done
room_id=$(sed -n 's/.*"room_id":"\([0-9a-f]\{32\}\)".*/\1/p' "$temporary/alice/history.json" | head -n 1)
[ -n "$room_id" ] || die "the room's id does not stand in its history"

step "What the daemon stores for this room"
ls -l "$server"
# Envelopes are found in the database's files by their first fields, as docs/PROTOCOL.md gives them.
find "$server" -type f -print0 | sort -z | xargs -0 perl -e '
    my $room = pack("H*", shift);
    my %kinds = (1 => "application message", 2 => "commit", 3 => "proposal", 4 => "resync request");
    my (%seen, $count);
    sub varint {
        my ($data, $at) = @_;
        my ($value, $shift, $byte) = (0, 0);
        do { $byte = ord(substr($$data, $$at++, 1)); $value |= ($byte & 127) << $shift; $shift += 7 } while $byte & 128;
        return $value;
    }
    for my $file (@ARGV) {
        open(my $in, "<:raw", $file) or next;
        my $data = do { local $/; <$in> };
        while ($data =~ /\x0a\x10\Q$room\E\x12\x10(.{16})\x1a\x10.{16}\x20([\x01-\x04])/gs) {
            my ($id, $kind, $at) = ($1, ord($2), pos($data));
            if (substr($data, $at, 1) eq "\x28") { $at++; varint(\$data, \$at) }
            next if substr($data, $at++, 1) ne "\x32" || $seen{$id}++;
            my $size = varint(\$data, \$at);
            printf "%-20s %6d bytes of ciphertext\n", $kinds{$kind}, $size;
            $example = unpack("H*", substr($data, $at + 400, 48)) if $kind == 1;
            $count++;
        }
    }
    exit 1 if !$count;
    print "48 bytes out of an application message: $example\n";
' "$room_id" || die "no envelope of the room was found in the daemon's files"

step "Searching all of the daemon's files for plaintext"
search() { grep -r -F -a -l -e "$1" "$server" "$temporary/qchatd.log"; }
# The search itself works: names of accounts are known to the daemon, and found.
search alice >/dev/null || die "the search does not even find the account's name"
for secret in "$from_alice" "$from_bob" "heron lands" "bring the umbrella" "$room" \
    "$(cat "$temporary/alice/passphrase")" "$(cat "$temporary/bob/passphrase")"; do
    if found=$(search "$secret"); then die "plaintext found in $found"; fi
done
while read -r word; do
    # Single recovery words are dictionary words; the lines of the file are not.
    [ ${#word} -lt 12 ] || ! search "$word" >/dev/null || die "recovery words found in the daemon's files"
done < <(cat "$temporary/alice/recovery" "$temporary/bob/recovery")
printf 'Neither messages, nor the room'\''s name, passphrases or recovery words are there.\n'

if [ "$keep" = yes ]; then
    disown "$daemon"
    step "The daemon keeps running (process $daemon)"
    for user in alice bob; do
        printf '\nA terminal for %s:\n' "$user"
        printf '  %q --data-dir %q --profile %s --server %s --passphrase-file %q\n' "$programs/qchat" \
            "$temporary/$user/data" "$user" "$url" "$temporary/$user/passphrase"
    done
    printf '\nTo end it:\n  kill %s; rm -rf %q\n' "$daemon" "$temporary"
    exit 0
fi

if [ -t 0 ] && [ -t 1 ]; then
    step "Opening the TUI as alice; bob answers (Ctrl+C or Ctrl+Q ends it)"
    # A process group of its own, so that its listener ends with it.
    set -m
    (
        as bob listen "$room" --json | while IFS= read -r line; do
            case $line in
                *'"sender":"alice"'*) as bob send "$room" "I read you, Alice. (bob's script, $(date +%T))" >/dev/null ;;
            esac
        done
    ) </dev/null >/dev/null 2>"$temporary/bob/answering.log" &
    answering=$!
    set +m
    as alice || die "the TUI ended with status $?"
fi

step "Done: both sides read both messages"
