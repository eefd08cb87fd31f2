-- When the account was erased. Its row stays, since rooms refer to it, and holds its id and nothing else of it: a placeholder
-- stands for the name, and nothing verifies.
ALTER TABLE accounts ADD COLUMN deleted_at INTEGER CHECK (
    deleted_at IS NULL
    OR (
        length(record) = 0
        AND length(device_list) = 0
        AND substr(name, 1, 1) = '-'
        AND auth_salt = zeroblob(16)
        AND verifier_salt = zeroblob(16)
        AND verifier = zeroblob(32)
    )
);

-- What is kept of an erased account. name: a keyed hash, by which nobody gets the name again. token: SHA-256 of what its client
-- knows the deletion by. identity_key: who follows a room later checks with it what the account's devices have sealed.
CREATE TABLE erased_accounts (
    account_id BLOB PRIMARY KEY REFERENCES accounts (id),
    name BLOB NOT NULL UNIQUE CHECK (length(name) = 48),
    token BLOB NOT NULL CHECK (length(token) = 32),
    identity_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;
