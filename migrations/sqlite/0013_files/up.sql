-- Files that members have put there for their rooms, which the daemon cannot read. Their bytes are in the object store, in parts.
-- size: bytes of all parts together; state: 1 coming, 2 whole, 3 going; hash: of the whole, as its sender said; touched_at: when a
-- part last came; hour: the last that was counted (hours) when it was whole.
CREATE TABLE files (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    room_id BLOB NOT NULL REFERENCES rooms (id),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    device_id BLOB NOT NULL REFERENCES devices (id),
    size INTEGER NOT NULL CHECK (size > 0),
    state INTEGER NOT NULL CHECK (state IN (1, 2, 3)),
    hash BLOB CHECK (length(hash) = 48),
    touched_at INTEGER NOT NULL,
    hour INTEGER,
    CHECK (state <> 2 OR (hash IS NOT NULL AND hour IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX files_by_account ON files (account_id, id, size);
CREATE INDEX files_by_device ON files (device_id, state);
CREATE INDEX files_by_hour ON files (state, hour);
CREATE INDEX files_by_age ON files (state, touched_at);

-- Which parts of them are there: digest is SHA-384 of its bytes, and a part of the object's name.
CREATE TABLE file_parts (
    file_id BLOB NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number >= 0),
    digest BLOB NOT NULL CHECK (length(digest) = 48),
    PRIMARY KEY (file_id, number)
) STRICT, WITHOUT ROWID;
