-- Beside the next signature key of this device the next identity key of its account with the record that names it: somebody else
-- has the one of now. Until the daemon is known to have them.
ALTER TABLE rotation ADD COLUMN next_account_key BLOB;
ALTER TABLE rotation ADD COLUMN next_record BLOB;

-- The records that the account had before: SHA-384 of what each says. The key directory has said them, and rightly.
CREATE TABLE former_records (
    record BLOB PRIMARY KEY NOT NULL CHECK (length(record) = 48)
) STRICT, WITHOUT ROWID;
