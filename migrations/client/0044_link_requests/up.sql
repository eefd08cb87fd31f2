-- Rooms that this device has asked to be let into, by an invite link: whoever lets it in shows that they know the secret.
CREATE TABLE link_requests (
    room BLOB PRIMARY KEY NOT NULL,
    secret BLOB NOT NULL,
    asked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
