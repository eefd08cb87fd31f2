-- Descriptions of devices that jobs imitate, once each: they have megabytes, and many jobs imitate the same.
CREATE TABLE devices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- SHA-256 of the text, in hexadecimal digits, by which jobs name it.
    digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
    properties TEXT NOT NULL
) STRICT;
ALTER TABLE jobs ADD COLUMN device TEXT;
CREATE INDEX jobs_by_device ON jobs (device) WHERE device IS NOT NULL;
CREATE INDEX jobs_by_submission ON jobs (submitted_ms) WHERE submitted_ms IS NOT NULL;

-- What forgotten jobs were charged: forgetting one gives no budget back.
CREATE TABLE spent (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    submitted_ms INTEGER NOT NULL,
    seconds REAL NOT NULL
) STRICT;
