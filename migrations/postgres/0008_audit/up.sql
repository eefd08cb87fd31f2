-- What was done to accounts and to the daemon: a chain, in which each entry's hash covers the one before. Ids and no names, so
-- that an account can be erased and the chain stays; docs/operations.md has the format, byte by byte.
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY CHECK (seq >= 1),
    first_at BIGINT NOT NULL CHECK (first_at >= 0),
    last_at BIGINT NOT NULL CHECK (last_at >= first_at),
    times BIGINT NOT NULL CHECK (times >= 1),
    act SMALLINT NOT NULL CHECK (act BETWEEN 1 AND 255),
    outcome SMALLINT NOT NULL CHECK (outcome BETWEEN 1 AND 255),
    actor SMALLINT NOT NULL CHECK (actor BETWEEN 1 AND 255),
    account_id BYTEA CHECK (length(account_id) = 16),
    device_id BYTEA CHECK (length(device_id) = 16),
    peer TEXT CHECK (length(peer) BETWEEN 1 AND 64),
    deleted_until BIGINT CHECK (deleted_until BETWEEN 1 AND seq - 1),
    deleted_hash BYTEA CHECK (length(deleted_hash) = 48),
    hash BYTEA NOT NULL CHECK (length(hash) = 48),
    CHECK ((deleted_until IS NULL) = (deleted_hash IS NULL))
);
CREATE INDEX audit_by_account ON audit (account_id, seq);

-- The end of the chain; who adds to it locks this row. Entries up to deleted_until may be deleted, and no others.
CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL CHECK (seq >= 0),
    hash BYTEA NOT NULL CHECK (length(hash) = 48),
    deleted_until BIGINT NOT NULL CHECK (deleted_until BETWEEN 0 AND seq)
);
INSERT INTO audit_head (id, seq, hash, deleted_until) VALUES (1, 0, decode(repeat('00', 48), 'hex'), 0);

CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.seq <= (SELECT deleted_until FROM audit_head) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit log is only added to';
END
$$;
CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_kept();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();

-- The newest entry by then: how old an entry is, in hours that a daemon has run.
ALTER TABLE hours ADD COLUMN audit BIGINT NOT NULL DEFAULT 0 CHECK (audit >= 0);
