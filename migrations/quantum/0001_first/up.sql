-- What a profile remembers of quantum jobs. A database of its own beside the profile's, under the same key: jobs may come
-- before there is an account, and outlive an attempt to register that has failed.

CREATE TABLE jobs (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    -- What the provider knows the job by before it has given it an id of its own.
    tag TEXT NOT NULL UNIQUE,
    -- What is to be done, as JSON.
    task TEXT NOT NULL,
    -- Where: "local" or a provider's device.
    backend TEXT NOT NULL,
    -- Another backend that was asked for first, and why it was not this one.
    asked TEXT,
    fallback_reason TEXT,
    state TEXT NOT NULL CHECK (state IN
        ('prepared', 'submitting', 'queued', 'running', 'measured', 'done', 'failed', 'cancelled')),
    -- Whether the simulator may do it where the backend does not.
    may_fall_back INTEGER NOT NULL,
    -- What the provider's results must look like, as JSON.
    expected TEXT,
    -- The provider's id, and the account there that it was told by, in words: no other one knows it.
    remote TEXT,
    account TEXT,
    -- What was measured, until it is made use of.
    measured BLOB,
    -- What came of it, as JSON; never a bit of a key.
    report TEXT,
    -- Why it failed.
    reason TEXT,
    -- Seconds of a quantum computer that it is believed to take, then those that it took.
    seconds REAL NOT NULL DEFAULT 0,
    -- Those that have to be counted as spent, whatever becomes of the job, and since when.
    charged REAL NOT NULL DEFAULT 0,
    submitted_ms INTEGER,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    -- The digest of the device that it imitates.
    device TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_age ON jobs (created_ms, id);
CREATE INDEX jobs_by_device ON jobs (device) WHERE device IS NOT NULL;
CREATE INDEX jobs_by_submission ON jobs (submitted_ms) WHERE submitted_ms IS NOT NULL;

-- Descriptions of devices that jobs imitate, once each: they have megabytes, and many jobs imitate the same.
CREATE TABLE devices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- SHA-256 of the text, in hexadecimal digits, by which jobs name it.
    digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
    properties TEXT NOT NULL
) STRICT;

-- What forgotten jobs were charged: forgetting one gives no budget back.
CREATE TABLE spent (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Whose results may still come, and say what it took.
    job BLOB NOT NULL UNIQUE CHECK (length(job) = 16),
    submitted_ms INTEGER NOT NULL,
    seconds REAL NOT NULL
) STRICT;

-- Extracted bytes, each used for one key.
CREATE TABLE pool (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bytes BLOB NOT NULL CHECK (length(bytes) = 32),
    job BLOB NOT NULL,
    backend TEXT NOT NULL,
    -- Whether a quantum computer measured them, and no simulator.
    quantum INTEGER NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT;

-- Which keys such bytes went into.
CREATE TABLE draws (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- "device", "account", "recovery" or "room".
    purpose TEXT NOT NULL,
    -- SHA-384 of the public key, or the room's id.
    subject BLOB NOT NULL,
    job BLOB NOT NULL,
    backend TEXT NOT NULL,
    quantum INTEGER NOT NULL,
    bits INTEGER NOT NULL,
    drawn_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX draws_by_subject ON draws (subject, id);

-- How well a backend did, each time that it was looked at.
CREATE TABLE health (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    backend TEXT NOT NULL,
    measured_ms INTEGER NOT NULL,
    available INTEGER NOT NULL,
    s REAL,
    s_error REAL,
    readout_error REAL,
    gate_error REAL
) STRICT;
CREATE INDEX health_by_backend ON health (backend, id);
