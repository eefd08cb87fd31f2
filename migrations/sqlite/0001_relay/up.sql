-- Who this database is: part of what a login signs.
CREATE TABLE server (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    server_id BLOB NOT NULL CHECK (length(server_id) = 16),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 32),
    record BLOB NOT NULL,
    device_list BLOB NOT NULL,
    device_list_version INTEGER NOT NULL,
    auth_salt BLOB NOT NULL CHECK (length(auth_salt) = 16),
    verifier_salt BLOB NOT NULL CHECK (length(verifier_salt) = 16),
    verifier BLOB NOT NULL CHECK (length(verifier) = 32),
    created_at INTEGER NOT NULL
) STRICT;

-- listed: whether the newest device list names the device.
CREATE TABLE devices (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    certificate BLOB NOT NULL,
    listed INTEGER NOT NULL CHECK (listed IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_account ON devices (account_id);

-- A claimed package keeps its digest, so that a repeated upload cannot bring it back.
CREATE TABLE key_packages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id BLOB NOT NULL REFERENCES devices (id),
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    last_resort INTEGER NOT NULL CHECK (last_resort IN (0, 1)),
    claimed INTEGER NOT NULL CHECK (claimed IN (0, 1)),
    package BLOB,
    CHECK (claimed = 1 OR package IS NOT NULL)
) STRICT;
CREATE INDEX key_packages_left ON key_packages (device_id, id) WHERE claimed = 0 AND last_resort = 0;
CREATE UNIQUE INDEX key_packages_last_resort ON key_packages (device_id) WHERE last_resort = 1;

-- A session is a family of refresh tokens, of which at most one is unused.
CREATE TABLE sessions (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    device_id BLOB NOT NULL REFERENCES devices (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_device ON sessions (device_id);

CREATE TABLE refresh_tokens (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    used_with BLOB,
    CHECK ((used_at IS NULL) = (used_with IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- Challenges that a login has used, until they would have expired anyway.
CREATE TABLE spent_nonces (
    nonce BLOB PRIMARY KEY CHECK (length(nonce) = 32),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_nonces_by_expiry ON spent_nonces (expires_at);

CREATE TABLE rooms (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    creator_device BLOB NOT NULL REFERENCES devices (id),
    next_seq INTEGER NOT NULL CHECK (next_seq >= 1),
    commit_seq INTEGER NOT NULL CHECK (commit_seq >= 0 AND commit_seq < next_seq),
    created_at INTEGER NOT NULL
) STRICT;

-- standing: 1 full, 2 invited, 3 removed, 4 declined. waiting: its Welcome was neither accepted nor declined.
-- A device reads read_after < seq <= read_until (no end when null), and past_after < seq <= past_until of the
-- membership before.
CREATE TABLE members (
    room_id BLOB NOT NULL REFERENCES rooms (id),
    device_id BLOB NOT NULL REFERENCES devices (id),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    standing INTEGER NOT NULL CHECK (standing BETWEEN 1 AND 4),
    once_full INTEGER NOT NULL CHECK (once_full IN (0, 1)),
    waiting INTEGER NOT NULL CHECK (waiting IN (0, 1)),
    read_after INTEGER NOT NULL,
    read_until INTEGER,
    past_after INTEGER NOT NULL,
    past_until INTEGER NOT NULL,
    confirmed INTEGER NOT NULL,
    PRIMARY KEY (room_id, device_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_device ON members (device_id);

-- logged: the bytes as they came; null once retention has deleted them. The rest outlives them.
CREATE TABLE envelopes (
    id INTEGER PRIMARY KEY,
    room_id BLOB NOT NULL REFERENCES rooms (id),
    seq INTEGER NOT NULL CHECK (seq >= 1),
    sender_device BLOB NOT NULL REFERENCES devices (id),
    message_id BLOB NOT NULL CHECK (length(message_id) = 16),
    size INTEGER NOT NULL,
    logged BLOB,
    UNIQUE (room_id, seq),
    UNIQUE (message_id, sender_device, room_id)
) STRICT;

CREATE TABLE ratchet_trees (
    room_id BLOB NOT NULL REFERENCES rooms (id),
    seq INTEGER NOT NULL,
    tree BLOB NOT NULL,
    PRIMARY KEY (room_id, seq)
) STRICT;

CREATE TABLE welcomes (
    room_id BLOB NOT NULL,
    device_id BLOB NOT NULL REFERENCES devices (id),
    seq INTEGER NOT NULL,
    inviter BLOB NOT NULL REFERENCES accounts (id),
    welcome BLOB NOT NULL,
    PRIMARY KEY (room_id, device_id),
    FOREIGN KEY (room_id, seq) REFERENCES ratchet_trees (room_id, seq)
) STRICT;
CREATE INDEX welcomes_by_tree ON welcomes (room_id, seq);
