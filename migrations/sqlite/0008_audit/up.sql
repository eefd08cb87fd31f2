-- What was done to accounts and to the daemon: a chain, in which each entry's hash covers the one before. Ids and no names, so
-- that an account can be erased and the chain stays; docs/operations.md has the format, byte by byte.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY CHECK (seq >= 1),
    first_at INTEGER NOT NULL CHECK (first_at >= 0),
    last_at INTEGER NOT NULL CHECK (last_at >= first_at),
    times INTEGER NOT NULL CHECK (times >= 1),
    act INTEGER NOT NULL CHECK (act BETWEEN 1 AND 255),
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 1 AND 255),
    actor INTEGER NOT NULL CHECK (actor BETWEEN 1 AND 255),
    account_id BLOB CHECK (length(account_id) = 16),
    device_id BLOB CHECK (length(device_id) = 16),
    peer TEXT CHECK (length(peer) BETWEEN 1 AND 64),
    deleted_until INTEGER CHECK (deleted_until BETWEEN 1 AND seq - 1),
    deleted_hash BLOB CHECK (length(deleted_hash) = 48),
    hash BLOB NOT NULL CHECK (length(hash) = 48),
    CHECK ((deleted_until IS NULL) = (deleted_hash IS NULL))
) STRICT;
CREATE INDEX audit_by_account ON audit (account_id, seq);

-- The end of the chain; who adds to it locks this row. Entries up to deleted_until may be deleted, and no others.
CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 48),
    deleted_until INTEGER NOT NULL CHECK (deleted_until BETWEEN 0 AND seq)
) STRICT;
INSERT INTO audit_head (id, seq, hash, deleted_until) VALUES (1, 0, zeroblob(48), 0);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN OLD.seq > (SELECT deleted_until FROM audit_head)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;

-- The newest entry by then: how old an entry is, in hours that a daemon has run.
ALTER TABLE hours ADD COLUMN audit INTEGER NOT NULL DEFAULT 0 CHECK (audit >= 0);
