-- A change of the passphrase that has begun: what the daemon is asked for, and the vault that takes the old one's place once
-- the daemon has said yes. Gone when it is done.
CREATE TABLE passphrase_change (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    old_auth_key BLOB NOT NULL CHECK (length(old_auth_key) = 32),
    new_auth_key BLOB NOT NULL CHECK (length(new_auth_key) = 32),
    new_auth_salt BLOB NOT NULL CHECK (length(new_auth_salt) = 16),
    vault BLOB NOT NULL
) STRICT;

-- A deletion of the account that has begun: what the daemon knows it by, so that it can be asked for again.
CREATE TABLE account_deletion (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    token BLOB NOT NULL CHECK (length(token) = 32)
) STRICT;
