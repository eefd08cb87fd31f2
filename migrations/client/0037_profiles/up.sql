-- What people show of themselves: the newest that each has said, by their clock.
CREATE TABLE profiles (
    account BLOB PRIMARY KEY NOT NULL,
    profile BLOB NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- What this account has last said of itself in each room: when it was noted, and where that stands in the log.
CREATE TABLE profiles_told (
    room BLOB PRIMARY KEY NOT NULL,
    at_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
