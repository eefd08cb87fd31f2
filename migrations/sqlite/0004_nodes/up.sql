-- Grows whenever the device's place in any room changes: by it the nodes see whose list of rooms to read anew.
ALTER TABLE devices ADD COLUMN audience INTEGER NOT NULL DEFAULT 0 CHECK (audience >= 0);
