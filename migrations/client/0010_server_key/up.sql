-- The daemon's TLS key, as sha256: and hex digits, where it was given: it takes the place of the system's roots.
ALTER TABLE identity ADD COLUMN server_key TEXT;
