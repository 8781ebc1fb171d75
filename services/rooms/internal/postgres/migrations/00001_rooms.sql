-- +goose Up

-- Times are milliseconds since 1970, here as in SQLite, so that both hold exactly what the wire carries.
CREATE SEQUENCE room_ids AS bigint;

-- A deleted room keeps its row, since its slug is never given out again.
CREATE TABLE rooms (
    id           bigint PRIMARY KEY,
    tenant       text NOT NULL,
    slug         text COLLATE "C" NOT NULL,
    name         text NOT NULL,
    description  text NOT NULL,
    search       text NOT NULL, -- slug, name and description in lower case
    staff_only   boolean NOT NULL,
    allow_guests boolean NOT NULL,
    owner        text NOT NULL,
    log          text NOT NULL UNIQUE,
    floor        bigint NOT NULL DEFAULT 1,
    created_at   bigint NOT NULL,
    updated_at   bigint NOT NULL,
    deleted_at   bigint,
    UNIQUE (tenant, slug)
);

-- No foreign keys: rows are only ever written under the lock of their room's row, and a check for each
-- row would double the cost of a batch.
CREATE TABLE room_log (
    room_id     bigint NOT NULL,
    seq         bigint NOT NULL CHECK (seq > 0),
    tenant      text NOT NULL,
    kind        text NOT NULL,
    message     bigint NOT NULL, -- the message that the entry is about, 0 for none
    author_id   text NOT NULL,
    author_name text NOT NULL,
    author_kind text NOT NULL,
    body        text NOT NULL,
    reply_to    bigint NOT NULL, -- 0 for none
    nonce       text NOT NULL,
    at          bigint NOT NULL, -- by the clock of the pod
    edited_at   bigint,
    deleted_by  bigint NOT NULL DEFAULT 0, -- seq of the entry that deleted this message
    written     bigint, -- by the clock of the database; only on the newest entry of a room in its transaction
    PRIMARY KEY (room_id, seq)
);

-- For heads: one small entry for each room and commit, however many messages the commit had. By the
-- database's clock, which all pods share, since the pods' own may differ.
CREATE INDEX room_log_written ON room_log (written) INCLUDE (room_id, seq) WHERE written IS NOT NULL;

CREATE TABLE room_nonces (
    room_id     bigint NOT NULL,
    author_id   text NOT NULL,
    nonce       bytea NOT NULL, -- first half of its SHA-256
    tenant      text NOT NULL,
    seq         bigint NOT NULL,
    fingerprint bytea NOT NULL,
    PRIMARY KEY (room_id, author_id, nonce)
);

CREATE TABLE rooms_lobby (
    seq     bigint PRIMARY KEY CHECK (seq > 0),
    tenant  text NOT NULL,
    kind    text NOT NULL,
    at      bigint NOT NULL,
    room_id bigint NOT NULL,
    room    text NOT NULL, -- JSON
    before  text           -- JSON
);
CREATE INDEX rooms_lobby_at ON rooms_lobby (at);

-- One row, locked by whoever writes to the lobby. The lobby is one for all tenants.
CREATE TABLE rooms_lobby_log (
    tenant text PRIMARY KEY CHECK (tenant = '*'),
    log    text NOT NULL
);
