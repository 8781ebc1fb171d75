-- +goose Up

-- Times are milliseconds since 1970, so that both databases hold exactly what the wire carries.
-- A deleted room keeps its row, since its slug is never given out again.
CREATE TABLE rooms (
    id           INTEGER PRIMARY KEY,
    tenant       TEXT NOT NULL,
    slug         TEXT NOT NULL,
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    search       TEXT NOT NULL, -- slug, name and description in lower case
    staff_only   INTEGER NOT NULL,
    allow_guests INTEGER NOT NULL,
    owner        TEXT NOT NULL,
    log          TEXT NOT NULL UNIQUE,
    floor        INTEGER NOT NULL DEFAULT 1,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER,
    UNIQUE (tenant, slug)
) STRICT;

CREATE TABLE room_log (
    room_id     INTEGER NOT NULL,
    seq         INTEGER NOT NULL CHECK (seq > 0),
    tenant      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    message     INTEGER NOT NULL, -- the message that the entry is about, 0 for none
    author_id   TEXT NOT NULL,
    author_name TEXT NOT NULL,
    author_kind TEXT NOT NULL,
    body        TEXT NOT NULL,
    reply_to    INTEGER NOT NULL, -- 0 for none
    nonce       TEXT NOT NULL,
    at          INTEGER NOT NULL,
    edited_at   INTEGER,
    deleted_by  INTEGER NOT NULL DEFAULT 0, -- seq of the entry that deleted this message
    written     INTEGER, -- only on the newest entry of a room in its transaction
    PRIMARY KEY (room_id, seq)
) STRICT;

-- For heads: one small entry for each room and commit.
CREATE INDEX room_log_written ON room_log (written, room_id, seq) WHERE written IS NOT NULL;

CREATE TABLE room_nonces (
    room_id     INTEGER NOT NULL,
    author_id   TEXT NOT NULL,
    nonce       BLOB NOT NULL, -- first half of its SHA-256
    tenant      TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    PRIMARY KEY (room_id, author_id, nonce)
) STRICT, WITHOUT ROWID;

CREATE TABLE rooms_lobby (
    seq     INTEGER PRIMARY KEY CHECK (seq > 0),
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    room_id INTEGER NOT NULL,
    room    TEXT NOT NULL, -- JSON
    before  TEXT           -- JSON
) STRICT;
CREATE INDEX rooms_lobby_at ON rooms_lobby (at);

-- One row. The lobby is one for all tenants.
CREATE TABLE rooms_lobby_log (
    tenant TEXT PRIMARY KEY CHECK (tenant = '*'),
    log    TEXT NOT NULL
) STRICT;
