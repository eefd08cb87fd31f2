-- A device that becomes one of an account: one row, from when its user has compared the codes until it has what the account
-- grants it.
CREATE TABLE linking (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    hello BLOB NOT NULL,
    nonce BLOB NOT NULL,
    device_key BLOB NOT NULL,
    transfer BLOB NOT NULL,
    answer BLOB NOT NULL,
    token TEXT NOT NULL
) STRICT;

-- The new device that this one has answered last, and what opens what that one says.
CREATE TABLE answered (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    link BLOB NOT NULL,
    commitment BLOB NOT NULL,
    answer BLOB NOT NULL,
    transfer BLOB NOT NULL
) STRICT;

-- People whom another device of this account has pinned, until this one meets them.
CREATE TABLE handed (
    account BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    pinned BLOB NOT NULL,
    verified INTEGER NOT NULL,
    first_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether the daemon has been given this device's label.
ALTER TABLE identity ADD COLUMN labelled INTEGER NOT NULL DEFAULT 0;
