-- This profile is a previous copy of another that has gone on: nothing is sent until its owner has given up its keys. Gone when that
-- is done. room: where it was noticed.
CREATE TABLE old_copy (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    room BLOB NOT NULL CHECK (length(room) = 16)
) STRICT;
