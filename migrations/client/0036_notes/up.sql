-- How the user wants rooms and people to be treated, as the account's devices know it: the newest word on each thing.
CREATE TABLE notes (
    kind INTEGER NOT NULL,
    subject BLOB NOT NULL,
    value BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    device BLOB NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
-- The version at the daemon that they have been compared with, and whether it lacks something that is here.
CREATE TABLE notes_sync (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    version INTEGER NOT NULL,
    untold INTEGER NOT NULL
) STRICT;
INSERT INTO notes_sync VALUES (1, 0, 0);
