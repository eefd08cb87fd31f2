-- Keys from elsewhere on their way into rooms (docs/PROTOCOL.md, "Pre-shared keys"). What devices have offered, one each: whose
-- key it is at its key management entities, and the devices that have shown this one that they hold it, 16 bytes each.
CREATE TABLE psk_offers (
    room BLOB NOT NULL CHECK (length(room) = 16),
    device BLOB NOT NULL CHECK (length(device) = 16),
    account BLOB NOT NULL CHECK (length(account) = 16),
    psk_id BLOB NOT NULL CHECK (length(psk_id) = 45),
    master_sae TEXT NOT NULL,
    slave_sae TEXT NOT NULL,
    holders BLOB NOT NULL CHECK (length(holders) % 16 = 0),
    PRIMARY KEY (room, device)
) STRICT, WITHOUT ROWID;

-- The keys themselves, until the commit that mixes them in. Shielded as the groups are (0007).
CREATE TABLE psk_secrets (
    name BLOB NOT NULL PRIMARY KEY CHECK (length(name) = 61), -- room ‖ psk_id
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;

-- Which of them a room's keys depend on, and from which epoch of which of its groups on.
CREATE TABLE psk_mixed (
    room BLOB NOT NULL PRIMARY KEY CHECK (length(room) = 16),
    psk_id BLOB NOT NULL CHECK (length(psk_id) = 45),
    epoch INTEGER NOT NULL,
    generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
