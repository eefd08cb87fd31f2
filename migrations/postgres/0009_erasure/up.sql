-- When the account was erased. Its row stays, since rooms refer to it, and holds its id and nothing else of it: a placeholder
-- stands for the name, and nothing verifies.
ALTER TABLE accounts ADD COLUMN deleted_at BIGINT;
ALTER TABLE accounts ADD CHECK (
    deleted_at IS NULL
    OR (
        length(record) = 0
        AND length(device_list) = 0
        AND substr(name, 1, 1) = '-'
        AND auth_salt = decode(repeat('00', 16), 'hex')
        AND verifier_salt = decode(repeat('00', 16), 'hex')
        AND verifier = decode(repeat('00', 32), 'hex')
    )
);

-- What is kept of an erased account. name: a keyed hash, by which nobody gets the name again. token: SHA-256 of what its client
-- knows the deletion by. identity_key: who follows a room later checks with it what the account's devices have sealed.
CREATE TABLE erased_accounts (
    account_id BYTEA PRIMARY KEY REFERENCES accounts (id),
    name BYTEA NOT NULL UNIQUE CHECK (length(name) = 48),
    token BYTEA NOT NULL CHECK (length(token) = 32),
    identity_key BYTEA NOT NULL
);
