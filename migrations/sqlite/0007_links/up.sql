-- label: what an account's own devices know of this one, sealed for them. last_seen: when it last had a new token, to the hour.
ALTER TABLE devices ADD COLUMN label BLOB CHECK (length(label) BETWEEN 1 AND 256);
ALTER TABLE devices ADD COLUMN last_seen INTEGER;

-- A device that wants to belong to an account, until it does or its time is over: one for each account at a time. token: the
-- SHA-256 of what the new device has instead of a session.
CREATE TABLE links (
    account_id BLOB PRIMARY KEY REFERENCES accounts (id),
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    token BLOB NOT NULL UNIQUE CHECK (length(token) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    commitment BLOB NOT NULL CHECK (length(commitment) = 48),
    answered_by BLOB REFERENCES devices (id),
    answer BLOB,
    opening BLOB,
    confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    CHECK ((answer IS NULL) = (answered_by IS NULL)),
    CHECK (opening IS NULL OR answer IS NOT NULL),
    CHECK (confirmed = 0 OR opening IS NOT NULL)
) STRICT;
CREATE INDEX links_by_expiry ON links (expires_at);

-- What a device of an account has sealed for another, until that one has taken it.
CREATE TABLE grants (
    device_id BLOB PRIMARY KEY REFERENCES devices (id),
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX grants_by_age ON grants (created_at);
