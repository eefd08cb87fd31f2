-- Whether the daemon has said that it has the public half: one that it never got is made again.
ALTER TABLE key_packages ADD COLUMN published INTEGER NOT NULL DEFAULT 1;
