-- Simulated runs of BB84 between members' devices (docs/PROTOCOL.md, "Exercises"): the newest that each device has asked for, this
-- one's own among them.
CREATE TABLE exercises (
    room BLOB NOT NULL CHECK (length(room) = 16),
    -- The device that asks, and its account.
    device BLOB NOT NULL CHECK (length(device) = 16),
    account BLOB NOT NULL CHECK (length(account) = 16),
    id BLOB NOT NULL CHECK (length(id) = 16),
    -- The account that is asked.
    peer BLOB NOT NULL CHECK (length(peer) = 16),
    terms BLOB NOT NULL,
    mixes INTEGER NOT NULL,
    -- Whether this device takes part.
    takes_part INTEGER NOT NULL,
    -- What was kept of what others said in it, so that nobody fills the disk.
    steps INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (room, device)
) STRICT, WITHOUT ROWID;

-- What the other end has said in those that this device takes part in, until the run is over.
CREATE TABLE exercise_steps (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    room BLOB NOT NULL,
    -- The device that asked for the run.
    asker BLOB NOT NULL,
    account BLOB NOT NULL,
    device BLOB NOT NULL,
    -- As content.
    said BLOB NOT NULL
) STRICT;
CREATE INDEX exercise_steps_by_run ON exercise_steps (room, asker, row);
