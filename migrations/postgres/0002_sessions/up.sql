-- Why a session was ended before its time: 1 from another device of the account, 2 because a refresh token of it was
-- used twice. Whoever still has its tokens is told.
ALTER TABLE sessions ADD COLUMN ended_by SMALLINT CHECK (ended_by IN (1, 2));

-- The keys of access tokens are derived from the key file and a row's salt: this table alone signs nothing.
CREATE TABLE token_keys (
    id BYTEA PRIMARY KEY CHECK (length(id) = 8),
    salt BYTEA NOT NULL CHECK (length(salt) = 32),
    signs_from BIGINT NOT NULL,
    ends_at BIGINT CHECK (ends_at > signs_from)
);

-- The planner cannot prove for bound values that an index over claimed = false alone serves them.
DROP INDEX key_packages_left;
CREATE INDEX key_packages_by_device ON key_packages (device_id, claimed, last_resort, id);

-- A place in a room is that of a device and its own account.
CREATE UNIQUE INDEX devices_of_accounts ON devices (id, account_id);
ALTER TABLE members
    DROP CONSTRAINT members_device_id_fkey,
    DROP CONSTRAINT members_account_id_fkey,
    ADD FOREIGN KEY (device_id, account_id) REFERENCES devices (id, account_id),
    ADD CHECK (read_after >= 0),
    ADD CHECK (read_until >= 0),
    ADD CHECK (past_after >= 0),
    ADD CHECK (past_until >= 0),
    ADD CHECK (confirmed >= 0);

-- A tree is that of a logged commit, and a Welcome waits for a device that has a place in the room.
ALTER TABLE ratchet_trees
    DROP CONSTRAINT ratchet_trees_room_id_fkey,
    ADD FOREIGN KEY (room_id, seq) REFERENCES envelopes (room_id, seq);
ALTER TABLE welcomes
    DROP CONSTRAINT welcomes_device_id_fkey,
    ADD FOREIGN KEY (room_id, device_id) REFERENCES members (room_id, device_id);
