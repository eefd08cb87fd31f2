-- The key directory of the server, as far as this device has checked it.
-- key: signs its heads, pinned when it was first seen. head: the newest, with its signature. audited: the head (without
-- signature) up to which the tree is known to have only grown.
CREATE TABLE directory (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    key BLOB NOT NULL,
    head BLOB,
    audited BLOB CHECK (audited IS NULL OR length(audited) = 193)
) STRICT;

-- The newest versions of the own entries that were looked at. label: 1 the name, 2 the account.
CREATE TABLE directory_own (
    label INTEGER PRIMARY KEY CHECK (label IN (1, 2)),
    version INTEGER NOT NULL CHECK (version >= 1)
) STRICT;

-- The newest head that was told in each room.
CREATE TABLE directory_told (
    room BLOB PRIMARY KEY,
    epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Heads that members have told of and that are still to be compared; the newest of each.
CREATE TABLE directory_heard (
    room BLOB NOT NULL,
    device BLOB NOT NULL,
    account BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    head BLOB NOT NULL CHECK (length(head) = 48),
    heard_ms INTEGER NOT NULL,
    PRIMARY KEY (room, device)
) STRICT, WITHOUT ROWID;

-- What does not fit together, for good. shown: said to the user by a command or on the screen.
CREATE TABLE directory_evidence (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    what TEXT NOT NULL,
    ours BLOB,
    theirs BLOB,
    shown INTEGER NOT NULL DEFAULT 0 CHECK (shown IN (0, 1)),
    UNIQUE (epoch, what)
) STRICT;
