-- When somebody has said last that they are there, or go: milliseconds since the Unix epoch, by their device's clock and never
-- later than by this one's.
CREATE TABLE last_seen (
    account BLOB PRIMARY KEY NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
