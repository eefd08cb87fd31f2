-- When this device last gave itself fresh keys in a room: seconds since the Unix epoch by its own clock, and how many of
-- its envelopes the room had accepted then.
CREATE TABLE renewals (
    room BLOB PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL,
    accepted INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
