//! How a passphrase opens the database.
