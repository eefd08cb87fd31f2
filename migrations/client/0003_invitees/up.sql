-- Devices that were added to a room's group and have not been heard since; since: seconds since the Unix epoch by this
-- device's own clock.
CREATE TABLE invitees (
    room BLOB NOT NULL,
    device BLOB NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (room, device)
) STRICT, WITHOUT ROWID;
