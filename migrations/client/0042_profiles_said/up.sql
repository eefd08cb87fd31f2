-- When that was last said there, by this device's clock: who comes is told anew, but not as often as somebody comes.
ALTER TABLE profiles_told ADD COLUMN said_ms INTEGER NOT NULL DEFAULT 0;
