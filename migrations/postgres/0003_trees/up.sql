-- A ratchet tree goes ahead of its commit, in parts: it is staged, and belongs to the commit at seq from then on that the
-- commit is logged. hash: SHA-384 of all parts, by which the commit names it; unknown of those that came with theirs.
CREATE TABLE trees (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room_id BYTEA NOT NULL REFERENCES rooms (id),
    device_id BYTEA NOT NULL REFERENCES devices (id),
    hash BYTEA CHECK (length(hash) = 48),
    size BIGINT NOT NULL CHECK (size >= 0),
    complete BOOLEAN NOT NULL,
    seq BIGINT,
    touched_at BIGINT NOT NULL,
    UNIQUE (room_id, seq),
    FOREIGN KEY (room_id, seq) REFERENCES envelopes (room_id, seq),
    CHECK (seq IS NULL OR complete),
    CHECK (hash IS NOT NULL OR seq IS NOT NULL)
);
CREATE INDEX trees_by_device ON trees (device_id, room_id, seq);
CREATE INDEX trees_by_age ON trees (touched_at);
CREATE TABLE tree_parts (
    tree_id BIGINT NOT NULL REFERENCES trees (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number >= 0),
    bytes BYTEA NOT NULL,
    PRIMARY KEY (tree_id, number)
);
-- Public keys do not compress.
ALTER TABLE tree_parts ALTER COLUMN bytes SET STORAGE EXTERNAL;

INSERT INTO trees (room_id, device_id, hash, size, complete, seq, touched_at)
    SELECT room_id, sender_device, NULL, length(tree), true, seq, extract(epoch FROM now())::bigint
    FROM ratchet_trees JOIN envelopes USING (room_id, seq);
INSERT INTO tree_parts (tree_id, number, bytes)
    SELECT trees.id, 0, ratchet_trees.tree FROM trees JOIN ratchet_trees USING (room_id, seq);

ALTER TABLE welcomes
    DROP CONSTRAINT welcomes_room_id_seq_fkey,
    ADD FOREIGN KEY (room_id, seq) REFERENCES trees (room_id, seq);
DROP TABLE ratchet_trees;
