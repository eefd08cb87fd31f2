-- The commit that added a device to a room last; a request of it from before is answered.
CREATE TABLE added (
    room BLOB NOT NULL,
    device BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (room, device)
) STRICT, WITHOUT ROWID;

-- Devices that asked to be added again, each with the KeyPackage to do it by.
CREATE TABLE asked (
    room BLOB NOT NULL,
    device BLOB NOT NULL,
    key_package BLOB NOT NULL,
    PRIMARY KEY (room, device)
) STRICT;

-- This device's own request to be added again; expires_at: seconds since the Unix epoch; logged: it is sent no more.
CREATE TABLE requests (
    room BLOB NOT NULL PRIMARY KEY,
    message_id BLOB NOT NULL,
    envelope BLOB NOT NULL,
    commit_seq INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    logged INTEGER NOT NULL
) STRICT;
