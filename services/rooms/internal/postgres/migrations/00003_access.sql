-- +goose Up

-- Raised by all that changes who may do what in a room. Older releases leave it as it is.
ALTER TABLE rooms
    ADD COLUMN access_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN private        boolean NOT NULL DEFAULT false;

CREATE TABLE room_members (
    room_id bigint NOT NULL,
    user_id text NOT NULL,
    role    text NOT NULL,
    since   bigint NOT NULL,
    PRIMARY KEY (room_id, user_id)
);

-- JSON: who an event is for, and the version of the room's access. Events of older releases have none.
ALTER TABLE rooms_lobby ADD COLUMN access text;

-- +goose Down
ALTER TABLE rooms_lobby DROP COLUMN access;
DROP TABLE room_members;
ALTER TABLE rooms DROP COLUMN access_version, DROP COLUMN private;
