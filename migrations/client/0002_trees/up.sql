-- A ratchet tree changes with its epoch alone and is nearly all of a group, so it stands apart from what every message
-- changes. A state without a row here was stored before and holds its own tree until it is next written.
CREATE TABLE trees (
    room BLOB PRIMARY KEY NOT NULL,
    tree BLOB NOT NULL
) STRICT;

-- Drawn anew each time the state is written: who keeps the group in memory sees by it whether that is still the state.
ALTER TABLE groups ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
