-- The ratchet tree of a sealed commit that adds devices: it goes to the server ahead of the commit, and is megabytes that
-- whoever looks at the row does not want to read.
ALTER TABLE outbox ADD COLUMN tree BLOB;
