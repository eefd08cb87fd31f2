-- Why a session was ended before its time: 1 from another device of the account, 2 because a refresh token of it was
-- used twice. Whoever still has its tokens is told.
ALTER TABLE sessions ADD COLUMN ended_by INTEGER CHECK (ended_by IN (1, 2));

-- The keys of access tokens are derived from the key file and a row's salt: this table alone signs nothing.
CREATE TABLE token_keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 8),
    salt BLOB NOT NULL CHECK (length(salt) = 32),
    signs_from INTEGER NOT NULL,
    ends_at INTEGER CHECK (ends_at > signs_from)
) STRICT, WITHOUT ROWID;

-- The planner cannot prove for bound values that an index over claimed = 0 alone serves them.
DROP INDEX key_packages_left;
CREATE INDEX key_packages_by_device ON key_packages (device_id, claimed, last_resort, id);

-- A place in a room is that of a device and its own account.
CREATE UNIQUE INDEX devices_of_accounts ON devices (id, account_id);
CREATE TABLE new_members (
    room_id BLOB NOT NULL REFERENCES rooms (id),
    device_id BLOB NOT NULL,
    account_id BLOB NOT NULL,
    standing INTEGER NOT NULL CHECK (standing BETWEEN 1 AND 4),
    once_full INTEGER NOT NULL CHECK (once_full IN (0, 1)),
    waiting INTEGER NOT NULL CHECK (waiting IN (0, 1)),
    read_after INTEGER NOT NULL CHECK (read_after >= 0),
    read_until INTEGER CHECK (read_until >= 0),
    past_after INTEGER NOT NULL CHECK (past_after >= 0),
    past_until INTEGER NOT NULL CHECK (past_until >= 0),
    confirmed INTEGER NOT NULL CHECK (confirmed >= 0),
    PRIMARY KEY (room_id, device_id),
    FOREIGN KEY (device_id, account_id) REFERENCES devices (id, account_id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_members (room_id, device_id, account_id, standing, once_full, waiting, read_after, read_until,
        past_after, past_until, confirmed)
    SELECT room_id, device_id, account_id, standing, once_full, waiting, read_after, read_until, past_after,
        past_until, confirmed
    FROM members;
DROP TABLE members;
ALTER TABLE new_members RENAME TO members;
CREATE INDEX members_by_device ON members (device_id);

-- A tree is that of a logged commit, and a Welcome waits for a device that has a place in the room.
CREATE TABLE new_ratchet_trees (
    room_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    tree BLOB NOT NULL,
    PRIMARY KEY (room_id, seq),
    FOREIGN KEY (room_id, seq) REFERENCES envelopes (room_id, seq)
) STRICT;
CREATE TABLE new_welcomes (
    room_id BLOB NOT NULL,
    device_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    inviter BLOB NOT NULL REFERENCES accounts (id),
    welcome BLOB NOT NULL,
    PRIMARY KEY (room_id, device_id),
    FOREIGN KEY (room_id, device_id) REFERENCES members (room_id, device_id),
    FOREIGN KEY (room_id, seq) REFERENCES new_ratchet_trees (room_id, seq)
) STRICT;
INSERT INTO new_ratchet_trees (room_id, seq, tree) SELECT room_id, seq, tree FROM ratchet_trees;
INSERT INTO new_welcomes (room_id, device_id, seq, inviter, welcome)
    SELECT room_id, device_id, seq, inviter, welcome FROM welcomes;
DROP TABLE welcomes;
DROP TABLE ratchet_trees;
ALTER TABLE new_ratchet_trees RENAME TO ratchet_trees;
ALTER TABLE new_welcomes RENAME TO welcomes;
CREATE INDEX welcomes_by_tree ON welcomes (room_id, seq);
