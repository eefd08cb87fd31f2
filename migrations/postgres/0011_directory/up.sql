-- What the server has said about accounts, for good: docs/PROTOCOL.md, Key transparency.

-- One row for each epoch: the signed head of the tree, how many nodes it has, and that it has only grown since.
CREATE TABLE directory_heads (
    epoch BIGINT PRIMARY KEY CHECK (epoch >= 0),
    head BYTEA NOT NULL CHECK (length(head) = 193),
    signature BYTEA NOT NULL,
    nodes BIGINT NOT NULL CHECK (nodes >= 1),
    grown BYTEA CHECK ((grown IS NULL) = (epoch = 0))
);

-- The tree as it is now. label: length in bits (2 bytes), then the bits; bare of who it stands for.
CREATE TABLE directory_nodes (
    label BYTEA PRIMARY KEY CHECK (length(label) BETWEEN 2 AND 34),
    node BYTEA NOT NULL
);

-- What was written under each label: commitments. who: a keyed hash of the label.
CREATE TABLE directory_values (
    who BYTEA NOT NULL CHECK (length(who) = 32),
    version BIGINT NOT NULL CHECK (version >= 1),
    epoch BIGINT NOT NULL CHECK (epoch >= 1),
    held BYTEA NOT NULL,
    place BYTEA NOT NULL CHECK (length(place) = 32),
    PRIMARY KEY (who, version)
);

-- What the commitments are of; goes with its account. Without an epoch it waits to be published.
CREATE TABLE directory_entries (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id BYTEA NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    label BYTEA NOT NULL CHECK (length(label) BETWEEN 2 AND 33),
    salt BYTEA NOT NULL CHECK (length(salt) = 32),
    said BYTEA NOT NULL,
    epoch BIGINT CHECK (epoch >= 1),
    version BIGINT CHECK (version >= 1),
    CHECK ((epoch IS NULL) = (version IS NULL))
);
CREATE INDEX directory_entries_by_label ON directory_entries (label, id);
CREATE INDEX directory_entries_by_account ON directory_entries (account_id);
CREATE INDEX directory_entries_waiting ON directory_entries (id) WHERE epoch IS NULL;

-- Hashes and signatures do not compress.
ALTER TABLE directory_heads ALTER COLUMN signature SET STORAGE EXTERNAL;
ALTER TABLE directory_heads ALTER COLUMN grown SET STORAGE EXTERNAL;
