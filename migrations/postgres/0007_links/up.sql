-- label: what an account's own devices know of this one, sealed for them. last_seen: when it last had a new token, to the hour.
ALTER TABLE devices ADD COLUMN label BYTEA CHECK (length(label) BETWEEN 1 AND 256);
ALTER TABLE devices ADD COLUMN last_seen BIGINT;

-- A device that wants to belong to an account, until it does or its time is over: one for each account at a time. token: the
-- SHA-256 of what the new device has instead of a session.
CREATE TABLE links (
    account_id BYTEA PRIMARY KEY REFERENCES accounts (id),
    id BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    token BYTEA NOT NULL UNIQUE CHECK (length(token) = 32),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    commitment BYTEA NOT NULL CHECK (length(commitment) = 48),
    answered_by BYTEA REFERENCES devices (id),
    answer BYTEA,
    opening BYTEA,
    confirmed BOOLEAN NOT NULL,
    CHECK ((answer IS NULL) = (answered_by IS NULL)),
    CHECK (opening IS NULL OR answer IS NOT NULL),
    CHECK (NOT confirmed OR opening IS NOT NULL)
);
CREATE INDEX links_by_expiry ON links (expires_at);

-- What a device of an account has sealed for another, until that one has taken it.
CREATE TABLE grants (
    device_id BYTEA PRIMARY KEY REFERENCES devices (id),
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX grants_by_age ON grants (created_at);
