-- What the server has said about accounts, for good: docs/PROTOCOL.md, Key transparency.

-- One row for each epoch: the signed head of the tree, how many nodes it has, and that it has only grown since.
CREATE TABLE directory_heads (
    epoch INTEGER PRIMARY KEY CHECK (epoch >= 0),
    head BLOB NOT NULL CHECK (length(head) = 193),
    signature BLOB NOT NULL,
    nodes INTEGER NOT NULL CHECK (nodes >= 1),
    grown BLOB CHECK ((grown IS NULL) = (epoch = 0))
) STRICT;

-- The tree as it is now. label: length in bits (2 bytes), then the bits; bare of who it stands for.
CREATE TABLE directory_nodes (
    label BLOB PRIMARY KEY CHECK (length(label) BETWEEN 2 AND 34),
    node BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What was written under each label: commitments. who: a keyed hash of the label.
CREATE TABLE directory_values (
    who BLOB NOT NULL CHECK (length(who) = 32),
    version INTEGER NOT NULL CHECK (version >= 1),
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    held BLOB NOT NULL,
    place BLOB NOT NULL CHECK (length(place) = 32),
    PRIMARY KEY (who, version)
) STRICT, WITHOUT ROWID;

-- What the commitments are of; goes with its account. Without an epoch it waits to be published.
CREATE TABLE directory_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    label BLOB NOT NULL CHECK (length(label) BETWEEN 2 AND 33),
    salt BLOB NOT NULL CHECK (length(salt) = 32),
    said BLOB NOT NULL,
    epoch INTEGER CHECK (epoch >= 1),
    version INTEGER CHECK (version >= 1),
    CHECK ((epoch IS NULL) = (version IS NULL))
) STRICT;
CREATE INDEX directory_entries_by_label ON directory_entries (label, id);
CREATE INDEX directory_entries_by_account ON directory_entries (account_id);
CREATE INDEX directory_entries_waiting ON directory_entries (id) WHERE epoch IS NULL;
