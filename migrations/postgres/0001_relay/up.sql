-- Who this database is: part of what a login signs.
CREATE TABLE server (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    server_id BYTEA NOT NULL CHECK (length(server_id) = 16),
    created_at BIGINT NOT NULL
);

CREATE TABLE accounts (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 32),
    record BYTEA NOT NULL,
    device_list BYTEA NOT NULL,
    device_list_version BIGINT NOT NULL,
    auth_salt BYTEA NOT NULL CHECK (length(auth_salt) = 16),
    verifier_salt BYTEA NOT NULL CHECK (length(verifier_salt) = 16),
    verifier BYTEA NOT NULL CHECK (length(verifier) = 32),
    created_at BIGINT NOT NULL
);

-- listed: whether the newest device list names the device.
CREATE TABLE devices (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    account_id BYTEA NOT NULL REFERENCES accounts (id),
    certificate BYTEA NOT NULL,
    listed BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX devices_by_account ON devices (account_id);

-- A claimed package keeps its digest, so that a repeated upload cannot bring it back.
CREATE TABLE key_packages (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id BYTEA NOT NULL REFERENCES devices (id),
    digest BYTEA NOT NULL UNIQUE CHECK (length(digest) = 32),
    last_resort BOOLEAN NOT NULL,
    claimed BOOLEAN NOT NULL,
    package BYTEA,
    CHECK (claimed OR package IS NOT NULL)
);
CREATE INDEX key_packages_left ON key_packages (device_id, id) WHERE NOT claimed AND NOT last_resort;
CREATE UNIQUE INDEX key_packages_last_resort ON key_packages (device_id) WHERE last_resort;

-- A session is a family of refresh tokens, of which at most one is unused.
CREATE TABLE sessions (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    device_id BYTEA NOT NULL REFERENCES devices (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_device ON sessions (device_id);

CREATE TABLE refresh_tokens (
    digest BYTEA PRIMARY KEY CHECK (length(digest) = 32),
    session_id BYTEA NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    used_with BYTEA,
    CHECK ((used_at IS NULL) = (used_with IS NULL))
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- Challenges that a login has used, until they would have expired anyway.
CREATE TABLE spent_nonces (
    nonce BYTEA PRIMARY KEY CHECK (length(nonce) = 32),
    expires_at BIGINT NOT NULL
);
CREATE INDEX spent_nonces_by_expiry ON spent_nonces (expires_at);

CREATE TABLE rooms (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    creator_device BYTEA NOT NULL REFERENCES devices (id),
    next_seq BIGINT NOT NULL CHECK (next_seq >= 1),
    commit_seq BIGINT NOT NULL CHECK (commit_seq >= 0 AND commit_seq < next_seq),
    created_at BIGINT NOT NULL
);

-- standing: 1 full, 2 invited, 3 removed, 4 declined. waiting: its Welcome was neither accepted nor declined.
-- A device reads read_after < seq <= read_until (no end when null), and past_after < seq <= past_until of the
-- membership before.
CREATE TABLE members (
    room_id BYTEA NOT NULL REFERENCES rooms (id),
    device_id BYTEA NOT NULL REFERENCES devices (id),
    account_id BYTEA NOT NULL REFERENCES accounts (id),
    standing SMALLINT NOT NULL CHECK (standing BETWEEN 1 AND 4),
    once_full BOOLEAN NOT NULL,
    waiting BOOLEAN NOT NULL,
    read_after BIGINT NOT NULL,
    read_until BIGINT,
    past_after BIGINT NOT NULL,
    past_until BIGINT NOT NULL,
    confirmed BIGINT NOT NULL,
    PRIMARY KEY (room_id, device_id)
);
CREATE INDEX members_by_device ON members (device_id);

-- logged: the bytes as they came; null once retention has deleted them. The rest outlives them.
CREATE TABLE envelopes (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room_id BYTEA NOT NULL REFERENCES rooms (id),
    seq BIGINT NOT NULL CHECK (seq >= 1),
    sender_device BYTEA NOT NULL REFERENCES devices (id),
    message_id BYTEA NOT NULL CHECK (length(message_id) = 16),
    size BIGINT NOT NULL,
    logged BYTEA,
    UNIQUE (room_id, seq),
    UNIQUE (message_id, sender_device, room_id)
);

CREATE TABLE ratchet_trees (
    room_id BYTEA NOT NULL REFERENCES rooms (id),
    seq BIGINT NOT NULL,
    tree BYTEA NOT NULL,
    PRIMARY KEY (room_id, seq)
);

CREATE TABLE welcomes (
    room_id BYTEA NOT NULL,
    device_id BYTEA NOT NULL REFERENCES devices (id),
    seq BIGINT NOT NULL,
    inviter BYTEA NOT NULL REFERENCES accounts (id),
    welcome BYTEA NOT NULL,
    PRIMARY KEY (room_id, device_id),
    FOREIGN KEY (room_id, seq) REFERENCES ratchet_trees (room_id, seq)
);
CREATE INDEX welcomes_by_tree ON welcomes (room_id, seq);

-- Ciphertext does not compress.
ALTER TABLE envelopes ALTER COLUMN logged SET STORAGE EXTERNAL;
ALTER TABLE ratchet_trees ALTER COLUMN tree SET STORAGE EXTERNAL;
ALTER TABLE welcomes ALTER COLUMN welcome SET STORAGE EXTERNAL;
ALTER TABLE key_packages ALTER COLUMN package SET STORAGE EXTERNAL;
