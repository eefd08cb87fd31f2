-- What this device needs to make backups. backup_key: signed by the recovery key; secret: what its series is encrypted under, from
-- its first backup on. version, head and made_at: the newest that the daemon has confirmed (0, none); pending: SHA-384 of the head
-- that was sent last, which it may have.
CREATE TABLE backup (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    backup_key BLOB NOT NULL,
    secret BLOB CHECK (length(secret) = 32),
    version INTEGER NOT NULL DEFAULT 0,
    head BLOB CHECK (length(head) = 48),
    pending_version INTEGER NOT NULL DEFAULT 0,
    pending BLOB CHECK (length(pending) = 48),
    made_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A machine that is being restored, until all of it is: the device that it is to be, what the recovery words have opened, and how
-- many chunks are in. It stands behind a shield, on pages that are overwritten whole (0007).
CREATE TABLE restoring (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    name TEXT NOT NULL,
    server_id BLOB NOT NULL,
    record BLOB NOT NULL,
    head BLOB NOT NULL,
    device BLOB NOT NULL,
    device_key BLOB NOT NULL,
    account_key BLOB NOT NULL,
    secret BLOB NOT NULL,
    done INTEGER NOT NULL
) STRICT;
