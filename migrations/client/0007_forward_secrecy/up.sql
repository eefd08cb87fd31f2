-- SQLite overwrites what is deleted (secure_delete), but not the copies that it leaves in a page when it moves rows to
-- another one. So no secret may stand where rows are moved: docs/decisions/0007-forward-secrecy-on-disk.md.

-- Lines are appended only, and deleted ones are overwritten where they stand: the row stays, with a body of zeros.
CREATE TABLE lines (
    "row" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    room BLOB NOT NULL,
    place INTEGER NOT NULL,
    seq INTEGER,
    message_id BLOB,
    account BLOB,
    device BLOB,
    epoch INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL,
    delivery INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL
) STRICT;
INSERT INTO lines ("row", room, place, seq, message_id, account, device, epoch, stored_ms, delivery, body)
    SELECT "row", room, place, seq, message_id, account, device, epoch, stored_ms, delivery, body
    FROM timeline ORDER BY "row";
DROP TABLE timeline;
ALTER TABLE lines RENAME TO timeline;
CREATE UNIQUE INDEX timeline_message ON timeline (room, device, message_id) WHERE message_id IS NOT NULL;
-- Serves pages, and counts what is unread without touching the table.
CREATE INDEX timeline_place ON timeline (room, place, "row", account, deleted);
CREATE INDEX timeline_deleted ON timeline ("row") WHERE deleted = 1;

-- A text that waits stands in the timeline alone; its outbox row has an empty "want".
UPDATE outbox SET want = x'' WHERE kind = 0 AND EXISTS (
    SELECT 1 FROM timeline WHERE timeline.room = outbox.room AND timeline.message_id = outbox.message_id
        AND timeline.device = (SELECT device FROM identity)
);

-- The shield fills what of a row is kept beside other rows, so that the state stands on pages of its own, which are never
-- moved and are overwritten when they are given up.
CREATE TABLE shielded (
    room BLOB PRIMARY KEY NOT NULL,
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    state BLOB NOT NULL,
    version INTEGER NOT NULL
) STRICT;
INSERT INTO shielded (room, state, version) SELECT room, state, version FROM groups;
DROP TABLE groups;
ALTER TABLE shielded RENAME TO groups;
