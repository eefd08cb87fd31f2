-- Files of this account whose messages were deleted from this device alone: what lies at the daemon goes when the messages are deleted for
-- everyone.
CREATE TABLE files_left (
    room BLOB NOT NULL,
    device BLOB NOT NULL,
    message_id BLOB NOT NULL,
    file BLOB NOT NULL,
    -- When the message has had its time for everyone, milliseconds since the Unix epoch.
    expires_ms INTEGER,
    PRIMARY KEY (room, device, message_id)
) STRICT, WITHOUT ROWID;

-- Own messages that can never be sent.
CREATE INDEX timeline_failed ON timeline (room, place) WHERE delivery = 2;
