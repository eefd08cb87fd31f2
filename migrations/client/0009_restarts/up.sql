-- Which of the room's groups in a row this device follows: 0 for the one that it was created with.
ALTER TABLE rooms ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

-- The group that this device has made for a room to go on with, until its word for that stands in the log. Shielded as
-- the groups in effect are (0007).
CREATE TABLE prepared (
    room BLOB NOT NULL PRIMARY KEY,
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    state BLOB NOT NULL,
    tree BLOB NOT NULL
) STRICT;
