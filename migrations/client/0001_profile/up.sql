-- What one device remembers. Ids are 16 bytes; a seq is a position in a room's log, 0 stands before the first.

-- This device and its account; one row, written when the account is registered or the device is linked.
CREATE TABLE identity (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    account BLOB NOT NULL,
    device BLOB NOT NULL,
    name TEXT NOT NULL,
    server_url TEXT NOT NULL,
    server_id BLOB NOT NULL,
    device_key BLOB NOT NULL,
    account_key BLOB NOT NULL,
    certificate BLOB NOT NULL,
    list_version INTEGER NOT NULL
) STRICT;

-- Access to the daemon; one row. refresh_attempt is the idempotency key of an exchange that was begun.
CREATE TABLE session (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    access_token TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    refresh_token TEXT NOT NULL,
    refresh_attempt BLOB
) STRICT;

-- KeyPackages whose private halves this device holds.
CREATE TABLE key_packages (
    id BLOB PRIMARY KEY NOT NULL,
    data BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    last_resort INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- People. pinned is what the next answer of the daemon is held against; changed_record is what the daemon now says where it differs from the pinned record, until it is accepted.
CREATE TABLE contacts (
    account BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    record BLOB NOT NULL,
    pinned BLOB NOT NULL,
    device_list BLOB NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    changed_record BLOB,
    verified INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Account keys by their hash, as credentials name them; those of an earlier pin stay.
CREATE TABLE account_keys (
    key_hash BLOB PRIMARY KEY NOT NULL,
    account BLOB NOT NULL,
    public_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The few numbers of a room that change with every envelope, and how far its people have read.
CREATE TABLE rooms (
    room BLOB PRIMARY KEY NOT NULL,
    phase INTEGER NOT NULL,
    phase_seq INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    head BLOB NOT NULL,
    commit_seq INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    read_seq INTEGER NOT NULL DEFAULT 0,
    active_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE room_settings (
    room BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    settings BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX room_settings_name ON room_settings (name);

CREATE TABLE invitations (
    room BLOB PRIMARY KEY NOT NULL,
    seq INTEGER NOT NULL,
    inviter BLOB NOT NULL,
    name TEXT
) STRICT, WITHOUT ROWID;

-- MLS state: large values, so the rows stay in a table with a rowid.
CREATE TABLE groups (
    room BLOB PRIMARY KEY NOT NULL,
    state BLOB NOT NULL
) STRICT;

CREATE TABLE heads (
    room BLOB NOT NULL,
    seq INTEGER NOT NULL,
    head BLOB NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    room BLOB NOT NULL,
    device BLOB NOT NULL,
    counter INTEGER NOT NULL,
    PRIMARY KEY (room, device)
) STRICT, WITHOUT ROWID;

-- The daemon's list of devices, as all declared deltas make it.
CREATE TABLE listed (
    room BLOB NOT NULL,
    account BLOB NOT NULL,
    device BLOB NOT NULL,
    PRIMARY KEY (room, account, device)
) STRICT, WITHOUT ROWID;

-- The group's own roster.
CREATE TABLE roster (
    room BLOB NOT NULL,
    account BLOB NOT NULL,
    device BLOB NOT NULL,
    PRIMARY KEY (room, account, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX roster_account ON roster (account);

CREATE TABLE lapsed (
    room BLOB NOT NULL,
    device BLOB NOT NULL,
    PRIMARY KEY (room, device)
) STRICT, WITHOUT ROWID;

-- What waits to be said, by position. sealed is an encoded Publish: envelope, Welcomes, tree.
CREATE TABLE outbox (
    room BLOB NOT NULL,
    position INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    want BLOB NOT NULL,
    state INTEGER NOT NULL,
    state_seq INTEGER NOT NULL,
    sealed BLOB,
    PRIMARY KEY (room, position)
) STRICT;
CREATE UNIQUE INDEX outbox_message ON outbox (room, message_id);

-- Own envelopes that left the outbox before the inbox reached them.
CREATE TABLE own (
    room BLOB NOT NULL,
    message_id BLOB NOT NULL,
    logged_hash BLOB NOT NULL,
    PRIMARY KEY (room, message_id)
) STRICT, WITHOUT ROWID;

-- Messages (message_id, account and device set) and notices (all three null). "row" grows with every stored line.
-- place orders the lines: the seq; the largest integer while pending; for a failed one the seq it failed after.
CREATE TABLE timeline (
    "row" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    room BLOB NOT NULL,
    place INTEGER NOT NULL,
    seq INTEGER,
    message_id BLOB,
    account BLOB,
    device BLOB,
    epoch INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL,
    delivery INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX timeline_message ON timeline (room, device, message_id) WHERE message_id IS NOT NULL;
-- Serves pages, and counts what is unread without touching the table.
CREATE INDEX timeline_place ON timeline (room, place, "row", account);
