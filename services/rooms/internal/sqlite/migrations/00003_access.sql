-- +goose Up

-- Raised by all that changes who may do what in a room.
ALTER TABLE rooms ADD COLUMN access_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN private INTEGER NOT NULL DEFAULT 0;

CREATE TABLE room_members (
    room_id INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    role    TEXT NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;

-- JSON: who an event is for, and the version of the room's access. Events of older releases have none.
ALTER TABLE rooms_lobby ADD COLUMN access TEXT;

-- +goose Down
ALTER TABLE rooms_lobby DROP COLUMN access;
DROP TABLE room_members;
ALTER TABLE rooms DROP COLUMN private;
ALTER TABLE rooms DROP COLUMN access_version;
