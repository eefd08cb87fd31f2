-- What the devices of an account keep for one another, sealed: the newest, and how many there have been.
CREATE TABLE notes (
    account_id BYTEA PRIMARY KEY NOT NULL REFERENCES accounts (id),
    version BIGINT NOT NULL CHECK (version > 0),
    sealed BYTEA NOT NULL
);
