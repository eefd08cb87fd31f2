-- What people who hold an invite link ask the members of its room: to be let in. A row stays until a member has answered, or nobody has for
-- long.
CREATE TABLE join_requests (
    room_id BLOB NOT NULL REFERENCES rooms (id),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    request BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (room_id, account_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX join_requests_by_account ON join_requests (account_id);
CREATE INDEX join_requests_by_age ON join_requests (created_at);
