-- What members say of an earlier message stands in the timeline too, as a line that pages pass over: of_device and
-- of_message name the message. What has become of that is folded out of these lines when it is read.
ALTER TABLE timeline ADD COLUMN of_device BLOB;
ALTER TABLE timeline ADD COLUMN of_message BLOB;
-- Whether its sender was an admin at that place of the log.
ALTER TABLE timeline ADD COLUMN by_admin INTEGER NOT NULL DEFAULT 0;
-- Whether its text speaks to this account.
ALTER TABLE timeline ADD COLUMN mentions_me INTEGER NOT NULL DEFAULT 0;
-- When this device deletes it, milliseconds since the Unix epoch. Never changed: a row keeps its size.
ALTER TABLE timeline ADD COLUMN expires_ms INTEGER;

DROP INDEX timeline_place;
-- Serves whoever follows the log with its changes. What waits is not in it: so no page is served by this one.
CREATE INDEX timeline_log ON timeline (room, place, "row", deleted) WHERE delivery <> 0;
-- Serves pages, and counts what is unread without touching the table.
CREATE INDEX timeline_place ON timeline (room, place, "row", account, deleted, mentions_me, of_message)
    WHERE of_message IS NULL;
CREATE INDEX timeline_changes ON timeline (room, of_message, of_device, place, "row") WHERE of_message IS NOT NULL;
CREATE INDEX timeline_id ON timeline (room, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX timeline_expires ON timeline (expires_ms) WHERE expires_ms IS NOT NULL AND deleted = 0;

-- Whether the room is a conversation of two.
ALTER TABLE invitations ADD COLUMN direct INTEGER NOT NULL DEFAULT 0;

-- How far each device has got with a room's log, as its receipts say: up to these seqs. This device's own row is what it has
-- told.
CREATE TABLE receipts (
    room BLOB NOT NULL,
    account BLOB NOT NULL,
    device BLOB NOT NULL,
    -- Where it was added: it has nothing of what stands before.
    since INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    read INTEGER NOT NULL,
    PRIMARY KEY (room, account, device)
) STRICT, WITHOUT ROWID;

-- Texts that are not sent yet, and those to be sent at a time (milliseconds since the Unix epoch). Rows come and go here: the
-- shield fills what of a row is kept beside other rows, so that the text stands on pages of its own.
CREATE TABLE drafts (
    room BLOB PRIMARY KEY NOT NULL,
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    text TEXT NOT NULL
) STRICT;
CREATE TABLE scheduled (
    message_id BLOB PRIMARY KEY NOT NULL,
    room BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    content BLOB NOT NULL
) STRICT;
CREATE INDEX scheduled_at ON scheduled (at_ms);
