-- Envelopes up to this seq are deleted but for who sent them, so that a repetition is still known.
ALTER TABLE rooms ADD COLUMN deleted_until BIGINT NOT NULL DEFAULT 0 CHECK (deleted_until >= 0);

-- Who opens the Welcome needs the log after this seq: the commit before the one that it is of. 0: all, not known.
ALTER TABLE welcomes ADD COLUMN log_after BIGINT NOT NULL DEFAULT 0 CHECK (log_after >= 0);

-- One row an hour while a daemon runs, with the newest ids by then: how old an envelope is, in hours in which it could
-- have been fetched, whatever clocks say.
CREATE TABLE hours (
    id BIGINT PRIMARY KEY,
    noted_at BIGINT NOT NULL,
    envelope BIGINT NOT NULL CHECK (envelope >= 0),
    key_package BIGINT NOT NULL CHECK (key_package >= 0)
);

CREATE INDEX sessions_by_expiry ON sessions (expires_at);
