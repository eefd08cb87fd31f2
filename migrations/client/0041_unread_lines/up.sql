-- Where the line above what is unread stood when a room was last shown: above this row of the timeline.
CREATE TABLE unread_lines (
    room BLOB PRIMARY KEY NOT NULL,
    row INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
