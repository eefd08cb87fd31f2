-- Since when a person is verified, is not, or has changed: milliseconds since the Unix epoch. NULL where it was not noted.
ALTER TABLE contacts ADD COLUMN since_ms INTEGER;
