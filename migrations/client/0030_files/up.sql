-- Files on their way to the daemon (docs/PROTOCOL.md, "Files"): which file of this machine, as it was when it began (device, inode,
-- size, time of its last change in nanoseconds), what the message will say, with the key in it, and how far it is: parts that
-- the daemon has, and the digest over them; and when it began, milliseconds since the Unix epoch.
CREATE TABLE uploads (
    file BLOB NOT NULL PRIMARY KEY CHECK (length(file) = 16),
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    room BLOB NOT NULL CHECK (length(room) = 16),
    path BLOB NOT NULL,
    state BLOB NOT NULL,
    content BLOB NOT NULL,
    parts INTEGER NOT NULL DEFAULT 0,
    digest BLOB NOT NULL CHECK (length(digest) = 48),
    begun_ms INTEGER NOT NULL
) STRICT;

-- Files on their way from there: where they are to be, which line of the timeline names them, under which name they are until then,
-- and how far they are.
CREATE TABLE downloads (
    file BLOB NOT NULL CHECK (length(file) = 16),
    path BLOB NOT NULL,
    line INTEGER NOT NULL,
    temporary TEXT NOT NULL,
    parts INTEGER NOT NULL DEFAULT 0,
    digest BLOB NOT NULL CHECK (length(digest) = 48),
    PRIMARY KEY (file, path)
) STRICT, WITHOUT ROWID;

-- Files of this account whose messages are gone for everybody: deleted, over, or never sent. Until the daemon has deleted them.
CREATE TABLE spent_files (
    file BLOB NOT NULL PRIMARY KEY CHECK (length(file) = 16),
    room BLOB NOT NULL CHECK (length(room) = 16)
) STRICT, WITHOUT ROWID;
