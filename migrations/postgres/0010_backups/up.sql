-- The newest backup of each device of an account: its head, which the account has signed.
CREATE TABLE backups (
    device_id BYTEA PRIMARY KEY REFERENCES devices (id),
    account_id BYTEA NOT NULL REFERENCES accounts (id),
    version BIGINT NOT NULL CHECK (version > 0),
    head BYTEA NOT NULL,
    made_at BIGINT NOT NULL
);
CREATE INDEX backups_by_account ON backups (account_id);

-- Parts of backups, which the daemon cannot read. kept_until: when one goes that belongs to no backup yet, or no more; a part of
-- the newest has none.
CREATE TABLE backup_chunks (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id BYTEA NOT NULL REFERENCES accounts (id),
    device_id BYTEA NOT NULL REFERENCES devices (id),
    chunk BYTEA NOT NULL CHECK (length(chunk) = 32),
    size BIGINT NOT NULL CHECK (size > 0),
    kept_until BIGINT,
    bytes BYTEA NOT NULL,
    UNIQUE (device_id, chunk)
);
CREATE INDEX backup_chunks_by_account ON backup_chunks (account_id, device_id, size);
CREATE INDEX backup_chunks_in_order ON backup_chunks (account_id, id);
CREATE INDEX backup_chunks_by_end ON backup_chunks (kept_until) WHERE kept_until IS NOT NULL;
