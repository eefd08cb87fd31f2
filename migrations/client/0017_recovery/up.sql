-- The recovery key, until its owner has confirmed that the words are on paper: who kills the program that shows them has not
-- lost them. It stands behind a shield, on pages that are overwritten whole (0007).
CREATE TABLE recovery (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    recovery_key BLOB NOT NULL
) STRICT;
