-- What others have said after the read mark, in number, and how much of it speaks to this account: kept with the room, since a
-- list of rooms shows it and counting takes as long as there is much of it. The triggers keep it whatever writes the lines.
-- What does not count: own messages, what changes another message, what this device has deleted, and what blocked accounts
-- say (a note of kind 4 with the value 01).
ALTER TABLE rooms ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN unread_mentions INTEGER NOT NULL DEFAULT 0;

CREATE VIEW countable AS
    SELECT room, place, mentions_me FROM timeline
    WHERE of_message IS NULL AND deleted = 0 AND account <> IFNULL((SELECT account FROM identity), x'')
        AND account NOT IN (SELECT subject FROM notes WHERE kind = 4 AND value = x'01');
UPDATE rooms SET (unread, unread_mentions) = (
    SELECT count(*), IFNULL(sum(mentions_me), 0) FROM countable
    WHERE countable.room = rooms.room AND countable.place > rooms.read_seq
);

CREATE TRIGGER unread_said AFTER INSERT ON timeline
WHEN NEW.of_message IS NULL AND NEW.deleted = 0
BEGIN
    UPDATE rooms SET unread = unread + 1, unread_mentions = unread_mentions + NEW.mentions_me
    WHERE room = NEW.room AND read_seq < NEW.place AND NEW.account <> IFNULL((SELECT account FROM identity), x'')
        AND NOT EXISTS (SELECT 1 FROM notes WHERE kind = 4 AND subject = NEW.account AND value = x'01');
END;
-- Of a line that others wrote nothing else changes that counts.
CREATE TRIGGER unread_changed AFTER UPDATE OF deleted, mentions_me ON timeline
WHEN OLD.of_message IS NULL AND OLD.deleted = 0 AND (NEW.deleted <> OLD.deleted OR NEW.mentions_me <> OLD.mentions_me)
BEGIN
    UPDATE rooms SET
        unread = unread - NEW.deleted,
        unread_mentions = unread_mentions - OLD.mentions_me + NEW.mentions_me * (NEW.deleted = 0)
    WHERE room = NEW.room AND read_seq < NEW.place AND NEW.account <> IFNULL((SELECT account FROM identity), x'')
        AND NOT EXISTS (SELECT 1 FROM notes WHERE kind = 4 AND subject = NEW.account AND value = x'01');
END;
-- Each message is passed over once.
CREATE TRIGGER unread_read AFTER UPDATE OF read_seq ON rooms
WHEN NEW.read_seq > OLD.read_seq AND NEW.unread > 0
BEGIN
    UPDATE rooms SET (unread, unread_mentions) = (
        SELECT NEW.unread - count(*), NEW.unread_mentions - IFNULL(sum(mentions_me), 0) FROM countable
        WHERE countable.room = NEW.room AND countable.place > OLD.read_seq AND countable.place <= NEW.read_seq
    ) WHERE room = NEW.room;
END;
-- A room that is put in after what was said there.
CREATE TRIGGER unread_room AFTER INSERT ON rooms
BEGIN
    UPDATE rooms SET (unread, unread_mentions) = (
        SELECT count(*), IFNULL(sum(mentions_me), 0) FROM countable
        WHERE countable.room = NEW.room AND countable.place > NEW.read_seq
    ) WHERE room = NEW.room;
END;
CREATE TRIGGER unread_blocked AFTER INSERT ON notes
WHEN NEW.kind = 4
BEGIN
    UPDATE rooms SET (unread, unread_mentions) = (
        SELECT count(*), IFNULL(sum(mentions_me), 0) FROM countable
        WHERE countable.room = rooms.room AND countable.place > rooms.read_seq
    );
END;
-- A restored profile has its messages before it is known whose it is.
CREATE TRIGGER unread_whose AFTER INSERT ON identity
BEGIN
    UPDATE rooms SET (unread, unread_mentions) = (
        SELECT count(*), IFNULL(sum(mentions_me), 0) FROM countable
        WHERE countable.room = rooms.room AND countable.place > rooms.read_seq
    );
END;
