-- Places in rooms that a device is owed which has come back by the recovery words: its account is in the room, and others add it.
-- A row stays until the device has the place, or has not been added for long.
CREATE TABLE owed_places (
    room_id BYTEA NOT NULL REFERENCES rooms (id),
    device_id BYTEA NOT NULL REFERENCES devices (id),
    since BIGINT NOT NULL,
    PRIMARY KEY (room_id, device_id)
);
CREATE INDEX owed_places_by_device ON owed_places (device_id);
CREATE INDEX owed_places_by_age ON owed_places (since);
