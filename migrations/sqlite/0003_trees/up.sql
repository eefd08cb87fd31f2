-- A ratchet tree goes ahead of its commit, in parts: it is staged, and belongs to the commit at seq from then on that the
-- commit is logged. hash: SHA-384 of all parts, by which the commit names it; unknown of those that came with theirs.
CREATE TABLE trees (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    room_id BLOB NOT NULL REFERENCES rooms (id),
    device_id BLOB NOT NULL REFERENCES devices (id),
    hash BLOB CHECK (length(hash) = 48),
    size INTEGER NOT NULL CHECK (size >= 0),
    complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
    seq INTEGER,
    touched_at INTEGER NOT NULL,
    UNIQUE (room_id, seq),
    FOREIGN KEY (room_id, seq) REFERENCES envelopes (room_id, seq),
    CHECK (seq IS NULL OR complete = 1),
    CHECK (hash IS NOT NULL OR seq IS NOT NULL)
) STRICT;
CREATE INDEX trees_by_device ON trees (device_id, room_id, seq);
CREATE INDEX trees_by_age ON trees (touched_at);
CREATE TABLE tree_parts (
    tree_id INTEGER NOT NULL REFERENCES trees (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number >= 0),
    bytes BLOB NOT NULL,
    PRIMARY KEY (tree_id, number)
) STRICT;

INSERT INTO trees (room_id, device_id, hash, size, complete, seq, touched_at)
    SELECT room_id, sender_device, NULL, length(tree), 1, seq, unixepoch()
    FROM ratchet_trees JOIN envelopes USING (room_id, seq);
INSERT INTO tree_parts (tree_id, number, bytes)
    SELECT trees.id, 0, ratchet_trees.tree FROM trees JOIN ratchet_trees USING (room_id, seq);

CREATE TABLE new_welcomes (
    room_id BLOB NOT NULL,
    device_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    inviter BLOB NOT NULL REFERENCES accounts (id),
    welcome BLOB NOT NULL,
    PRIMARY KEY (room_id, device_id),
    FOREIGN KEY (room_id, device_id) REFERENCES members (room_id, device_id),
    FOREIGN KEY (room_id, seq) REFERENCES trees (room_id, seq)
) STRICT;
INSERT INTO new_welcomes (room_id, device_id, seq, inviter, welcome)
    SELECT room_id, device_id, seq, inviter, welcome FROM welcomes;
DROP TABLE welcomes;
ALTER TABLE new_welcomes RENAME TO welcomes;
CREATE INDEX welcomes_by_tree ON welcomes (room_id, seq);
DROP TABLE ratchet_trees;
