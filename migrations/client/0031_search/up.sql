-- What can be found in the timeline, by the row of the message. The words of a text stand in the index that follows, without the
-- text: that stays in the timeline alone, in the line that source names, which is the message itself or the last edit of it.
CREATE TABLE texts (
    "row" INTEGER PRIMARY KEY NOT NULL,
    source INTEGER NOT NULL,
    -- When its sender says it was written, milliseconds since the Unix epoch.
    sent_ms INTEGER NOT NULL,
    -- 0: text, 1: poll, 2: file.
    form INTEGER NOT NULL,
    has_link INTEGER NOT NULL
) STRICT;
CREATE INDEX texts_source ON texts (source);

-- Without a copy of the texts (content=''): what is taken out is named by its text, as it was put in. The tokenizer folds case
-- and takes marks off letters.
CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2');
-- The words of a message that goes are taken out of the pages of the index, not marked as gone.
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
-- Larger pieces than usual: the shield below is one for each.
INSERT INTO words (words, rank) VALUES ('pgsz', 12000);
-- Pieces of the index come, go and change their size all the time, and SQLite leaves copies behind where it moves rows within
-- pages. So they stand behind a shield, as drafts do: it fills what of a row is kept beside other rows, and the words stand on
-- pages of their own, which are wiped whole. The index reads and writes its pieces by the names of the other two columns.
DROP TABLE words_data;
CREATE TABLE words_data (
    id INTEGER PRIMARY KEY,
    shield BLOB NOT NULL DEFAULT (zeroblob(4096)),
    block BLOB
);
INSERT INTO words (words) VALUES ('delete-all');
