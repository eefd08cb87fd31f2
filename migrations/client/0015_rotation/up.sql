-- The signature keys of this device: how many it has had before the one in "identity", by which whoever keeps that in memory
-- sees that there is a newer one; and the next one with its certificate, until the daemon is known to have that.
CREATE TABLE rotation (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    number INTEGER NOT NULL,
    next_key BLOB,
    next_certificate BLOB
) STRICT;
INSERT INTO rotation (id, number) VALUES (1, 0);

-- Those that it had: they sign where a leaf or a KeyPackage still has them. until: seconds since the Unix epoch, when the last
-- of those KeyPackages is over. Shielded as groups are (docs/decisions/0007).
CREATE TABLE former_keys (
    number INTEGER PRIMARY KEY NOT NULL,
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    device_key BLOB NOT NULL,
    certificate BLOB NOT NULL,
    until INTEGER NOT NULL
) STRICT;
