-- What the devices of an account keep for one another, sealed: the newest, and how many there have been.
CREATE TABLE notes (
    account_id BLOB PRIMARY KEY NOT NULL REFERENCES accounts (id),
    version INTEGER NOT NULL CHECK (version > 0),
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
